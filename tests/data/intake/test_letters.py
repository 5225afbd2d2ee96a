"""Working on dead letters: what a replay does is what it said it would, once, and nobody's address leaves the store."""

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data import accounts, database, dead_letters, inbox, tables
from data.channels import registry
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connections
from data.dead_letters import DeadLetter, UnknownLetter
from data.intake import letters, patches, records, thresholds
from data.intake.letters import Outcome
from data.intake.patches import UnusablePatch
from tests.conftest import NOW
from tests.data.intake import feed
from tests.data.intake.feed import document, drained, keep, row

pytestmark = pytest.mark.usefixtures("account_id")

OLD = {"placed_at": "1990-03-01T12:00:00Z"}  # the rule too_old refuses it
MAPPING = """
format: json
order:
  external_id: no
  status: {path: state, words: {bezahlt: paid}}
  currency: {value: USD}
  total: sum
  placed_at: at
customer: {email: mail}
line: {list: lines, sku: sku, quantity: pieces, total: sum}
"""
RAW = (
    b'{"no": "B1", "state": "%s", "sum": "10.00", "at": "2026-03-01T12:00:00Z", "mail": "b@example.com",'
    b' "lines": [{"sku": "TEA", "pieces": 1, "sum": "10.00"}]}'
)


def open_letters(engine: sa.Engine, account_id: str = "shop") -> list[DeadLetter]:
    with database.read(engine) as connection:
        return sorted(dead_letters.listing(connection, account_id, now=NOW), key=lambda one: one.id)


def letter(engine: sa.Engine) -> DeadLetter:
    (one,) = open_letters(engine)
    return one


def patch(engine: sa.Engine, one: DeadLetter, **changes: str) -> None:
    with database.write(engine) as connection:
        wanted = {path.replace("__", "."): text for path, text in changes.items()}
        patches.keep(connection, one, wanted, by="jo", now=NOW)


def replay(engine: sa.Engine, *chosen: DeadLetter, intake: dict[str, Any] | None = None, **given: Any) -> list[Outcome]:
    found = chosen or tuple(open_letters(engine))
    return letters.replay(feed.intake(engine, **(intake or {})), found, by="jo", **given)


def results(engine: sa.Engine, *chosen: DeadLetter, **given: Any) -> list[str]:
    return [one.result for one in replay(engine, *chosen, **given)]


def states(engine: sa.Engine) -> list[str]:
    return [one.state for one in feed.letters(engine)]


def everything(engine: sa.Engine) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with database.read(engine) as connection:
        return {
            name: sorted(map(repr, connection.execute(sa.select(table))))
            for name, table in tables.metadata.tables.items()
        }


def held(engine: sa.Engine, *names: str) -> list[tuple[Any, ...]]:
    with database.read(engine) as connection:
        columns = [tables.orders.c[name] for name in names]
        return [tuple(one) for one in connection.execute(sa.select(*columns).order_by(tables.orders.c.external_id))]


def audits(engine: sa.Engine) -> list[tuple[str, str, dict[str, Any]]]:
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id))
        return [(one.actor, one.action, one.detail) for one in rows]


# What a patch is


@pytest.mark.parametrize(
    ("payload", "patch", "becomes"),
    [
        ({"billing": {"email": "x"}}, {"billing.email": "y"}, {"billing": {"email": "y"}}),
        ({"lines": [{"n": 1}, {"n": 2}]}, {"lines.1.n": 5}, {"lines": [{"n": 1}, {"n": 5}]}),
        ({"tags": ["a", "b"]}, {"tags.0": "c"}, {"tags": ["c", "b"]}),
        ({"a": 1}, {"b": {"c": [None]}}, {"a": 1, "b": {"c": [None]}}),
        ({"a": 1, "b": 2}, {"b": None, "c": None}, {"a": 1}),
        ([{"sku": "A"}, {"sku": "B"}], {"sku": "C"}, [{"sku": "C"}, {"sku": "C"}]),
        ([{"sku": "A"}, {"sku": "B"}], {"1.sku": "C"}, [{"sku": "A"}, {"sku": "C"}]),
        ([{"sku": "A"}], {"sku": "C", "0.sku": "D"}, [{"sku": "D"}]),
    ],
)
def test_a_patch_sets_what_its_path_names(payload: Any, patch: dict[str, Any], becomes: Any) -> None:
    before = repr(payload)
    assert patches.patched(payload, [{"path": path, "value": value} for path, value in patch.items()]) == becomes
    assert repr(payload) == before


