"""The nights' reconciliations: whose turn it was, how far it came, what differed."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

# `turn` is 1 while one is at work and NULL afterwards: being unique, it lets nobody begin beside another.
reconciliations = sa.Table(
    "reconciliations",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("turn", sa.Integer, nullable=True, unique=True),
    base.text("worker"),
    base.at("started_at"),
    base.at("lease_expires_at"),
    base.at("finished_at", required=False),  # NULL of one that died
    base.text("account_id", required=False),  # NULL: all accounts
    base.text("first_day"),
    base.text("last_day"),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("steps", Json, nullable=False),  # name → when it was done, and its counts
    sa.Index(None, "started_at"),
)

reconciliation_differences = sa.Table(
    "reconciliation_differences",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("reconciliation_id", sa.ForeignKey("reconciliations.id"), nullable=False, index=True),
    base.text("kind"),
    base.text("provider"),
    base.text("day"),
    base.text("explanation"),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("repaired", sa.Integer, nullable=False),
    base.text("account_id", required=False),
    base.text("run_id", required=False),
    base.text("campaign", required=False),
    base.text("measure", required=False),
    sa.Column("here", sa.Integer, nullable=True),
    sa.Column("there", sa.Integer, nullable=True),
    base.text("detail"),
)
