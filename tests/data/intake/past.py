"""Rows of what intake did, as its drain writes them."""

from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from tests.conftest import NOW


def batch(
    engine: sa.Engine,
    orders: int,
    refused: int = 0,
    *,
    at: datetime = NOW,
    received: datetime | None = None,
    channel: str = "csv",
    account_id: str = "shop",
    **fired: int,
) -> None:
    row = {
        "account_id": account_id,
        "channel": channel,
        "drained_at": at,
        "first_received_at": received or at,
        "last_received_at": received or at,
        "verdict": "passed",
        "records": 1,
        "orders": orders,
        "refused": refused,
        "fired": fired,
    }
    with database.write(engine) as connection:
        connection.execute(tables.intake_batches.insert().values(row))


def letters(
    engine: sa.Engine,
    rule: str,
    state: str,
    count: int,
    *,
    at: datetime = NOW,
    channel: str = "csv",
    account_id: str | None = "shop",
) -> None:
    rows = [
        {
            "account_id": account_id,
            "source": channel,
            "location": f"{rule} {state} {at} {account_id}",
            "row_number": number,
            "reason": "x",
            "payload": {},
            "payload_hash": str(number),
            "priority": 0,
            "state": state,
            "created_at": at,
            "rule": rule,
        }
        for number in range(count)
    ]
    if not rows:
        return
    with database.write(engine) as connection:
        connection.execute(tables.dead_letters.insert(), rows)


def second_account(engine: sa.Engine) -> str:
    with database.write(engine) as connection:
        row = dict(connection.execute(sa.select(tables.accounts)).mappings().first() or {})
        connection.execute(tables.accounts.insert().values(row | {"id": "other"}))
    return "other"
