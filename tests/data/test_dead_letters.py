import pytest
import sqlalchemy as sa

from data import accounts, database, dead_letters
from data.dead_letters import BadRow, DeadLetter
from domain.accounts import Account
from tests.conftest import NOW

ROW = BadRow(7, "status is empty", {"order_id": "1", "email": "a@example.com"}, 12)


def put(connection: sa.Connection, *rows: BadRow, account_id: str | None = "shop", location: str = "may.csv") -> None:
    dead_letters.put(connection, rows, account_id=account_id, source="csv", location=location, now=NOW)


def theirs(connection: sa.Connection, account_id: str) -> list[DeadLetter]:
    nobodys = {letter.id for letter in dead_letters.listing(connection, None)}
    return [letter for letter in dead_letters.listing(connection, account_id) if letter.id not in nobodys]


def test_a_letter_keeps_the_row_its_place_and_its_reason(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        put(connection, ROW)
        (letter,) = dead_letters.listing(connection, account_id)
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
            owner: [letter.row.row_number for letter in dead_letters.listing(connection, owner)]
            for owner in (account_id, "tea", None)
        }
    assert seen == {account_id: [0, 2], "tea": [1, 2], None: [2]}


def test_the_dearest_come_first(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        put(connection, *(BadRow(n, "bad", {"n": n}, value) for n, value in enumerate([5, 10**12, -3, 5])))
        assert [letter.row.row_number for letter in dead_letters.listing(connection, account_id)] == [1, 0, 3, 2]
        assert [letter.row.row_number for letter in dead_letters.listing(connection, account_id, limit=1)] == [1]
        assert dead_letters.listing(connection, account_id, source="webhook") == []


@pytest.mark.parametrize("text", ["NUL \0 here", "🍵", "'; DROP TABLE parties; --"])
def test_any_text_can_be_kept(engine: sa.Engine, account_id: str, text: str) -> None:
    with database.write(engine) as connection:
        put(connection, BadRow(1, "bad", {text: [text, {"deep": text, "number": 1.5, "none": None}]}))
        (letter,) = dead_letters.listing(connection, account_id)
    kept = text.replace("\0", "\N{SYMBOL FOR NULL}")
    assert letter.row.payload == {kept: [kept, {"deep": kept, "number": 1.5, "none": None}]}
