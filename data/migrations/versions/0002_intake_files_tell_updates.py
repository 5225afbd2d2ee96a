"""intake_files tell how many orders a file updated, and how many it had in an older state.

The events of an inbox row are found by an index: else removing an old row reads all events.

The audience tells the mailbox of each planned person; of runs before, the one that is on record now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_MAILBOXES = """
UPDATE audience SET address_hash = (SELECT address_hash FROM parties WHERE parties.id = audience.party_id)
WHERE ordinal IS NOT NULL
"""


def upgrade() -> None:
    for name in ("updated", "stale"):
        op.add_column("intake_files", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_delivery_events_inbox_id", "delivery_events", ["inbox_id"])
    op.add_column("audience", sa.Column("address_hash", sa.Text(), nullable=True))
    op.execute(_MAILBOXES)


def downgrade() -> None:
    with op.batch_alter_table("audience") as table:
        table.drop_column("address_hash")
    op.drop_index("ix_delivery_events_inbox_id", "delivery_events")
    with op.batch_alter_table("intake_files") as table:
        table.drop_column("stale")
        table.drop_column("updated")
