"""A store of transactional messages for the model check: emptied for each history, and every move of a state kept."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import database, suppressions, tables
from data.transactional import AskedBy, Wanted
from data.transactional_lane import TransactionalLane
from data.transactional_mail import Letter
from domain import addresses
from domain.accounts import Account
from domain.failover import Needs
from domain.routes import Route
from domain.suppression import Reason, Stream
from domain.templates import Content
from domain.transactional import Timing, Urgency, id_of
from tests.conftest import PEPPER, add_shop
from tests.data import frozen
from tests.data.frozen import Clock

PEOPLE = 3
Moves = Callable[[], list[tuple[str, str]]]
_WAYS = 6  # ESPs: unknown outcomes open their breakers
_CONTENT = Content("password-reset", "Reset", "<p>Reset</p>", "Reset", (), "hash")
_LOG = "CREATE TABLE IF NOT EXISTS moves (was TEXT, is_now TEXT)"
_KEEP = "INSERT INTO moves VALUES (OLD.state, NEW.state);"
_WATCH = {
    "sqlite": f"""CREATE TRIGGER IF NOT EXISTS watch AFTER UPDATE OF state ON transactional_messages BEGIN {_KEEP} END""",
    "postgresql": f"""
        CREATE OR REPLACE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_KEEP} RETURN NEW; END $$;
        CREATE OR REPLACE TRIGGER watch AFTER UPDATE OF state ON transactional_messages
            FOR EACH ROW EXECUTE FUNCTION moved()""",
}
_TOUCHED = (
    tables.transactional_proofs,
    tables.transactional_attempts,
    tables.transactional_messages,
    tables.suppressions,
    tables.slots,
    tables.provider_states,
    tables.buckets,
)


def empty(engine: sa.Engine) -> Moves:
    """Put an empty store with the account `shop` there; what returns says which states followed which."""
    with database.write(engine) as connection:
        connection.exec_driver_sql(_LOG)
        connection.exec_driver_sql(_WATCH[engine.dialect.name])
        connection.exec_driver_sql("DELETE FROM moves")
        for table in _TOUCHED:
            connection.execute(table.delete())
        if connection.scalar(sa.select(tables.accounts.c.id)) is None:
            add_shop(connection)

    def moves() -> list[tuple[str, str]]:
        with database.read(engine) as connection:
            return [(was, now) for was, now in connection.exec_driver_sql("SELECT DISTINCT was, is_now FROM moves")]

    return moves


def lane(engine: sa.Engine, clock: Clock) -> TransactionalLane:
    """A dispatcher's lane of that account."""
    names = [f"esp{number}" for number in range(_WAYS)]
    return TransactionalLane(
        engine=engine,
        routes=[Route(one, "shop", Stream.TRANSACTIONAL, one, "pool", "mail.shop.example.com") for one in names],
        needs=Needs("shop", Stream.TRANSACTIONAL),
        policy=frozen.POLICY,
        clock=clock,
        account=Account("shop", "The Shop", "USD", "UTC", "1 Street", "news@shop.example.com", "The Shop"),
    )


def address(number: int) -> str:
    return f"customer{number}@delivered.test"


def wanted(number: int, useful: timedelta, *, nth: int, account_id: str = "shop", **facts: Any) -> Wanted:
    """A password reset to customer `number`."""
    return Wanted(
        id=id_of(account_id, str(nth)),
        account_id=account_id,
        template="password-reset",
        timing=Timing(facts.pop("urgency", Urgency.SECURITY), useful),
        asked_by=AskedBy.API,
        email=address(number),
        address_hash=addresses.address_hash(address(number), PEPPER),
        mailbox_group="other",
        variables={"reset_url": "https://shop.test/s3cret"},
        **facts,
    )


def letter(row: Any) -> Letter:
    """What the message of this row says."""
    return Letter(row.email, row.address_hash, row.mailbox_group, _CONTENT)


def complain(engine: sa.Engine, number: int, at: datetime) -> None:
    """She does not want our mail; known from this very moment."""
    with database.write(engine) as connection:
        suppressions.add(
            connection,
            account_id="shop",
            address_hash=addresses.address_hash(address(number), PEPPER),
            reason=Reason.COMPLAINT,
            source="test",
            evidence="",
            now=at,
        )


def renamed(one: Wanted, message_id: str, variables: dict[str, Any]) -> Wanted:
    return replace(one, id=message_id, variables=variables)