@pytest.mark.parametrize(
    "path", ["billing.email", "lines.2.n", "lines.x", "lines.²", "lines.-1", "note.x", "no..thing", "lines.0.n.deep"]
)
def test_a_path_that_leads_nowhere_is_told(path: str) -> None:
    payload = {"billing": None, "lines": [{"n": 1}, {"n": 2}], "note": "text"}
    with pytest.raises(UnusablePatch, match=r"there is no place .* `campaigns intake dead-letters --payload`"):
        patches.patched(payload, [{"path": path, "value": 1}])


@pytest.mark.parametrize(
    ("payload", "path", "text", "value"),
    [
        ({"total": "9.99"}, "total", "10.10", "10.10"),  # as text it keeps its zero
        ({"total": 9.99}, "total", "10.1", 10.1),
        ({"n": 1}, "n", "2", 2),
        ({"n": 1}, "n", "two", "two"),
        ({"n": 1}, "n", "1e999", "1e999"),
        ({"n": 1}, "n", "NaN", "NaN"),
        ({"n": 1}, "new", "5", 5),
        ({"n": 1}, "new", '{"a": [1]}', {"a": [1]}),
        ({"n": 1}, "n", "null", None),
        ({"zip": "01067"}, "zip", "01099", "01099"),
        ({"zip": "01067"}, "zip", '"01099"', "01099"),
        ({"zip": "01067"}, "zip", "1099", "1099"),
        ([{"sku": "A"}, {"sku": "B"}], "quantity", "3", "3"),  # cells of CSV rows are text
        ([{"sku": "A"}, {"sku": "B"}], "1.quantity", "3", "3"),
        ({"tags": ["a"]}, "tags.0", "7", "7"),
        ({"n": 1}, "n", "[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_json_or_text_and_text_where_text_stands(payload: Any, path: str, text: str, value: Any) -> None:
    assert patches.value(payload, path, text) == value


def test_a_patched_record_is_mended_and_the_record_itself_stays(engine: sa.Engine) -> None:
    keep(engine, document([row("1", status="lost", order_total="ten", line_total="10.00")]))
    drained(engine)
    one = letter(engine)
    patch(engine, one, status="paid")
    assert results(engine) == ["refused"]  # the total is still none
    patch(engine, letter(engine), order_total="10.00")
    assert results(engine) == ["loaded"]
    (kept,) = feed.letters(engine)
    assert (kept.state, kept.payload[0]["status"], kept.ended_by, kept.note) == ("fixed", "lost", "jo", "loaded")
    assert held(engine, "external_id", "status", "total") == [("1", "paid", Decimal(10))]


def test_a_broken_row_is_mended_cell_by_cell(engine: sa.Engine) -> None:
    keep(engine, document([row("1") + ",surplus", row("2", sku="caf\udce9").replace("\udce9", "é")]))
    latin = document([row("3", sku="cafX")])
    keep(engine, replace(latin, body=latin.body.replace(b"X", b"\xe9")))
    drained(engine)
    first, second = open_letters(engine)
    # Nothing is taken in of which nobody knows what it said, whatever the rules.
    assert results(engine, as_is=True) == ["refused", "refused"]
    cells = dict(zip(feed.HEADER.split(","), row("1").split(","), strict=True))
    patch(engine, first, row="null", **cells)
    assert results(engine, letter_of(engine, first.id)) == ["loaded"]
    patch(engine, second, quantity="2")
    assert results(engine) == ["refused"]
    patch(engine, letter(engine), sku="café")
    assert results(engine) == ["loaded"]


def letter_of(engine: sa.Engine, letter_id: int) -> DeadLetter:
    with database.read(engine) as connection:
        return dead_letters.get(connection, "shop", [letter_id], now=NOW)[0]


def test_an_ended_letter_and_half_a_character_are_not_patched(engine: sa.Engine) -> None:
    keep(engine, document([row("1", status="lost")]))
    drained(engine)
    one = letter(engine)
    with pytest.raises(UnusablePatch, match="half a character"):
        patch(engine, one, sku="\udc80")
    with database.write(engine) as connection:
        assert letters.discard(connection, one, by="jo", note="", now=NOW)
    with pytest.raises(UnusablePatch, match="has ended meanwhile"):
        patch(engine, one, status="paid")
    with pytest.raises(UnusablePatch, match="was discarded already"):
        patch(engine, letter_of(engine, one.id), status="paid")
    assert feed.letters(engine)[0].patch == []


# Replays


def _some_of_each(engine: sa.Engine) -> None:
    keep(engine, document([row("1"), row("2", **OLD), row("3", status="lost"), row("4", **OLD)]))
    keep(engine, document([row("1", order_total="12.00")]))  # a conflict
    keep(engine, replace(document([]), body=b"\xff\xfe"))  # a document that is none
    drained(engine)
    (third,) = [one for one in open_letters(engine) if one.row.rule == "status_unknown"]
    patch(engine, third, status="paid")


def test_a_dry_run_changes_nothing_at_all(engine: sa.Engine) -> None:
    _some_of_each(engine)
    before = everything(engine)
    for as_is in (False, True):
        dry = replay(engine, as_is=as_is, dry_run=True)
        assert everything(engine) == before
    assert [one.result for one in dry] == ["loaded", "loaded", "loaded", "updated", "queued"]


def test_a_replay_does_what_the_dry_run_said_and_a_second_one_nothing(engine: sa.Engine) -> None:
    _some_of_each(engine)
    stale = open_letters(engine)
    dry = replay(engine, as_is=True, dry_run=True)
    assert replay(engine, as_is=True) == dry
    assert states(engine) == ["released", "fixed", "released", "released", "fixed"]
    after = everything(engine)
    assert results(engine) == []
    # Also for whoever chose them before they had ended: two people at once.
    assert set(results(engine, *stale, as_is=True)) <= {"ended already", "refused"}
    assert everything(engine) == after
    ended = [letter_of(engine, one.id) for one in stale]
    assert {one.result for one in replay(engine, *ended)} == {"ended already"}
    assert replay(engine, ended[0])[0].told == "it was released"


def test_whoever_is_slower_changes_nothing(engine: sa.Engine) -> None:
    keep(engine, document([row("1")]), document([row("1", order_total="12.00")]))
    drained(engine)
    one = letter(engine)
    assert results(engine, one, as_is=True) == ["updated"]
    after = everything(engine)
    later = {"now": NOW + timedelta(hours=1)}
    assert results(engine, one, as_is=True, intake=later) == ["ended already"]
    assert everything(engine) == after


def test_what_a_rule_refused_is_released_and_counts_as_its_false_alarm(engine: sa.Engine) -> None:
    keep(engine, document([row("1", **OLD)]))
    drained(engine)
    (outcome,) = replay(engine)
    assert outcome.result == "refused"
    assert "too_old.oldest_year" in outcome.told
    assert results(engine, as_is=True) == ["loaded"]
    assert states(engine) == ["released"]
    assert held(engine, "external_id") == [("1",)]


def test_a_rule_that_was_told_to_keep_its_orders_releases_them_too(engine: sa.Engine) -> None:
    keep(engine, document([row("1", **OLD)]))
    drained(engine)
    book = thresholds.parse("defaults: {rules: {too_old: {row: keep}}}", "x")
    assert results(engine, intake={"book": book}) == ["loaded"]
    assert states(engine) == ["released"]


def test_a_patched_one_is_no_false_alarm_even_if_the_rule_still_holds_against_it(engine: sa.Engine) -> None:
    keep(engine, document([row("1", **OLD)]))
    drained(engine)
    patch(engine, letter(engine), sku="CUP")
    assert results(engine, as_is=True) == ["loaded"]
    assert states(engine) == ["fixed"]


def test_what_was_fixed_stays_fixed_when_the_bad_record_comes_again(engine: sa.Engine) -> None:
    bad = document([row("1", status="lost")])
    keep(engine, bad)
    drained(engine)
    patch(engine, letter(engine), status="paid")
    assert results(engine) == ["loaded"]
    keep(engine, replace(bad, topic="again"))
    drained(engine)
    assert states(engine) == ["fixed"]


def test_what_cannot_be_read_stays_refused_whatever_a_person_says(engine: sa.Engine) -> None:
    keep(engine, document([row("1", status="lost")]))
    drained(engine)
    assert results(engine, as_is=True) == ["refused"]
    assert states(engine) == ["open"]


def test_of_a_conflict_the_refused_state_becomes_the_one_held(engine: sa.Engine) -> None:
    first, second = document([row("1")]), document([row("1", order_total="12.00")])
    keep(engine, first, second)
    drained(engine)
    (outcome,) = replay(engine)
    assert outcome.result == "conflict"
    assert "--as-is" in outcome.told
    assert held(engine, "total") == [(Decimal(10),)]
    assert results(engine, as_is=True) == ["updated"]
    assert held(engine, "total") == [(Decimal(12),)]
    assert states(engine) == ["released"]
    # Neither state, should the channel send it again, changes that.
    keep(engine, replace(first, topic="again"), replace(second, topic="again"))
    counts = drained(engine, now=NOW + timedelta(hours=1)).counts()
    assert (counts["stale"], counts["unchanged"], counts["refused"]) == (1, 1, 0)
    assert held(engine, "total") == [(Decimal(12),)]


def test_an_older_state_is_no_news_and_its_letter_was_superseded(engine: sa.Engine) -> None:
    keep(engine, document([row("1", updated_at="2026-03-05T12:00:00Z", **OLD)]))
    drained(engine)
    keep(engine, document([row("1", updated_at="2026-03-04T12:00:00Z", order_total="12.00")]))
    drained(engine)
    one = letter(engine)
    keep(engine, document([row("1", updated_at="2026-03-06T12:00:00Z")]))
    with database.write(engine) as connection:  # as if it had been refused after the newer state came
        connection.execute(tables.dead_letters.update().values(as_of=NOW))
    drained(engine)
    assert states(engine) == ["open"]
    assert results(engine, one, as_is=True) == ["stale"]
    assert states(engine) == ["superseded"]
    assert held(engine, "total") == [(Decimal(10),)]


def test_a_released_state_ends_the_older_letters_of_its_order(engine: sa.Engine) -> None:
    keep(engine, document([row("1", updated_at="2026-03-04T12:00:00Z", status="lost")]))
    keep(engine, document([row("1", updated_at="2026-03-05T12:00:00Z", **OLD)]))
    keep(engine, document([row("1", updated_at="2026-03-06T12:00:00Z", status="lost")]))
    drained(engine)
    assert results(engine, open_letters(engine)[1], as_is=True) == ["loaded"]
    assert states(engine) == ["superseded", "released", "open"]


def test_a_document_that_could_not_be_read_goes_back_on_the_queue(engine: sa.Engine, monkeypatch) -> None:
    unread = replace(document([]), body=b'[{"row": 1}]')
    keep(engine, unread)
    drained(engine)
    one = letter(engine)
    with pytest.raises(UnusablePatch, match="no single order"):
        patch(engine, one, row="2")
    assert results(engine) == ["queued"]
    assert states(engine) == ["fixed"]
    drained(engine)
    assert (states(engine), feed.letters(engine)[0].ended_by) == (["open"], None)  # it still cannot: nobody forgets it
    csv = registry.get("csv")
    monkeypatch.setitem(registry.CHANNELS, "csv", replace(csv, elements=lambda _body, _delivery: iter(())))
    assert results(engine) == ["queued"]
    drained(engine)
    assert states(engine) == ["fixed"]
    assert results(engine, one) == ["refused"]  # it is no longer dead
    assert audits(engine)[-1] == (
        "jo",
        "dead letter: replay",
        {"result": "queued", "channel": "csv", "rule": "unreadable"},
    )


def test_the_document_of_a_discarded_letter_is_kept_no_longer_than_others(engine: sa.Engine) -> None:
    keep(engine, replace(document([]), body=b"\xff\xfe"))
    drained(engine)
    with database.write(engine) as connection:
        assert records.purge(connection, before=NOW + timedelta(days=1)) == 0
        assert letters.discard(connection, letter(engine), by="jo", note="a picture", now=NOW)
        assert records.purge(connection, before=NOW + timedelta(days=1)) == 1


@pytest.fixture
def mapped(tmp_path: Path) -> dict[str, Any]:
    """An intake with a channel that is read by the mapping in tmp_path."""
    (tmp_path / "own.yaml").write_text(MAPPING)
    own = {"account": "shop", "channel": "own", "adapter": "mapped", "mapping": tmp_path / "own.yaml"}
    return {"connections": Connections.model_validate({"connections": [own]})}


def _mend(mapping: Path, old: str, new: str) -> None:
    mapping.write_text(mapping.read_text().replace(old, new))
    os.utime(mapping, ns=(0, mapping.stat().st_mtime_ns + 1))


def test_a_mended_mapping_takes_in_what_it_could_not_read(engine: sa.Engine, mapped, tmp_path: Path) -> None:
    mail = {"body": RAW % b"bestellt", "origin": Origin.PUSH, "source": "push", "first_row": 1}
    keep(engine, replace(document([]), **mail), channel="own")
    drained(engine, **mapped)
    assert letter(engine).row.fields == ("state",)
    assert results(engine, intake=mapped) == ["refused"]
    _mend(tmp_path / "own.yaml", "{bezahlt: paid}", "{bezahlt: paid, bestellt: placed}")
    assert results(engine, intake=mapped) == ["loaded"]
    assert states(engine) == ["fixed"]
    assert held(engine, "status", "channel_status") == [("placed", "bestellt")]


def test_a_rule_that_a_mended_mapping_silenced_was_right(engine: sa.Engine, mapped, tmp_path: Path) -> None:
    mapping = tmp_path / "own.yaml"
    _mend(mapping, "line: {list: lines", "line: {list: rows")
    keep(engine, replace(document([]), body=RAW % b"bezahlt", first_row=1), channel="own")
    drained(engine, **mapped)
    assert letter(engine).row.rule == "without_lines"
    _mend(mapping, "line: {list: rows", "line: {list: lines")
    assert results(engine, intake=mapped) == ["loaded"]
    assert states(engine) == ["fixed"]


def test_an_unusable_mapping_is_an_answer_and_no_crash(engine: sa.Engine, mapped, tmp_path: Path) -> None:
    keep(engine, replace(document([]), body=RAW % b"lost", first_row=1), channel="own")
    drained(engine, **mapped)
    _mend(tmp_path / "own.yaml", "format: json", "format: xml")
    (outcome,) = replay(engine, intake=mapped)
    assert outcome.result == "refused"
    assert "own.yaml" in outcome.told
    (tmp_path / "own.yaml").unlink()
    assert results(engine, intake=mapped) == ["refused"]
    assert "there is no adapter 'own'" in replay(engine)[0].told  # the connection is gone


def test_a_value_that_cannot_be_stored_is_an_answer_and_no_crash(engine: sa.Engine, monkeypatch) -> None:
    csv = registry.get("csv")
    broken = replace(csv, order=lambda raw, delivery: replace(csv.order(raw, delivery), channel_status="\ud800"))
    monkeypatch.setitem(registry.CHANNELS, "csv", broken)
    keep(engine, document([row("1")]))
    drained(engine)
    assert letter(engine).row.rule == "not_storable"
    (outcome,) = replay(engine)
    assert outcome.result == "refused"
    assert "cannot be stored" in outcome.told
    due = {"now": NOW + timedelta(hours=1)}
    assert letters.retry(feed.intake(engine, **due)) == {"tried": 1, "cured": 0, "given_up": 0}
    monkeypatch.undo()
    assert results(engine) == ["loaded"]
    assert states(engine) == ["fixed"]


# Whose letters


def test_letters_of_another_account_are_out_of_reach(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, replace(accounts.get(connection, "shop"), id="tea"), now=NOW)
    keep(engine, document([row("1", status="lost")]), account_id="tea")
    drained(engine)
    assert open_letters(engine) == []
    (theirs,) = open_letters(engine, "tea")
    with database.read(engine) as connection:
        assert dead_letters.count(connection, "shop") == 0
        with pytest.raises(UnknownLetter, match=f"there is no dead letter {theirs.id} in this account"):
            dead_letters.get(connection, "shop", [theirs.id], now=NOW)
    patch(engine, theirs, status="paid")
    assert results(engine, *open_letters(engine, "tea")) == ["loaded"]
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.orders.c.account_id)) == "tea"
        assert set(connection.scalars(sa.select(tables.audit_log.c.account_id))) == {"tea"}


def test_an_event_of_an_esp_is_answered_and_can_be_discarded(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        inbox.refuse(connection, provider="sendgrid", inbox_id=7, position=2, reason="no e-mail event", now=NOW)
    one = letter(engine)
    (outcome,) = replay(engine, as_is=True)
    assert outcome.result == "refused"
    assert "an event of an ESP (webhook:sendgrid) and no order" in outcome.told
    assert "`campaigns events replay --inbox 7`" in outcome.told
    with pytest.raises(UnusablePatch, match="no single order"):
        patch(engine, one, position="3")
    with database.write(engine) as connection:
        assert letters.discard(connection, one, by="jo", note="a test of theirs", now=NOW)
    assert states(engine) == ["discarded"]


def test_a_returned_mail_that_could_not_be_read_names_the_command_that_reads_it_again(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        inbox.refuse(connection, provider="smtp", inbox_id=9, position=0, reason="tried 3 times", now=NOW)
    (outcome,) = replay(engine)
    assert outcome.result == "refused"
    assert "a mail that came back (webhook:smtp) and no order" in outcome.told
    assert "`campaigns events replay --inbox 9`" in outcome.told


def test_a_mail_that_never_came_out_of_its_mailbox_says_how_it_is_read(engine: sa.Engine) -> None:
    """What tasks.receiving keeps of it: there is no body here that `events replay` could read."""
    with database.write(engine) as connection:
        bad = dead_letters.BadRow(2, "the mail server did not give out this mail (NO)", {"folder": "INBOX", "uid": 2})
        dead_letters.put(connection, [bad], account_id=None, source="mailbox:smtp", location="INBOX 2", now=NOW)
    one = letter(engine)
    (outcome,) = replay(engine)
    assert outcome.result == "refused"
    assert "INBOX 2" in outcome.told
    assert "`campaigns returns fetch`" in outcome.told
    assert f"`campaigns intake discard {one.id} --note" in outcome.told
    assert "events replay" not in outcome.told
    assert "earlier version" not in outcome.told
    with pytest.raises(UnusablePatch, match="no single order"):
        patch(engine, one, uid="3")


def test_a_letter_of_an_earlier_program_says_what_to_do(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        bad = dead_letters.BadRow(3, "status is empty", {"order_id": "1"})
        dead_letters.put(connection, [bad], account_id="shop", source="csv", location="may.csv", now=NOW)
    assert "load its file again" in replay(engine)[0].told


# What is left of it


def test_every_deed_is_audited_without_a_value_or_an_address(engine: sa.Engine) -> None:
    rows = [row(str(n), status="lost", email=f"jane{n}@example.com") for n in range(3)]
    keep(engine, document(rows))
    drained(engine)
    first, second, third = open_letters(engine)
    patch(engine, first, email="joan@example.com", status="paid")
    replay(engine, letter_of(engine, first.id), dry_run=True)
    replay(engine, letter_of(engine, first.id))
    replay(engine, second)  # refused: nothing was done
    with database.write(engine) as connection:
        note = "a double, jane2@example.com says"
        assert letters.discard(connection, third, by="jo", note=note, now=NOW)
        assert not letters.discard(connection, third, by="al", note="again", now=NOW)
    about = {"channel": "csv", "rule": "status_unknown"}
    assert audits(engine) == [
        ("jo", "dead letter: patch", {"fields": ["email", "status"], **about}),
        ("jo", "dead letter: replay", {"result": "loaded", "state": "fixed", **about}),
        ("jo", "dead letter: discard", {"note": "a double, (address) says", **about}),
    ]
    assert "@" not in repr(everything(engine)["audit_log"])
    discarded = feed.letters(engine)[2]
    assert (discarded.state, discarded.ended_by, discarded.note) == ("discarded", "jo", "a double, (address) says")


# Trying again


def test_time_alone_cures_an_order_from_the_future(engine: sa.Engine) -> None:
    ahead = NOW + timedelta(days=1, minutes=30)
    keep(engine, document([row("1", placed_at=ahead.isoformat(), updated_at=ahead.isoformat())]))
    drained(engine)
    assert letter(engine).row.next_try_at == NOW + timedelta(minutes=10)
    for minutes, cured in [(5, None), (10, 0), (39, None), (40, 1)]:
        counts = letters.retry(feed.intake(engine, now=NOW + timedelta(minutes=minutes)))
        assert counts == {"tried": cured is not None, "cured": cured or 0, "given_up": 0}
    assert states(engine) == ["fixed"]  # the rule was right when it fired
    assert audits(engine)[0][:2] == ("retry", "dead letter: replay")


def test_what_never_comes_right_is_tried_ever_more_seldom_and_then_left_to_people(engine: sa.Engine) -> None:
    far = (NOW + timedelta(days=300)).isoformat()
    keep(engine, document([row("1", placed_at=far, updated_at=far), row("2", status="lost")]))
    drained(engine)
    now, pauses = NOW, []
    while (
        due := min((one.row.next_try_at for one in open_letters(engine) if one.row.next_try_at), default=None)
    ) and len(pauses) < 99:
        pauses.append((due - now) // timedelta(minutes=1))
        now = due
        told = letters.retry(feed.intake(engine, now=now))
    assert pauses == [10, 30, 90, 270, 810, 2430]
    assert told == {"tried": 1, "cured": 0, "given_up": 1}
    first, second = open_letters(engine)
    assert (first.attempts, first.row.next_try_at, second.attempts) == (6, None, 0)
    assert letters.retry(feed.intake(engine, now=now + timedelta(days=99)))["tried"] == 0


def test_one_that_cannot_be_tried_holds_up_no_other(engine: sa.Engine, mapped, tmp_path: Path) -> None:
    ahead = (NOW + timedelta(days=1, minutes=5)).isoformat()
    urgent = {"urgency": Urgency.NOW}
    own = replace(document([]), body=(RAW % b"bezahlt").replace(b"2026-03-01T12:00:00Z", ahead.encode()), **urgent)
    keep(engine, own, channel="own")
    keep(engine, document([row("1", placed_at=ahead, updated_at=ahead)]))
    drained(engine, **mapped)
    _mend(tmp_path / "own.yaml", "format: json", "format: xml")
    counts = letters.retry(feed.intake(engine, now=NOW + timedelta(minutes=15), **mapped))
    assert counts == {"tried": 2, "cured": 1, "given_up": 0}


def test_a_person_who_is_quicker_than_a_try_wins(engine: sa.Engine) -> None:
    keep(engine, document([row("1", status="lost")]))
    drained(engine)
    one = letter(engine)
    with database.write(engine) as connection:
        assert letters.discard(connection, one, by="jo", note="", now=NOW)
        dead_letters.put_off(connection, one.id, next_try_at=NOW)
    ended = feed.letters(engine)[0]
    assert (ended.state, ended.next_try_at, ended.attempts) == ("discarded", None, 0)


# What is at stake, and whose it is


def test_what_a_mapping_finds_counts_although_the_order_is_unfit(engine: sa.Engine, mapped, tmp_path: Path) -> None:
    keep(engine, replace(document([]), body=RAW % b"lost", first_row=1), channel="own")
    drained(engine, **mapped)
    one = letter(engine)
    assert (one.row.external_id, one.row.priority) == ("B1", 20)
    # Its next state, which is sound, ends it.
    sound = (RAW % b"bezahlt").replace(b"2026-03-01", b"2026-03-02")
    keep(engine, replace(document([]), body=sound, first_row=1), channel="own")
    drained(engine, **mapped)
    assert states(engine) == ["superseded"]
