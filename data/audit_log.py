"""The audit log: who did what to whom, and why. Rows are only ever added."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import tables


def write(
    connection: sa.Connection,
    *,
    account_id: str | None,
    actor: str,
    action: str,
    subject: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    """Add one row, in the transaction of the deed itself. `detail` holds no addresses."""
    connection.execute(
        tables.audit_log.insert().values(
            account_id=account_id, at=now, actor=actor, action=action, subject=subject, detail=detail
        )
    )
