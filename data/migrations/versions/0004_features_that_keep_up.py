"""Features that are kept up incrementally; selections, sizes, rates; quiet hours and caps of a shop's own.

Features are made of orders: the table is made anew, and the next refresh fills it. Until then no campaign starts.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0004"
down_revision = "0003"

_COUNTS = (
    "orders", "orders_7d", "orders_30d", "orders_90d", "orders_180d", "orders_365d", "coupon_orders",
    "favourite_weekday", "favourite_hour", "mails_30d", "mails_90d",
)
_AMOUNTS = (
    "net_revenue", "revenue_7d", "revenue_30d", "revenue_90d", "revenue_180d", "revenue_365d", "average_order_value",
)
_NUMBERS = ("refund_rate", "cancellation_rate", "discounted_share")
_MAYBE_NUMBERS = (
    "mean_days_between_orders", "spread_days_between_orders", "last_gap_days", "favourite_category_share",
    "favourite_brand_share",
)
_MAYBE_TEXTS = ("favourite_category", "favourite_brand", "country", "language")


def _id() -> sa.Column[Any]:
    return sa.Column("id", data.columns.Id, primary_key=True)


def _account() -> sa.Column[Any]:
    return sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False)


def _text(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, **options)


def _at(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _json(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Json, nullable=False, **options)


def _party() -> sa.Column[Any]:
    return sa.Column("party_id", data.columns.Id, sa.ForeignKey("parties.id"), primary_key=True)


def upgrade() -> None:
    op.drop_table("customer_features")
    op.drop_table("feature_refreshes")
    op.create_table(
        "customer_features", _party(), _account(),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        *(sa.Column(name, data.columns.Money(), nullable=False) for name in _AMOUNTS),
        *(sa.Column(name, sa.Float(), nullable=False) for name in _NUMBERS),
        *(sa.Column(name, sa.Float(), nullable=True) for name in _MAYBE_NUMBERS),
        *(_text(name, True) for name in _MAYBE_TEXTS), _text("channels"),
        _at("first_order_at"), _at("last_order_at"), _at("last_opened_at", True), _at("last_clicked_at", True),
    )
    op.create_index("ix_customer_features_account_id", "customer_features", ["account_id"])
    op.create_table(
        "feature_refreshes", _id(), _account(), sa.Column("follows", sa.BigInteger(), nullable=False), _at("as_of"),
        sa.Column("full", sa.Boolean(), nullable=False), _text("reason"), _count("touched"), _count("customers"),
        _count("orders"), _text("code"), _json("scale"), _json("profile"), _json("conversion"), _at("finished_at"),
        sa.UniqueConstraint("account_id", "follows"),
    )
    op.create_table(
        "feature_marks", _id(), _account(), sa.Column("party_id", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_feature_marks_account_id_id", "feature_marks", ["account_id", "id"])
    op.create_table(
        "segment_sizes", _id(), _account(), _text("segment"), _text("definition_hash"), _at("as_of"),
        _count("members"), _count("customers"), sa.Column("net_revenue", data.columns.Money(), nullable=False),
        sa.UniqueConstraint("account_id", "definition_hash", "as_of"),
    )
    op.create_table(
        "previews", _text("id", primary_key=True), _account(), _text("segment"), _at("made_at"), _json("figures"),
    )
    op.create_index("ix_previews_account_id_made_at", "previews", ["account_id", "made_at"])
    op.create_table(
        "currency_rates", _text("currency", primary_key=True), sa.Column("day", sa.Date(), primary_key=True),
        _text("base"), _text("rate"), _text("source"), _at("recorded_at"),
    )
    for column in (sa.Column("cap_mails", sa.Integer()), sa.Column("cap_days", sa.Integer()),
                   _text("quiet_from", True), _text("quiet_until", True)):
        op.add_column("accounts", column)
    for column in (_json("selection", server_default="{}"), _count("priority"), _text("members_hash", True),
                   _text("code_version", True)):
        op.add_column("campaign_runs", column)
    op.add_column("batches", _text("zone", True))
    for name in ("recorded_at", "first_recorded_at"):
        op.add_column("orders", _at(name, True))
    op.create_index("ix_webhook_inbox_processed_at", "webhook_inbox", ["processed_at"])
    op.create_index("ix_orders_account_id_placed_at", "orders", ["account_id", "placed_at"])


def downgrade() -> None:
    op.drop_index("ix_orders_account_id_placed_at", "orders")
    op.drop_index("ix_webhook_inbox_processed_at", "webhook_inbox")
    for name in ("first_recorded_at", "recorded_at"):
        op.drop_column("orders", name)
    op.drop_column("batches", "zone")
    for name in ("selection", "priority", "members_hash", "code_version"):
        op.drop_column("campaign_runs", name)
    for name in ("cap_mails", "cap_days", "quiet_from", "quiet_until"):
        op.drop_column("accounts", name)
    for name in ("previews", "currency_rates", "segment_sizes", "feature_marks", "feature_refreshes", "customer_features"):
        op.drop_table(name)
    op.create_table(
        "customer_features", _party(), _account(),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in
          ("orders", "orders_30d", "orders_90d", "orders_365d", "days_since_first_order", "days_since_last_order")),
        *(sa.Column(name, data.columns.Money(), nullable=False) for name in ("net_revenue", "average_order_value")),
        sa.Column("refund_rate", sa.Float(), nullable=False), _at("first_order_at"), _at("last_order_at"),
        sa.Column("mean_days_between_orders", sa.Float()), _text("favourite_category", True), _text("country", True),
    )
    op.create_index("ix_customer_features_account_id", "customer_features", ["account_id"])
    op.create_table(
        "feature_refreshes", _id(), _account(), _at("as_of"), _count("customers"), _count("orders"), _at("finished_at"),
    )
