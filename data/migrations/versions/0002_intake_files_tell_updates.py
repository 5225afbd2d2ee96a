"""intake_files tell how many orders a file updated, and how many it had in an older state.

The events of an inbox row are found by an index: else removing an old row reads all events.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("updated", "stale"):
        op.add_column("intake_files", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_delivery_events_inbox_id", "delivery_events", ["inbox_id"])


def downgrade() -> None:
    op.drop_index("ix_delivery_events_inbox_id", "delivery_events")
    with op.batch_alter_table("intake_files") as table:
        table.drop_column("stale")
        table.drop_column("updated")
