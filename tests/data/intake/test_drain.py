from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import accounts, database, tables
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connections
from data.intake import drain, quarantine, records
from data.intake.records import State
from tests.conftest import NOW
from tests.data.intake import feed
from tests.data.intake.feed import document, drained, keep, letters, row

pytestmark = pytest.mark.usefixtures("account_id")


def states(engine: sa.Engine) -> list[str]:
    record = tables.intake_records.c
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(record.state).order_by(record.id)))


def test_records_become_orders_once(engine: sa.Engine) -> None:
    assert keep(engine, document([row("1"), row("2")]), document([row("3")])) == 2
    assert keep(engine, document([row("1"), row("2")])) == 0  # the very same document is known
    counts = drained(engine).counts()
    assert (counts["records"], counts["rows"], counts["orders"], counts["loaded"]) == (2, 3, 3, 3)
    assert drained(engine).counts()["records"] == 0
    assert states(engine) == ["done", "done"]
    again = document([row("1"), row("2"), row("4")], source="june.csv")
    keep(engine, again)
    counts = drained(engine).counts()
    assert (counts["loaded"], counts["unchanged"]) == (1, 2)


def test_what_cannot_be_used_becomes_a_letter_and_the_rest_passes(engine: sa.Engine) -> None:
    keep(engine, document([row("1"), row("2", currency="EURO"), row("3", status="teleported"), row("4")], first_row=40))
    counts = drained(engine).counts()
    assert (counts["orders"], counts["loaded"], counts["refused"]) == (4, 2, 2)
    first, second = letters(engine)
    assert (first.account_id, first.source, first.location, first.row_number) == ("shop", "csv", "may.csv", 41)
    assert (first.external_id, first.fields) == ("2", ["currency"])
    assert "currency" in first.reason
    assert (second.row_number, second.fields) == (42, ["status"])
    assert not any("example.com" in letter.reason for letter in (first, second))


def test_a_document_that_is_none_is_kept_whole_and_can_be_read_again(engine: sa.Engine) -> None:
    keep(engine, replace(document([]), body=b"\xff\xfe no header"), document([row("1")]))
    assert drained(engine).counts()["loaded"] == 1
    (letter,) = letters(engine)
    assert (letter.rule, states(engine)) == ("unreadable", ["dead", "done"])
    with database.write(engine) as connection:
        assert records.again(connection, letter.payload["record"])
    drained(engine)
    assert states(engine) == ["dead", "done"]
    assert feed.count(engine, tables.dead_letters) == 1


def test_the_urgent_come_first_whatever_came_before(engine: sa.Engine) -> None:
    keep(engine, document([row("1")]), document([row("2")], urgency=Urgency.USUAL))
    keep(engine, document([row("3")], origin=Origin.PUSH, source="push", urgency=Urgency.NOW))
    drained(engine)
    with database.read(engine) as connection:
        query = sa.select(tables.orders.c.external_id).order_by(tables.orders.c.id)
        assert list(connection.scalars(query)) == ["3", "2", "1"]


def test_a_conflict_is_a_letter_and_the_held_state_stays(engine: sa.Engine) -> None:
    keep(engine, document([row("1")]), document([row("1", order_total="11.00")]))
    counts = drained(engine).counts()
    assert (counts["loaded"], counts["refused"]) == (1, 1)
    (letter,) = letters(engine)
    assert (letter.rule, letter.external_id, letter.as_of.isoformat()) == ("conflict", "1", "2026-03-01T12:00:00+00:00")
    keep(engine, document([row("1")], topic="again"))
    drained(engine)
    assert letters(engine)[0].state == "open"  # the held state once more decides nothing
    keep(engine, document([row("1", order_total="12.00", updated_at="2026-03-02T12:00:00Z")]))
    drained(engine)
    assert letters(engine)[0].state == "superseded"


def test_a_sound_state_of_the_order_ends_its_letter_and_an_older_one_does_not(engine: sa.Engine) -> None:
    bad = row("1", status="teleported", updated_at="2026-03-05T12:00:00Z")
    keep(engine, document([bad]))
    drained(engine)
    keep(engine, document([row("1", updated_at="2026-03-04T12:00:00Z")]))
    drained(engine)
    assert letters(engine)[0].state == "open"
    keep(engine, document([row("1", updated_at="2026-03-06T12:00:00Z")]))
    drained(engine)
    assert letters(engine)[0].state == "superseded"


