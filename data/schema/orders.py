"""Orders, their lines, and what came in refused or whole."""

import sqlalchemy as sa

from data.columns import Id, Json, Money
from data.schema import base

orders = sa.Table(
    "orders",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("channel"),
    base.text("external_id"),
    sa.Column("party_id", sa.ForeignKey("parties.id"), nullable=False),
    base.text("status"),
    base.text("channel_status"),
    base.text("currency"),
    sa.Column("total", Money, nullable=False),
    sa.Column("refunded", Money, nullable=False),
    base.at("placed_at"),
    base.at("updated_at"),
    base.at("cancelled_at", required=False),
    sa.Column("is_test", sa.Boolean, nullable=False),
    base.text("content_hash"),
    sa.UniqueConstraint("account_id", "channel", "external_id"),
    sa.Index(None, "party_id", "placed_at"),
)

order_lines = sa.Table(
    "order_lines",
    base.metadata,
    sa.Column("order_id", sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("line_no", sa.Integer, primary_key=True),
    base.text("sku"),
    base.text("title", required=False),
    base.text("category", required=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("total", Money, nullable=False),
)

intake_files = sa.Table(
    "intake_files",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("channel"),
    base.text("name"),
    base.text("content_hash"),
    base.count("rows"),
    base.count("loaded"),
    base.count("updated"),
    base.count("unchanged"),
    base.count("stale"),
    base.count("dead"),
    base.at("loaded_at"),
    sa.UniqueConstraint("account_id", "channel", "content_hash"),
)

dead_letters = sa.Table(
    "dead_letters",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=True),  # a webhook element may name nobody
    base.text("source"),
    base.text("location"),
    sa.Column("row_number", sa.Integer, nullable=False),
    base.text("reason"),
    sa.Column("payload", Json, nullable=False),
    base.text("payload_hash"),
    sa.Column("priority", sa.Integer, nullable=False),
    base.text("state"),
    base.at("created_at"),
    sa.UniqueConstraint("source", "location", "row_number", "payload_hash"),
)
