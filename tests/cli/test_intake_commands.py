"""Orders in: files, the queue, what was refused, what waits."""

import gzip
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

import settings
from cli import intake_commands
from data import accounts, database, inbox, tables
from domain.accounts import Account
from tests.cli.conftest import ORDERS, Campaigns
from tests.conftest import NOW
from tests.data.intake.feed import HEADER, row
from tests.providers.loopback import Answer, answering

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
COMMANDS = (
    "load",
    "drain",
    "pull",
    "health",
    "dead-letters",
    "patch",
    "replay",
    "discard",
    "quarantine",
    "release",
    "reread",
)


def _csv(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def _count(engine: sa.Engine, table: sa.Table) -> int:
    with database.read(engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _use(environment: pytest.MonkeyPatch, variable: str, file: Path, text: str) -> None:
    file.write_text(text)
    environment.setenv(variable, str(file))
    settings.load.cache_clear()


# Files


def test_orders_go_in_once(shop: sa.Engine, campaigns: Campaigns) -> None:
    first = campaigns("intake", ORDERS / "good.csv", "--json")
    assert (first.status, first.err) == (0, "")
    nothing = dict.fromkeys(("updated", "unchanged", "stale", "deleted", "ignored", "refused", "waiting"), 0)
    told = {"files": 1, "rows": 5, "records": 1, "new_records": 1, "orders": 4, "loaded": 4}
    assert first.json == told | nothing | {"unreadable": [], "quarantined": []}
    again = campaigns("intake", "load", ORDERS / "good.csv")
    assert (again.status, again.lines[0]) == (
        0,
        "1 file, 5 rows: all of it was brought before, so there is nothing new to load.",
    )
    assert _count(shop, tables.orders) == 4


@SQLITE
@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "arguments",
    [
        ("FILE",),
        ("load", "FILE"),
        ("--channel", "csv", "FILE"),
        ("FILE", "--channel", "csv"),
        ("--account", "shop", "FILE"),
    ],
)
def test_a_file_needs_no_command_and_options_stand_anywhere(campaigns: Campaigns, arguments: tuple[str, ...]) -> None:
    told = campaigns("intake", *(ORDERS / "good.csv" if one == "FILE" else one for one in arguments))
    assert (told.status, told.err) == (0, "")
    assert told.lines == ["1 file, 5 rows.", "Orders: 4 loaded."]


def test_help_lists_the_commands(campaigns: Campaigns) -> None:
    for told in (campaigns("intake", "--help"), campaigns("intake")):
        for name in (*COMMANDS, "rules", "tune", "FILE|DIR|COMMAND"):
            assert name in told.out
    assert "--stage-only" in campaigns("intake", "load", "--help").out
    assert "--stage-only" in campaigns("intake", "x.csv", "--help").out


@pytest.mark.usefixtures("shop")
def test_bad_orders_become_dead_letters_and_the_rest_is_loaded(campaigns: Campaigns) -> None:
    told = campaigns("intake", ORDERS / "bad.csv")
    assert told.status == 0
    assert told.lines == [
        "1 file, 24 rows.",
        "Orders: 2 loaded.",
        "20 orders went to the dead letters: `campaigns intake dead-letters` says why.",
    ]
    found = campaigns("intake", "dead-letters", "--json").json
    assert len(found) == 20
    assert list(found[0]) == [
        *("id", "score", "channel", "order", "from", "row", "since", "rule", "fields", "patched", "next_try", "reason")
    ]
    first = {name: found[0][name] for name in ("score", "channel", "order", "from", "row", "rule", "fields")}
    assert first == {
        "score": 20,
        "channel": "csv",
        "order": "2002",
        "from": "bad.csv",
        "row": 3,
        "rule": "status_unknown",
        "fields": "status",
    }
    lines = campaigns("intake", "dead-letters", "--channel", "csv", "--top", 3).lines
    assert lines[0].split() == ["ID", "SCORE", "ORDER", "CHANNEL", "FROM", "ROW", "SINCE", "STATE", "RULE", "REASON"]
    assert lines[1].endswith("status is none of: placed, paid, shipped, completed, cancelled, refunded, canceled")
    assert lines[5] == "3 of 20 open dead letters, the dearest first."
    assert f"`replay {found[0]['id']}` says what would come of it" in lines[6]
    assert [one["rule"] for one in campaigns("intake", "dead-letters", "--rule", "conflict", "--json").json] == [
        "conflict"
    ]
    assert campaigns("intake", "dead-letters", "--channel", "web").lines == ["No open dead letters."]


@SQLITE
@pytest.mark.usefixtures("shop")
def test_a_folder_and_what_of_it_cannot_be_read(campaigns: Campaigns, tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    _csv(folder / "a.csv", row("1"))
    (folder / "b.csv").write_text("Dear Sir or Madam\n")
    (folder / "c.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, row("2"), row("1")]).encode()))
    told = campaigns("intake", folder)
    assert (told.status, told.err) == (1, "")
    assert told.lines[:2] == ["3 files, 3 rows.", "Orders: 2 loaded, 1 unchanged."]
    assert told.lines[2].startswith("Not read to the end: b.csv: ")
    payload = campaigns("intake", folder, "--json").json
    assert (payload["files"], payload["new_records"], len(payload["unreadable"])) == (3, 0, 1)


@SQLITE
@pytest.mark.usefixtures("shop")
def test_what_is_no_file_of_orders_is_refused(campaigns: Campaigns, tmp_path: Path) -> None:
    assert campaigns("intake", "nowhere.csv").mistake == "there is no file nowhere.csv"
    assert campaigns("intake", "helth").mistake == "there is no file helth; did you mean the command health?"
    assert "Missing argument 'FILE|DIR'" in campaigns("intake", "--json").mistake
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"there is no file in {empty} that can be read: .csv" in campaigns("intake", empty).mistake
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "there is no header row in UTF-8" in campaigns("intake", picture).mistake
    (tmp_path / "empty.csv").touch()
    assert "the file is empty" in campaigns("intake", "empty.csv").mistake
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((ORDERS / "good.csv").read_bytes())[:-30])
    assert "cut.csv.gz cannot be read" in campaigns("intake", cut).mistake
    assert campaigns("intake", "dead-letters").lines == ["No open dead letters."]
    assert "there is no adapter 'till'" in campaigns("intake", ORDERS / "good.csv", "--channel", "till").mistake
    assert (
        "no channel can be called 'My till'" in campaigns("intake", ORDERS / "good.csv", "--channel", "My till").mistake
    )


@SQLITE
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("connections: [{account: shop, channel: own, api: {url: 's3cr3t', token: 's3cr3t'}}]", "api.url: "),
        ("connections: [\n s3cr3t: {", "is no YAML, line "),
        ("connections: [{account: shop, channel: csv, webhook_secret: s3cr3t}]", "webhook_secret: Extra inputs"),
        ("{account: shop}", "account: Extra inputs"),
    ],
)
def test_an_unusable_channels_file_is_one_line_without_a_secret(
    shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path, text: str, says: str
) -> None:
    _use(environment, "OMS_INTAKE_CHANNELS_FILE", tmp_path / "shops.yaml", text)
    for command in (ORDERS / "good.csv", "drain", "health", "tune"):
        mistake = campaigns("intake", command).mistake
        assert "shops.yaml" in mistake
        assert says in mistake
        assert "s3cr3t" not in mistake.partition(says)[2]
    assert _count(shop, tables.intake_records) == 0


