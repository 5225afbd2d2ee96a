"""What the pre-flight found of each way out."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "preflights",
        sa.Column("id", data.columns.Id, primary_key=True),
        sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("lines", data.columns.Json, nullable=False),
        sa.Column("worst", sa.Text(), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("at", data.columns.Instant(), nullable=False),
    )
    op.create_index("ix_preflights_account_id_domain_provider_at", "preflights", ["account_id", "domain", "provider", "at"])


def downgrade() -> None:
    op.drop_table("preflights")