def test_two_drains_at_once_count_nothing_twice(engine: sa.Engine) -> None:
    keep(engine, *(document([row(f"{n}-{m}") for m in range(20)]) for n in range(30)))
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: drained(engine), range(2)))
    assert sum(report.tally["loaded"] for report in reports) == 600
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.sum(tables.intake_batches.c.loaded))) == 600
    assert set(states(engine)) == {"done"}


def test_a_channel_past_its_threshold_waits_alone(engine: sa.Engine) -> None:
    bad = [row(str(n), status="teleported" if n % 5 == 0 else "paid") for n in range(300)]
    keep(engine, document(bad), channel="csv")
    keep(engine, document([row("9")]), channel="till")
    connections = Connections.model_validate(
        {"connections": [{"account": "shop", "channel": "till", "adapter": "csv"}]}
    )
    report = drained(engine, connections=connections)
    assert report.tally["loaded"] == 1
    assert len(report.quarantined) == 1
    assert states(engine) == ["held", "done"]
    assert letters(engine) == []
    keep(engine, document([row("1000")]))
    assert drained(engine, connections=connections).tally["loaded"] == 0
    later = NOW + timedelta(hours=1)
    with database.write(engine) as connection:
        quarantine.release(connection, "shop", "csv", by="jo", note="known", now=later)
    report = drained(engine, connections=connections, now=later)
    assert (report.tally["loaded"], report.tally["refused"], report.quarantined) == (241, 60, [])
    assert set(states(engine)) == {"done"}
    worse = [row(f"n{n}", status="teleported" if n % 5 == 0 else "paid") for n in range(300)]
    keep(engine, document(worse, received_at=later + timedelta(hours=1)))
    assert len(drained(engine, connections=connections, now=later + timedelta(hours=1)).quarantined) == 1


def test_a_trickle_is_judged_with_what_came_before(engine: sa.Engine) -> None:
    quarantined: list[str] = []
    for n in range(260):
        status = "teleported" if n > 200 else "paid"
        keep(engine, document([row(str(n), status=status)], source=f"push {n}", origin=Origin.PUSH))
        quarantined += drained(engine).quarantined
        if quarantined:
            break
    assert 205 <= n <= 220


def test_a_channel_that_nobody_can_read_waits_and_says_so(engine: sa.Engine) -> None:
    keep(engine, document([row("1")]), channel="teletext")
    report = drained(engine)
    assert "there is no adapter 'teletext'" in report.quarantined[0]
    assert states(engine) == [State.HELD]


def test_a_crash_in_the_middle_loses_nothing_and_repeats_nothing(engine: sa.Engine, monkeypatch) -> None:
    keep(engine, *(document([row(f"{n}-{m}") for m in range(100)]) for n in range(20)))
    applied = drain.apply.apply
    calls = iter(range(100))

    def dying(*arguments, **given):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return applied(*arguments, **given)

    monkeypatch.setattr(drain.apply, "apply", dying)
    with pytest.raises(KeyboardInterrupt):
        drained(engine)
    assert feed.count(engine, tables.orders) == 1000
    monkeypatch.undo()
    assert drained(engine).tally["loaded"] == 1000
    assert feed.count(engine, tables.orders) == 2000


def test_an_order_that_cannot_be_stored_is_a_letter_and_its_neighbours_are_not(engine: sa.Engine, monkeypatch) -> None:
    from data.channels import registry

    channel = registry.get("csv")

    def order(payload, delivery):
        found = channel.order(payload, delivery)
        return replace(found, channel_status="\ud800") if found.external_id == "2" else found

    monkeypatch.setitem(registry.CHANNELS, "csv", replace(channel, order=order))
    keep(engine, document([row("1"), row("2"), row("3")]), document([row("4")]))
    counts = drained(engine).counts()
    assert (counts["loaded"], counts["refused"]) == (3, 1)
    assert [letter.rule for letter in letters(engine)] == ["not_storable"]