@SQLITE
@pytest.mark.usefixtures("shop")
def test_unusable_thresholds_and_mappings_are_one_line(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    _use(environment, "OMS_INTAKE_THRESHOLDS_FILE", tmp_path / "gates.yaml", "defaults: {refuse_share: 5}")
    assert "gates.yaml: defaults.refuse_share" in campaigns("intake", ORDERS / "good.csv").mistake
    environment.delenv("OMS_INTAKE_THRESHOLDS_FILE")
    own = "connections: [{account: shop, channel: own, adapter: mapped, mapping: own.yaml}]"
    _use(environment, "OMS_INTAKE_CHANNELS_FILE", tmp_path / "shops.yaml", own)
    assert "own.yaml cannot be read" in campaigns("intake", ORDERS / "good.csv", "--channel", "own").mistake
    (tmp_path / "own.yaml").write_text("format: xml\n")
    assert "own.yaml: format" in campaigns("intake", ORDERS / "good.csv", "--channel", "own").mistake


@pytest.mark.usefixtures("shop")
def test_records_may_be_left_to_the_flow(campaigns: Campaigns) -> None:
    told = campaigns("intake", ORDERS / "good.csv", "--stage-only")
    assert told.lines == ["1 file, 5 rows wait in 1 new records for the flow ingest-orders."]
    assert "loaded" not in campaigns("intake", ORDERS / "good.csv", "--stage-only", "--json").json
    assert campaigns("intake", "drain").lines == ["Orders: 4 loaded."]
    assert campaigns("intake", "drain").lines == ["Nothing waits."]
    assert campaigns("intake", "drain", "--json").json["held"] == []


@SQLITE
@pytest.mark.usefixtures("shop")
def test_on_a_terminal_there_is_a_bar_and_never_in_json(campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_commands, "Console", lambda **given: Console(**given, force_terminal=True))
    assert campaigns("intake", ORDERS / "good.csv", "--json").err == ""
    assert "Reading bad.csv" in campaigns("intake", ORDERS / "bad.csv").err


# Dead letters


@pytest.fixture
def bad(shop: sa.Engine, campaigns: Campaigns, tmp_path: Path) -> list[int]:
    """A lost status, a total that is no number, an order too old to be true, a conflict; their letters' numbers."""
    rows = [
        row("1", status="lost", email="jane@example.com"),
        row("2", order_total="ten", line_total="10.00"),
        row("3", placed_at="1990-03-01T12:00:00Z"),
        row("4"),
    ]
    campaigns("intake", _csv(tmp_path / "may.csv", *rows))
    campaigns("intake", _csv(tmp_path / "june.csv", row("4", order_total="12.00")))
    return sorted(one["id"] for one in campaigns("intake", "dead-letters", "--json").json)


def test_a_letter_is_looked_at_patched_replayed_and_gone(shop: sa.Engine, campaigns: Campaigns, bad: list[int]) -> None:
    first, second, old, conflict = bad
    refused = campaigns("intake", "replay", first)
    assert refused.status == 1
    assert refused.lines[0].split() == ["ID", "WOULD", "BE"]
    assert refused.lines[1].split()[:6] == [str(first), "refused", "status", "is", "none", "of:"]
    assert refused.lines[2:] == ["", "1 refused.", "Nothing was changed: the same command with --do does it."]
    kept = campaigns("intake", "patch", first, "status=paid", "order_total=10.00")
    assert kept.lines == [f"Kept. `campaigns intake replay {first}` says what would come of it."]
    assert campaigns("intake", "patch", second, "order_total=10.00", "--json").json == {
        "id": second,
        "fields": ["order_total"],
    }
    dry = campaigns("intake", "replay", first, second, old, conflict, "--as-is", "--json")
    assert [one["result"] for one in dry.json] == ["loaded", "loaded", "loaded", "updated"]
    assert (dry.status, _count(shop, tables.orders)) == (0, 1)
    done = campaigns("intake", "replay", "--all", "--as-is", "--do")
    assert (done.status, done.lines[-1]) == (0, "3 loaded, 1 updated.")
    assert _count(shop, tables.orders) == 4
    assert campaigns("intake", "replay", "--all", "--do").lines == ["No open dead letters."]
    again = campaigns("intake", "replay", first, first, "--do", "--json")
    assert (again.status, again.json) == (0, [{"id": first, "result": "ended already", "told": "it was fixed"}])


def test_what_stays_refused_is_bad_news(campaigns: Campaigns, bad: list[int]) -> None:
    told = campaigns("intake", "replay", "--channel", "csv", "--do")
    assert told.status == 1
    assert told.lines[-1] == "3 refused, 1 conflict."
    assert campaigns("intake", "replay", "--rule", "too_old", "--as-is", "--do").status == 0
    assert campaigns("intake", "replay", "--rule", "too_old", "--as-is", "--do").lines == ["No open dead letters."]


@SQLITE
def test_wrong_words_about_letters_are_one_line(campaigns: Campaigns, bad: list[int]) -> None:
    first = bad[0]
    assert "which ones?" in campaigns("intake", "replay").mistake
    assert "name either numbers, or" in campaigns("intake", "replay", first, "--all").mistake
    assert campaigns("intake", "replay", 4711).mistake == "there is no dead letter 4711 in this account"
    assert "Invalid value" in campaigns("intake", "replay", 10**20).mistake
    assert "Invalid value" in campaigns("intake", "replay", "first").mistake
    assert "a change is written FIELD=VALUE" in campaigns("intake", "patch", first, "status").mistake
    assert "a change is written FIELD=VALUE" in campaigns("intake", "patch", first, "=paid").mistake
    assert (
        "there is no place billing.email in this record"
        in campaigns("intake", "patch", first, "billing.email=x").mistake
    )
    assert "Missing argument 'ID...'" in campaigns("intake", "discard", "--note", "x").mistake
    assert "Missing option '--note'" in campaigns("intake", "discard", first).mistake
    assert "--note is empty" in campaigns("intake", "discard", first, "--note", " ").mistake
    for top in (0, 10_001, "many"):
        assert "Invalid value for '--top'" in campaigns("intake", "dead-letters", "--top", top).mistake


def test_letters_are_discarded_with_a_reason(shop: sa.Engine, campaigns: Campaigns, bad: list[int]) -> None:
    told = campaigns("intake", "discard", bad[0], bad[1], "--note", "doubles, says jane@example.com")
    assert told.lines == ["2 discarded."]
    again = campaigns("intake", "discard", bad[1], bad[2], "--note", "doubles")
    assert again.lines == [f"1 discarded. Ended already: {bad[1]}."]
    left = campaigns("intake", "discard", bad[3], "--note", "x", "--json").json
    assert left == {"discarded": [bad[3]], "ended_already": []}
    assert "was discarded already" in campaigns("intake", "patch", bad[0], "status=paid").mistake
    with database.read(shop) as connection:
        log = connection.execute(sa.select(tables.audit_log)).all()
    assert [one.action for one in log] == ["dead letter: discard"] * 4
    assert "@" not in repr([one.detail for one in log])


def test_records_are_shown_when_asked_for_and_the_audit_log_knows(
    shop: sa.Engine, campaigns: Campaigns, bad: list[int]
) -> None:
    campaigns("intake", "patch", bad[0], "email=joan@example.com")
    quiet = [
        campaigns("intake", name, *more).out
        for name in ("dead-letters", "rules", "health")
        for more in ((), ["--json"])
    ]
    quiet += [campaigns("intake", "replay", "--all", *more).out for more in ((), ["--json"], ["--as-is"])]
    assert not any("@" in out for out in quiet)
    with database.read(shop) as connection:
        assert [one.action for one in connection.execute(sa.select(tables.audit_log))] == ["dead letter: patch"]
    found = campaigns("intake", "dead-letters", "--payload", "--rule", "status_unknown", "--json").json
    assert (found[0]["payload"][0]["email"], found[0]["patched"]) == ("jane@example.com", True)
    assert found[0]["patch"] == [{"path": "email", "value": "joan@example.com"}]
    text = campaigns("intake", "dead-letters", "--payload", "--rule", "status_unknown").lines
    assert text[0].startswith(f"{bad[0]}  csv order 1, may.csv row 2, ")
    assert '        "email": "jane@example.com",' in text
    assert '    patched: email = "joan@example.com"' in text
    assert campaigns("intake", "dead-letters", "--rule", "status_unknown").lines[1].split()[8] == "patched"
    with database.read(shop) as connection:
        log = connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "read")).all()
    assert [(one.account_id, one.subject, one.detail) for one in log] == [
        ("shop", "dead letters", {"ids": [bad[0]]})
    ] * 2
    assert log[0].actor.endswith("(command line)")


