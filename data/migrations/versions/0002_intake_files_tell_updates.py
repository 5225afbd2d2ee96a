"""intake_files tell how many orders a file updated, and how many it had in an older state."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("updated", "stale"):
        op.add_column("intake_files", sa.Column(name, sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("intake_files") as table:
        table.drop_column("stale")
        table.drop_column("updated")
