from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import accounts, database, dead_letters
from data.dead_letters import BadRow, DeadLetter, State
from domain.accounts import Account
from tests.conftest import NOW

ROW = BadRow(
    7,
    "status is empty",
    {"order_id": "1", "email": "a@example.com"},
    12,
    "status_missing",
    ("status",),
    "1",
    NOW - timedelta(days=1),
    {"topic": "orders/create"},
)


def put(connection: sa.Connection, *rows: BadRow, account_id: str | None = "shop", location: str = "may.csv") -> None:
    dead_letters.put(connection, rows, account_id=account_id, source="csv", location=location, now=NOW)


def theirs(connection: sa.Connection, account_id: str) -> list[DeadLetter]:
    nobodys = {letter.id for letter in dead_letters.listing(connection, None, now=NOW)}
    return [letter for letter in dead_letters.listing(connection, account_id, now=NOW) if letter.id not in nobodys]


def test_a_letter_keeps_the_row_its_place_and_its_reason(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        put(connection, ROW)
        (letter,) = dead_letters.listing(connection, account_id, now=NOW)
    assert (letter.source, letter.location, letter.row, letter.state) == ("csv", "may.csv", ROW, "open")
    assert letter.created_at == NOW


def test_the_same_letter_is_kept_once_for_each_place_and_account(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, Account("tea", "Tea", "EUR", "UTC", "x", "a@tea.example.com", "Tea"), now=NOW)
        put(connection, ROW, ROW)
        put(connection, ROW)
        put(connection, ROW, location="june.csv")
        put(connection, ROW, account_id="tea")
        put(connection, ROW, account_id=None)
        put(connection)
        assert [letter.location for letter in theirs(connection, account_id)] == ["may.csv", "june.csv"]
        assert len(theirs(connection, "tea")) == 1


def test_letters_of_nobody_are_shown_to_every_account(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, Account("tea", "Tea", "EUR", "UTC", "x", "a@tea.example.com", "Tea"), now=NOW)
        for number, owner in enumerate((account_id, "tea", None)):
            put(connection, BadRow(number, "bad", {}), account_id=owner)
        seen = {
            owner: [letter.row.row_number for letter in dead_letters.listing(connection, owner, now=NOW)]
            for owner in (account_id, "tea", None)
        }
    assert seen == {account_id: [0, 2], "tea": [1, 2], None: [2]}


def test_the_dearest_come_first(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        put(connection, *(BadRow(n, "bad", {"n": n}, value) for n, value in enumerate([5, 10**12, -3, 5])))
        assert [letter.row.row_number for letter in dead_letters.listing(connection, account_id, now=NOW)] == [
            1,
            0,
            3,
            2,
        ]
        assert [letter.row.row_number for letter in dead_letters.listing(connection, account_id, now=NOW, limit=1)] == [
            1
        ]
        assert dead_letters.listing(connection, account_id, now=NOW, source="webhook") == []


@pytest.mark.parametrize("text", ["NUL \0 here", "🍵", "'; DROP TABLE parties; --"])
def test_any_text_can_be_kept(engine: sa.Engine, account_id: str, text: str) -> None:
    with database.write(engine) as connection:
        put(connection, BadRow(1, "bad", {text: [text, {"deep": text, "number": 1.5, "none": None}]}))
        (letter,) = dead_letters.listing(connection, account_id, now=NOW)
    kept = text.replace("\0", "\N{SYMBOL FOR NULL}")
    assert letter.row.payload == {kept: [kept, {"deep": kept, "number": 1.5, "none": None}]}


def test_a_letter_grows_dearer_with_each_day_it_waits(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        put(connection, BadRow(1, "bad", {"n": 1}, 10))
        for days, value in [(3, 30), (60, 500)]:
            row = BadRow(days, "bad", {"n": days}, value)
            at = NOW + timedelta(days=days)
            dead_letters.put(connection, [row], account_id="shop", source="csv", location="x", now=at)
        for day, first in [(0, 1), (4, 3), (61, 3), (64, 60)]:
            now = NOW + timedelta(days=day)
            here = [
                letter.row.row_number
                for letter in dead_letters.listing(connection, "shop", now=now)
                if letter.created_at <= now
            ]
            assert here[0] == first, day


def test_an_ended_letter_is_listed_no_more_and_ends_once(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        put(connection, ROW)
        (letter,) = dead_letters.listing(connection, account_id, now=NOW)
        assert dead_letters.end(connection, letter.id, State.DISCARDED, by="jo", note="a test", now=NOW)
        assert not dead_letters.end(connection, letter.id, State.FIXED, by="al", now=NOW)
        assert dead_letters.listing(connection, account_id, now=NOW) == []
        (ended,) = dead_letters.get(connection, account_id, [letter.id], now=NOW)
        assert ended.state is State.DISCARDED
        with pytest.raises(dead_letters.UnknownLetter, match="no dead letter"):
            dead_letters.get(connection, "tea", [letter.id], now=NOW)
