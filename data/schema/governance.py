"""Governance: the audit log, and up to when ESPs were read."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

audit_log = sa.Table(
    "audit_log",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=True),
    base.at("at"),
    base.text("actor"),
    base.text("action"),
    base.text("subject"),
    sa.Column("detail", Json, nullable=False),
    sa.Index(None, "subject"),
)

# Up to when an ESP's own lists were read; the next read overlaps it.
sync_cursors = sa.Table(
    "sync_cursors",
    base.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    base.at("read_until"),
)
