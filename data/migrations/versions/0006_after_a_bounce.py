"""After a bounce: marks of addresses, sender's refusals, unknown replies; brakes of one provider; when a suppression came."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0006"
down_revision = "0005"


def _text(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, **options)


def _at(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "address_marks",
        sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), primary_key=True),
        _text("address_hash", primary_key=True),
        _text("kind", primary_key=True),
        _text("message", primary_key=True),
        _at("at"),
        _at("judged_at", True),
        _at("looked_at", True),
    )
    op.create_index("ix_address_marks_judged_at", "address_marks", ["judged_at"])
    op.create_index("ix_address_marks_kind_at", "address_marks", ["kind", "at"])
    op.create_table(
        "sender_refusals",
        sa.Column("run_id", sa.Text(), sa.ForeignKey("campaign_runs.id"), primary_key=True),
        sa.Column("ordinal", sa.Integer(), primary_key=True),
        _text("trouble", primary_key=True),
        sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False),
        _text("provider"),
        _text("mailbox_group"),
        _text("text"),
        _text("example"),
        _at("at"),
    )
    op.create_index("ix_sender_refusals_account_id_at", "sender_refusals", ["account_id", "at"])
    op.create_index("ix_sender_refusals_at", "sender_refusals", ["at"])
    op.create_table(
        "unknown_replies",
        sa.Column("id", data.columns.Id, primary_key=True),
        _text("provider"),
        _text("mailbox_group"),
        _text("text"),
        sa.Column("count", sa.Integer(), nullable=False, server_default="0"),
        _at("first_seen"),
        _at("last_seen"),
        _text("example"),
        sa.UniqueConstraint("provider", "mailbox_group", "text"),
    )
    op.add_column("delivery_events", _text("cause", True))
    op.add_column("suppressions", _at("recorded_at", True))
    op.add_column("brakes", _text("provider", True))
    op.add_column("accounts", sa.Column("soft_bounces", sa.Integer(), nullable=True))
    op.add_column("accounts", sa.Column("soft_bounces_active", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts", "soft_bounces_active")
    op.drop_column("accounts", "soft_bounces")
    op.drop_column("brakes", "provider")
    op.drop_column("suppressions", "recorded_at")
    op.drop_column("delivery_events", "cause")
    for name in ("unknown_replies", "sender_refusals", "address_marks"):
        op.drop_table(name)