@SQLITE
def test_letters_of_another_account_are_not_there(shop: sa.Engine, campaigns: Campaigns, bad: list[int]) -> None:
    with database.write(shop) as connection:
        accounts.ensure(connection, Account("tea", "Tea", "EUR", "UTC", "x", "a@tea.example.com", "Tea"), now=NOW)
        inbox.refuse(connection, provider="sendgrid", inbox_id=7, position=2, reason="no e-mail event", now=NOW)
    for command in (["replay", bad[0]], ["patch", bad[0], "status=paid"], ["discard", bad[0], "--note", "x"]):
        told = campaigns("intake", *command, "--account", "tea")
        assert told.mistake == f"there is no dead letter {bad[0]} in this account"
    (event,) = campaigns("intake", "dead-letters", "--account", "tea", "--json").json
    assert (event["channel"], event["inbox"]) == ("webhook:sendgrid", 7)
    told = campaigns("intake", "dead-letters", "--account", "tea").out
    assert "`campaigns events replay --inbox 7`" in told
    assert f"`discard {event['id']} --note …`" in told
    assert "patch" not in told
    assert "`replay" not in told
    told = campaigns("intake", "dead-letters").out
    assert f"patch {bad[0]} FIELD=VALUE" in told or f"patch {bad[-1]} FIELD=VALUE" in told
    assert "`campaigns events replay --inbox 7`" in told
    told = campaigns("intake", "replay", event["id"], "--account", "tea")
    assert told.status == 1
    assert "is an event of an ESP" in told.out
    assert "no single order" in campaigns("intake", "patch", event["id"], "x=1").mistake


