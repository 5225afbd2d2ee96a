"""Delivery events that wait for their message, and what became of them."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "unplaced_events",
        sa.Column("event_id", data.columns.Id, sa.ForeignKey("delivery_events.id"), primary_key=True),
        sa.Column("inbox_id", data.columns.Id, sa.ForeignKey("webhook_inbox.id"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_try_at", data.columns.Instant(), nullable=True),
        sa.Column("kept_at", data.columns.Instant(), nullable=False),
        sa.Column("placed_at", data.columns.Instant(), nullable=True),
        sa.Column("given_up_at", data.columns.Instant(), nullable=True),
    )
    op.create_index("ix_unplaced_events_next_try_at", "unplaced_events", ["next_try_at"])
    waits = sa.text("next_try_at IS NOT NULL")
    op.create_index(
        "ix_unplaced_events_inbox_id", "unplaced_events", ["inbox_id"], sqlite_where=waits, postgresql_where=waits
    )


def downgrade() -> None:
    op.drop_table("unplaced_events")
