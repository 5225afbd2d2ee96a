"""A customer whom many runs mailed, and what came back, day by day."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from data import database, soft_bounces, tables
from data.soft_bounces import Judged
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.policy import SendingPolicy
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import body_of, process, receive

DAY = timedelta(days=1)
POLICY = SendingPolicy(soft_bounces=3, soft_bounces_active=5)
LATER = NOW + 1000 * DAY
FULL = "552 5.2.2 mailbox full"
GONE = "550 5.1.1 user unknown"


def at(day: float) -> datetime:
    return NOW + day * DAY


def shop_of(engine: sa.Engine, runs: int, people: int = 1) -> list[int]:
    """Runs r0 … to the same people, each accepted."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, "shop", people)
        for number in range(runs):
            ledger_rows.add_run(
                connection,
                "shop",
                ids,
                [BatchRow(0, people - 1, attempt=f"a{number}")],
                run_id=f"r{number}",
                status="dispatching",
            )
    return ids


def soft(run: int | None, day: float, text: str = FULL, **facts: object) -> DeliveryEvent:
    """A soft bounce of the recipient's own fault, unless told otherwise."""
    values: dict[str, object] = {"bounce_class": BounceClass.SOFT, "fault": Fault.RECIPIENT, "detail": text, **facts}
    return event(run, EventKind.BOUNCED, day, **values)


def hard(run: int | None, day: float) -> DeliveryEvent:
    return soft(run, day, GONE, bounce_class=BounceClass.HARD, suppresses="hard_bounce")


def event(run: int | None, kind: EventKind, day: float, **facts: object) -> DeliveryEvent:
    message_id = f"r{run}.0" if run is not None else None
    values: dict[str, object] = {"message_id": message_id, "address": ledger_rows.address(0), **facts}
    return DeliveryEvent(provider="sendgrid", kind=kind, occurred_at=at(day), **values)  # type: ignore[arg-type]


def apply(engine: sa.Engine, *some: DeliveryEvent) -> None:
    receive(engine, body_of(*some))
    process(engine)


def judged(engine: sa.Engine, *some: DeliveryEvent, policy: SendingPolicy = POLICY) -> Judged:
    """Apply these and judge."""
    if some:
        apply(engine, *some)
    return soft_bounces.judge(engine, installation=policy, now=LATER)


def standing(engine: sa.Engine) -> dict[str, tuple[datetime, datetime | None]]:
    """What nobody lifted: reason → since when, until when."""
    table = tables.suppressions
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(table).where(table.c.lifted_at.is_(None))).all()
    assert {row.address_hash for row in rows} <= {ledger_rows.hash_of(0)}
    return {row.reason: (row.created_at, row.expires_at) for row in rows}
