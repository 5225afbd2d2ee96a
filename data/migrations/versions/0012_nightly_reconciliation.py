"""Nightly reconciliation: whose turn it is, how far it came, and every difference that it found."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0012"
down_revision = "0011"


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _at(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable)


def _count(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("turn", sa.Integer(), nullable=True),
        _text("worker"),
        _at("started_at"),
        _at("lease_expires_at"),
        _at("finished_at", True),
        _text("account_id", True),
        _text("first_day"),
        _text("last_day"),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("steps", data.columns.Json, nullable=False),
        sa.UniqueConstraint("turn", name="uq_reconciliations_turn"),
    )
    op.create_index("ix_reconciliations_started_at", "reconciliations", ["started_at"])
    op.create_table(
        "reconciliation_differences",
        sa.Column("id", data.columns.Id, primary_key=True),
        sa.Column("reconciliation_id", sa.Text(), sa.ForeignKey("reconciliations.id"), nullable=False),
        _text("kind"),
        _text("provider"),
        _text("day"),
        _text("explanation"),
        _count("count"),
        _count("repaired"),
        _text("account_id", True),
        _text("run_id", True),
        _text("campaign", True),
        _text("measure", True),
        _count("here", True),
        _count("there", True),
        _text("detail"),
    )
    op.create_index(
        "ix_reconciliation_differences_reconciliation_id", "reconciliation_differences", ["reconciliation_id"]
    )


def downgrade() -> None:
    op.drop_table("reconciliation_differences")
    op.drop_table("reconciliations")
