"""What is known of the ESPs' own suppression lists: read there, or put there by us."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0009"
down_revision = "0008"


def _at(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "esp_listings",
        sa.Column("provider", sa.Text(), primary_key=True),
        sa.Column("listing", sa.Text(), primary_key=True),
        sa.Column("address_hash", sa.Text(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=True),
        _at("listed_at", nullable=False),
        _at("expires_at"),
        sa.Column("words", sa.Text(), nullable=True),
        _at("pushed_at"),
        _at("confirmed_at"),
    )
    op.create_index("ix_esp_listings_address_hash", "esp_listings", ["address_hash"])


def downgrade() -> None:
    op.drop_table("esp_listings")