@SQLITE
def test_a_document_that_could_not_be_read_goes_back_on_the_queue(
    shop: sa.Engine, campaigns: Campaigns, tmp_path: Path
) -> None:
    (tmp_path / "orders.jsonl").write_text('{"id": 1}\n')
    campaigns("intake", tmp_path / "orders.jsonl")  # as CSV, which it is not
    (one,) = campaigns("intake", "dead-letters", "--json").json
    assert one["rule"] == "unreadable"
    told = campaigns("intake", "replay", one["id"], "--do")
    assert (told.status, told.lines[-2:]) == (0, ["1 queued.", "`campaigns intake drain` reads the queued ones."])
    campaigns("intake", "drain")
    assert [again["id"] for again in campaigns("intake", "dead-letters", "--json").json] == [one["id"]]


# Gates


@pytest.fixture
def drifted(shop: sa.Engine, campaigns: Campaigns, tmp_path: Path) -> Any:
    """What the command says of a file of which every fifth order cannot be used."""
    rows = [row(str(n), status="teleported" if n % 5 == 0 else "paid") for n in range(300)]
    return campaigns("intake", _csv(tmp_path / "drift.csv", *rows))


def test_what_is_past_its_threshold_waits_until_a_person_lets_it_pass(
    shop: sa.Engine, campaigns: Campaigns, drifted: Any, tmp_path: Path
) -> None:
    assert drifted.status == 1
    assert "At most 5 % of the orders are refused (60 of 300 orders, 20 %)" in drifted.lines[1]
    assert "`campaigns intake release --channel csv --note …` lets them pass" in drifted.lines[2]
    again = campaigns("intake", _csv(tmp_path / "more.csv", row("1000")))
    assert (again.status, len(again.lines)) == (1, 2)
    assert "csv of shop is in quarantine: 2 records wait and nothing is lost" in again.lines[1]
    assert campaigns("intake", tmp_path / "more.csv", "--json").json["waiting"] == 2
    drain = campaigns("intake", "drain", "--json")
    assert (drain.status, drain.json["held"]) == (1, [{"account": "shop", "channel": "csv", "waiting": 2}])
    told = campaigns("intake", "quarantine")
    assert told.status == 1
    assert told.lines[1].split()[0] == "HELD"
    assert "status_unknown 60" in told.lines[1]
    assert "channel 'till' of account 'shop' is not in quarantine; those that are: csv" in (
        campaigns("intake", "release", "--channel", "till", "--note", "x").mistake
    )
    assert "--note is empty" in campaigns("intake", "release", "--channel", "csv", "--note", "").mistake
    released = campaigns("intake", "release", "--channel", "csv", "--note", "known, says jane@example.com", "--json")
    assert released.json == {"released": "csv"}
    assert campaigns("intake", "drain").lines[0] == "Orders: 241 loaded."
    after = campaigns("intake", "quarantine", "--json")
    assert (after.status, after.json[0]["note"]) == (0, "known, says (address)")
    with database.read(shop) as connection:
        assert "@" not in repr(connection.execute(sa.select(tables.audit_log.c.detail)).all())


