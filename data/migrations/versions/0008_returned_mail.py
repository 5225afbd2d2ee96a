"""How far mailboxes were read to which bounces and complaints come."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "mailbox_cursors",
        sa.Column("mailbox", sa.Text(), primary_key=True),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("read_at", data.columns.Instant(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("mailbox_cursors")
