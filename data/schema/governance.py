"""Governance: the audit log, up to when ESPs were read, and what is known of their own lists."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

audit_log = sa.Table(
    "audit_log",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=True),
    base.at("at"),
    base.text("actor"),
    base.text("action"),
    base.text("subject"),
    sa.Column("detail", Json, nullable=False),
    sa.Index(None, "subject"),
)

# Up to when an ESP's own lists were read; the next read overlaps it.
sync_cursors = sa.Table(
    "sync_cursors",
    base.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    base.at("read_until"),
)

# Who is on an ESP's own list, as far as it was read or written. The list is the ESP's, whichever accounts mail through
# it; addresses are hashes here too.
esp_listings = sa.Table(
    "esp_listings",
    base.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("listing", sa.Text, primary_key=True),
    sa.Column("address_hash", sa.Text, primary_key=True),
    base.text("reason", required=False),  # what it means to us; none: evidence that refuses nobody
    base.at("listed_at"),  # of a list without times: the latest that it can have been when it was first read there
    base.at("expires_at", required=False),  # when the ESP itself forgets it
    base.text("words", required=False),  # the ESP's, without addresses
    base.at("pushed_at", required=False),  # when we were about to put it there, if it was us
    base.at("confirmed_at", required=False),  # when the ESP took it, or when it was read there last
    sa.Index(None, "address_hash"),
)