def test_the_dearest_orders_and_those_of_good_customers_are_worth_most(engine: sa.Engine) -> None:
    from data.features import refresh

    keep(engine, document([row("1", order_total="5000.00", email="rich@example.com", customer_id="r")]))
    drained(engine)
    refresh.refresh(engine, account_id="shop", as_of=NOW, now=NOW)
    cheap = {"status": "teleported", "order_total": "10.00"}
    keep(engine, document([row("2", **cheap), row("3", **cheap, email="RICH@example.com")]))
    keep(engine, document([row("4", status="teleported", order_total="900.00")]))
    keep(engine, document([row("5", **cheap)], origin=Origin.PUSH, urgency=Urgency.NOW))
    drained(engine)
    assert {letter.external_id: letter.priority for letter in letters(engine)} == {"2": 20, "3": 520, "4": 910, "5": 60}


def test_accounts_know_nothing_of_each_other(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        tea = replace(accounts.get(connection, "shop"), id="tea")
        accounts.ensure(connection, tea, now=NOW)
    keep(engine, document([row("1")]))
    keep(engine, document([row("1")]), account_id="tea")
    assert drained(engine).tally["loaded"] == 2
    assert feed.count(engine, tables.parties) == 2


def test_what_was_misread_is_corrected_by_reading_it_again(engine: sa.Engine, monkeypatch) -> None:
    from data.channels import registry

    channel = registry.get("csv")

    def misread(payload, delivery):
        return replace(channel.order(payload, delivery), total=Decimal("1.00"))

    keep(engine, document([row("1"), row("2")]))
    with monkeypatch.context() as patch:
        patch.setitem(registry.CHANNELS, "csv", replace(channel, order=misread))
        drained(engine)
    keep(engine, document([row("2", order_total="7.00", updated_at="2026-03-09T12:00:00Z")]))
    drained(engine)
    with database.write(engine) as connection:
        assert records.reread(connection, "shop", "csv", since=NOW - timedelta(days=1)) == 2
    counts = drained(engine).counts()
    assert (counts["updated"], counts["stale"], counts["unchanged"], counts["refused"]) == (1, 1, 1, 0)
    order = tables.orders.c
    with database.read(engine) as connection:
        totals = connection.execute(sa.select(order.external_id, order.total).order_by(order.external_id)).all()
    assert [tuple(one) for one in totals] == [("1", Decimal(10)), ("2", Decimal(7))]


def test_a_record_that_cannot_be_applied_stops_no_other_and_is_set_aside_after_three_times(
    engine: sa.Engine, monkeypatch
) -> None:
    taken_in = drain.apply.orders.take_in

    def failing(connection, items, *arguments, **given):
        if any(item.external_id == "2" for item in items):
            raise RuntimeError("anna@example.com is in the way")
        return taken_in(connection, items, *arguments, **given)

    monkeypatch.setattr(drain.apply.orders, "take_in", failing)
    keep(engine, document([row("1")]), document([row("2")]), document([row("3")]))
    keep(engine, document([row("4")]), channel="till")
    connections = Connections.model_validate(
        {"connections": [{"account": "shop", "channel": "till", "adapter": "csv"}]}
    )
    assert drained(engine, connections=connections).tally["loaded"] == 3
    assert states(engine) == ["done", "pending", "done", "done"]
    for _ in range(2):
        assert drained(engine, connections=connections).tally["loaded"] == 0
    assert states(engine) == ["done", "dead", "done", "done"]
    (letter,) = letters(engine)
    assert "RuntimeError" in letter.reason
    assert "anna" not in letter.reason


def test_thousands_of_refused_orders_in_one_document_are_kept(engine: sa.Engine) -> None:
    """More than a statement may have parameters on PostgreSQL (65,535), were each looked up at once."""
    rows = [row(str(n), email=f"c{n}@example.com", status="teleported") for n in range(12_000)]
    keep(engine, *(document(rows[start : start + 6000]) for start in (0, 6000)))
    drained(engine)
    with database.write(engine) as connection:
        quarantine.release(connection, "shop", "csv", by="jo", note="known", now=NOW + timedelta(hours=1))
    assert drained(engine, now=NOW + timedelta(hours=1)).tally["refused"] == 12_000
    assert feed.count(engine, tables.dead_letters) == 12_000
