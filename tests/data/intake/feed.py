"""Feeding the intake in tests: CSV documents as records, and a drain that judges for real."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from data import database, tables
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connections
from data.expectations import gate
from data.intake import drain, records, thresholds
from data.intake.drain import DrainReport, Intake
from data.intake.records import Incoming
from data.order_triggers import TriggerBook
from tests.conftest import NOW, PEPPER

HEADER = "order_id,customer_id,email,status,currency,order_total,placed_at,updated_at,line_no,sku,quantity,line_total"
BOOK = thresholds.load(Path(thresholds.__file__).parents[1] / "expectations" / "intake.yaml")


def row(order_id: str, **cells: Any) -> str:
    """One order of one line."""
    values = {
        "order_id": order_id,
        "customer_id": f"c{order_id}",
        "email": f"c{order_id}@example.com",
        "status": "paid",
        "currency": "USD",
        "order_total": "10.00",
        "placed_at": "2026-03-01T12:00:00Z",
        "updated_at": "2026-03-01T12:00:00Z",
        "line_no": 1,
        "sku": "TEA",
        "quantity": 1,
    } | cells
    values.setdefault("line_total", values["order_total"])
    return ",".join(str(values[name]) for name in HEADER.split(","))


def document(rows: Iterable[str], **about: Any) -> Incoming:
    """A piece of a CSV file."""
    body = "\n".join([HEADER, *rows, ""]).encode()
    given = {"origin": Origin.FILE, "source": "may.csv", "received_at": NOW, "urgency": Urgency.BULK, "first_row": 2}
    return Incoming(body, **(given | about))


def keep(engine: sa.Engine, *documents: Incoming, channel: str = "csv", account_id: str = "shop") -> int:
    """Store documents as records; return how many were new."""
    with database.write(engine) as connection:
        return records.store(connection, account_id, channel, documents)


def intake(
    engine: sa.Engine,
    *,
    book: Any = None,
    connections: Any = None,
    now: datetime = NOW,
    triggers: TriggerBook | None = None,
) -> Intake:
    """All that draining takes, on the given thresholds; no order asks for mail unless there are triggers."""
    given = (connections or Connections(), book or BOOK, PEPPER, lambda: now, gate.check_intake)
    return Intake(engine, *given, triggers=triggers or TriggerBook())


def drained(engine: sa.Engine, **given: Any) -> DrainReport:
    """Drain all that waits."""
    return drain.drain(intake(engine, **given))


def letters(engine: sa.Engine) -> list[sa.Row]:
    """All dead letters, in the order in which they were kept."""
    with database.read(engine) as connection:
        return list(connection.execute(sa.select(tables.dead_letters).order_by(tables.dead_letters.c.id)))


def count(engine: sa.Engine, table: sa.Table) -> int:
    """How many rows a table has."""
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