def test_what_was_misread_is_read_again(
    shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    lines = {"list": "lines", "sku": "sku", "quantity": "pieces", "total": "net"}
    order = {"external_id": "no", "status": {"value": "paid"}, "currency": {"value": "USD"}, "total": "net"}
    own = {"format": "json", "order": order | {"placed_at": "at"}, "line": lines}
    connection = {"account": "shop", "channel": "own", "adapter": "mapped", "mapping": "own.yaml"}
    _use(environment, "OMS_INTAKE_CHANNELS_FILE", tmp_path / "shops.yaml", json.dumps({"connections": [connection]}))
    raw = {"no": 1, "at": "2026-03-01T12:00:00Z", "net": "10.00", "gross": "11.90"}
    (tmp_path / "own.yaml").write_text(json.dumps(own))
    (tmp_path / "own.jsonl").write_text(json.dumps(raw | {"lines": [{"sku": "A", "pieces": 1, "net": "10.00"}]}))
    assert campaigns("intake", tmp_path / "own.jsonl", "--channel", "own").lines[1] == "Orders: 1 loaded."
    (tmp_path / "own.yaml").write_text(json.dumps(own | {"order": own["order"] | {"total": "gross"}}))
    assert "--note is empty" in campaigns("intake", "reread", "--channel", "own", "--note", " ").mistake
    nothing = campaigns("intake", "reread", "--channel", "till", "--note", "x", "--days", 3)
    assert nothing.lines == ["Nothing of till is kept that came in the last 3 days."]
    told = campaigns("intake", "reread", "--channel", "own", "--note", "gross, says jane@example.com")
    assert told.lines[0].startswith("1 record waits to be read again")
    assert campaigns("intake", "drain").lines == ["Orders: 0 loaded, 1 updated."]
    with database.read(shop) as connection:
        assert connection.scalar(sa.select(tables.orders.c.total)) == Decimal("11.90")
        assert "@" not in repr(connection.execute(sa.select(tables.audit_log.c.detail)).all())
    assert campaigns("intake", "reread", "--channel", "own", "--note", "again", "--json").json == {"records": 1}


@SQLITE
@pytest.mark.usefixtures("shop", "drifted")
def test_the_rules_and_what_history_proposes(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    campaigns("intake", "release", "--channel", "csv", "--note", "known")
    campaigns("intake", "drain")
    lines = campaigns("intake", "rules").lines
    assert lines[0].split()[:3] == ["CHANNEL", "RULE", "FIRED"]
    assert any(line.split()[:4] == ["csv", "status_unknown", "60", "20.0%"] for line in lines)
    assert {one["rule"] for one in campaigns("intake", "rules", "--days", 7, "--json").json} >= {"status_unknown"}
    told = campaigns("intake", "tune").out
    assert "      refuse_share: 0.25\n" in told
    assert "intake.yaml:" in told
    assert campaigns("intake", "tune", "--json").json[0]["proposed"] == 0.25
    mine = "accounts: {shop: {csv: {refuse_share: 0.25}}}"
    _use(environment, "OMS_INTAKE_THRESHOLDS_FILE", tmp_path / "gates.yaml", mine)
    assert campaigns("intake", "tune").lines == ["Nothing to propose: history fits the thresholds."]


@SQLITE
@pytest.mark.usefixtures("shop")
def test_where_nothing_happened_every_command_says_so(campaigns: Campaigns) -> None:
    for command, says in {
        "dead-letters": "No open dead letters.",
        "quarantine": "Nothing is or was in quarantine.",
        "rules": "No rule fired in the last 30 days.",
        "tune": "Nothing to propose: history fits the thresholds.",
        "health": "No channel is declared, and none has brought an order yet.",
        "drain": "Nothing waits.",
    }.items():
        told = campaigns("intake", command)
        assert (told.status, told.lines) == (0, [says])
        assert campaigns("intake", command, "--json").status == 0


# Sources


@SQLITE
@pytest.mark.usefixtures("shop", "drifted")
def test_health_tells_each_source_and_what_to_do(campaigns: Campaigns) -> None:
    told = campaigns("intake", "health")
    assert told.status == 1
    assert told.lines[1].split()[:2] == ["ALARM", "csv"]
    assert told.lines[-1] == "csv: in quarantine: `campaigns intake quarantine` says why"
    (one,) = campaigns("intake", "health", "--json").json
    assert (one["channel"], one["waiting"], one["alarms"]) == ("csv", 1, [told.lines[-1].removeprefix("csv: ")])
    assert (one["lag_seconds"] < 600, one["cursor_age_seconds"], one["refused_share"]) == (True, None, None)


@SQLITE
def test_an_api_is_asked_and_what_it_refuses_is_one_line(
    shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    assert "has no connection medusa of shop" in campaigns("intake", "pull", "--channel", "medusa").mistake
    assert "Missing option '--channel'" in campaigns("intake", "pull").mistake
    answers = iter((Answer(200, b'{"orders": [], "count": 0}'), Answer(401)))
    with answering(lambda _: next(answers)) as server:
        api = f"{{url: '{server.url}', token: s3cr3t}}"
        text = f"connections: [{{account: shop, channel: medusa, api: {api}}}, {{account: shop, channel: csv}}]"
        _use(environment, "OMS_INTAKE_CHANNELS_FILE", tmp_path / "shops.yaml", text)
        assert "csv of shop has no api" in campaigns("intake", "pull", "--channel", "csv").mistake
        assert campaigns("intake", "pull", "--channel", "medusa").out.startswith("Nothing changed since ")
        mistake = campaigns("intake", "pull", "--channel", "medusa").mistake
    assert "s3cr3t" not in mistake
    assert campaigns("intake", "health").status == 1


def test_ndjson_is_read_as_the_channel_wrote_it(shop: sa.Engine, campaigns: Campaigns, tmp_path: Path) -> None:
    document = json.loads((ORDERS / "shopify" / "partially_refunded.json").read_text("utf-8"))
    document = document.get("payload", document)
    (tmp_path / "orders.ndjson").write_text("\n".join(json.dumps(document | {"id": number}) for number in (1, 2)))
    told = campaigns("intake", tmp_path / "orders.ndjson", "--channel", "shopify", "--json").json
    assert (told["rows"], told["loaded"], _count(shop, tables.orders)) == (2, 2, 2)
    assert _count(shop, tables.order_events) > 0


def test_a_file_that_was_cut_off_is_named_by_doctor(shop: sa.Engine, campaigns: Campaigns, tmp_path: Path) -> None:
    now = NOW - timedelta(days=3000)  # long ago, whatever the clock says
    with database.write(shop) as connection:
        row_ = {"account_id": "shop", "channel": "csv", "name": "may.csv", "content_hash": "x", "started_at": now}
        connection.execute(tables.intake_files.insert().values(row_))
    checks = {one["what"]: one for one in campaigns("doctor", "--json").json["checks"]}
    found = checks["orders, csv of shop"]
    assert not found["ok"]
    assert "the file may.csv was cut off while it was read" in found["found"]
    campaigns("intake", _csv(tmp_path / "may.csv", row("1")))
    checks = {one["what"]: one for one in campaigns("doctor", "--json").json["checks"]}
    assert checks["orders"]["ok"]
