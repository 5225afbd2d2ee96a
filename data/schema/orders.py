"""Orders: their lines, their timelines, and what the channels deleted."""

import sqlalchemy as sa

from data.columns import Id, Money
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
    base.text("number", required=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="sale"),
    base.text("replaces", required=False),
    sa.Column("tax", Money),
    sa.Column("shipping", Money),
    sa.Column("discount", Money),
    base.text("coupons", required=False),  # separated by commas
    base.text("shop_currency", required=False),
    sa.Column("shop_total", Money),
    sa.Column("shop_refunded", Money),
    base.at("observed_at", required=False),
    base.at("deleted_at", required=False),
    sa.Column("notify", sa.Boolean, nullable=False, server_default=sa.true()),
    base.at("recorded_at", required=False),  # when this state came to us
    base.at("first_recorded_at", required=False),  # when the order came to us; not known of those before schema 0004
    sa.UniqueConstraint("account_id", "channel", "external_id"),
    sa.Index(None, "party_id", "placed_at"),
    sa.Index(None, "account_id", "placed_at"),
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
    base.text("external_id", required=False),
    base.text("brand", required=False),
    sa.Column("discount", Money),
    sa.Column("tax", Money),
)

# What happened to an order once it was placed: payments, parcels, refunds, the end.
order_events = sa.Table(
    "order_events",
    base.metadata,
    sa.Column("order_id", sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    base.text("step"),
    base.at("at"),
    base.text("reference"),
    sa.Column("amount", Money),
    base.text("carrier", required=False),
    base.text("tracking_number", required=False),
    base.text("tracking_url", required=False),
    base.text("note", required=False),
)

# Also of orders that never came: a state older than this, whenever it arrives, is of a deleted order.
order_deletions = sa.Table(
    "order_deletions",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("external_id", sa.Text, primary_key=True),
    base.at("deleted_at"),
)
