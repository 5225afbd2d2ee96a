"""Unknown texts out of the events: counted once an event, bounded, safe to open in a spreadsheet."""

import csv
import io
from dataclasses import replace

import pytest
import sqlalchemy as sa

from data import database, tables, unknown_replies
from domain.delivery import DeliveryEvent, Fault
from tests.data.bounced import apply, at, shop_of, soft
from tests.data.plain_events import process

STRANGE = "471 =try 3 more times with mx7.example.net for a@example.com"


def strange(run: int | None, day: float, text: str = STRANGE) -> DeliveryEvent:
    return soft(run, day, text, fault=Fault.UNKNOWN)


@pytest.fixture(autouse=True)
def runs(engine: sa.Engine, account_id: str) -> None:
    shop_of(engine, 3)


def listed(engine: sa.Engine) -> list[unknown_replies.UnknownReply]:
    with database.read(engine) as connection:
        return unknown_replies.listing(connection, limit=100)


def test_one_text_is_one_row_and_an_event_counts_once(engine: sa.Engine) -> None:
    first, second = strange(0, 1), strange(1, 0, STRANGE.replace("3", "11").replace("mx7", "mx9"))
    apply(engine, first)
    apply(engine, first, second)
    (row,) = listed(engine)
    assert (row.count, row.first_seen, row.last_seen) == (2, at(0), at(1))
    assert row.text == "471 =try <n> more times with <host> for <address>"
    assert "mx7" in row.example
    assert "a@example.com" not in row.example
    assert (row.provider, row.mailbox_group) == ("sendgrid", "mixed")


def test_what_names_no_run_is_kept_by_its_esp(engine: sa.Engine) -> None:
    apply(engine, strange(None, -1))
    (row,) = listed(engine)
    assert (row.provider, row.mailbox_group) == ("sendgrid", "unknown")
    with database.read(engine) as connection:
        assert unknown_replies.totals(connection) == (1, 1)
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.suppressions)) == 0


def test_strange_words_are_kept_whomever_the_esp_blames(engine: sa.Engine) -> None:
    words = "550 Wobble frobnicated beyond the quux"
    apply(engine, soft(0, 1, words, fault=Fault.SENDER), soft(1, 1, words, fault=Fault.RECIPIENT))
    (row,) = listed(engine)
    assert (row.count, row.text) == (2, words)


def test_what_is_placed_late_counts_once(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().values(state="inflight"))
    apply(engine, replace(strange(None, 1 / 24), provider_message_id="x"))
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().values(state="accepted"))
        connection.execute(
            tables.batch_attempts.update().where(sa.literal_column("id") == "a1").values(provider_reference="x")
        )
    assert process(engine, now=at(1)).placed_late == 1
    (row,) = listed(engine)
    assert row.count == 1


def test_the_commonest_and_the_latest_are_kept(engine: sa.Engine) -> None:
    words = ["often", "early", "late", "last"]
    apply(engine, *(strange(None, -5 + number / 10, "471 often") for number in range(4)))
    apply(engine, *(strange(None, day, f"471 {word}") for day, word in enumerate(words[1:])))
    with database.write(engine) as connection:
        assert unknown_replies.trim(connection, most=4) == 0
        assert unknown_replies.trim(connection, most=2) == 2
    assert {row.text for row in listed(engine)} == {"471 often", "471 last"}


def test_the_csv_holds_no_formula(engine: sa.Engine) -> None:
    apply(engine, strange(None, 0, "=HYPERLINK(1)"))
    page = io.StringIO()
    unknown_replies.export_csv(listed(engine), page)
    heads, row = csv.reader(io.StringIO(page.getvalue()))
    assert heads[0] == "text"
    assert row[0].startswith("'=")
