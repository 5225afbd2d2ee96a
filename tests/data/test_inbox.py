import pytest
import sqlalchemy as sa

from data import database, inbox, tables
from tests.data.ledger_rows import NOW


def _store(engine: sa.Engine, *bodies: bytes, provider: str = "sendgrid") -> list[bool]:
    with database.write(engine) as connection:
        return [inbox.store(connection, provider=provider, body=body, now=NOW) for body in bodies]


def _only(engine: sa.Engine) -> sa.Row:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.webhook_inbox)).one()


def test_the_same_body_is_kept_once_a_provider(engine: sa.Engine) -> None:
    assert _store(engine, b"[1]", b"[1]", b"[2]") == [True, False, True]
    assert _store(engine, b"[1]") == [False]
    assert _store(engine, b"[1]", provider="mailchimp") == [True]
    with database.read(engine) as connection:
        assert inbox.backlog(connection) == 3


def test_pending_bodies_come_oldest_first_until_they_are_finished(engine: sa.Engine) -> None:
    _store(engine, b"\x00raw", b"b", b"c")
    with database.write(engine) as connection:
        first, second = inbox.pending(connection, 2)
        assert (first.provider, first.body, second.body) == ("sendgrid", b"\x00raw", b"b")
        inbox.finish(connection, [first.id], now=NOW)
    with database.write(engine) as connection:
        assert [row.body for row in inbox.pending(connection, 9)] == [b"b", b"c"]
        assert [row.body for row in inbox.pending(connection, 9, after=second.id)] == [b"c"]
        assert inbox.backlog(connection) == 2


def test_two_processors_never_hold_the_same_body(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time: the second waits before it can look")
    _store(engine, b"a", b"b")
    with database.write(engine) as one, database.write(engine) as other:
        assert [row.body for row in inbox.pending(one, 1)] == [b"a"]
        assert [row.body for row in inbox.pending(other, 9)] == [b"b"]


def test_the_third_strike_kills_and_leaves_a_letter(engine: sa.Engine) -> None:
    _store(engine, b"poison")
    inbox_id = _only(engine).id
    for dead in (False, False, True):
        with database.write(engine) as connection:
            assert inbox.strike(connection, inbox_id, error="KeyError", now=NOW) is dead
    row = _only(engine)
    assert (row.state, row.strikes, row.body) == ("dead", 3, b"poison")
    with database.read(engine) as connection:
        letter = connection.execute(sa.select(tables.dead_letters)).one()
        assert (letter.source, letter.payload["inbox_id"]) == ("webhook:sendgrid", inbox_id)
        assert "3 times" in letter.reason
        assert inbox.backlog(connection) == 0
