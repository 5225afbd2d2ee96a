"""Who: accounts, customers, their consents, suppressions and features."""

from typing import Any

import sqlalchemy as sa

from data.columns import Id, Instant, Money
from data.schema import base
from domain.features import FEATURES, FeatureType

accounts = sa.Table(
    "accounts",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.text("name"),
    base.text("currency"),
    base.text("timezone"),
    base.text("postal_address"),
    base.text("sender_email"),
    base.text("sender_name"),
    base.at("created_at"),
)

parties = sa.Table(
    "parties",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("external_id"),
    base.text("email", required=False),
    base.text("address_hash", required=False),
    base.text("mailbox_provider", required=False),
    base.text("first_name", required=False),
    base.text("last_name", required=False),
    base.text("country", required=False),
    base.at("created_at"),
    base.at("updated_at"),
    base.at("erased_at", required=False),
    # Whose numbers external_id is one of: a channel's own, or empty for the shop's.
    sa.Column("numbering", sa.Text, nullable=False, server_default=""),
    # The party who stands for the same person; NULL stands for oneself.
    sa.Column("person_id", sa.ForeignKey("parties.id"), nullable=True, index=True),
    # Placed and changed when: the order that told the address, and (placed_at, updated_at) the one that told the rest.
    base.at("address_placed_at", required=False),
    base.at("address_at", required=False),
    base.at("placed_at", required=False),
    base.text("locale", required=False),
    sa.Column("relay", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("account_id", "numbering", "external_id"),
    sa.Index(None, "account_id", "address_hash"),
)

consents = sa.Table(
    "consents",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    sa.Column("party_id", sa.ForeignKey("parties.id"), nullable=False),
    base.text("status"),
    base.text("basis"),
    base.text("source"),
    base.text("wording"),
    base.at("occurred_at"),
    base.at("recorded_at"),
    sa.Column("channel", sa.Text, nullable=False, server_default=""),
    sa.Column("level", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("party_id", "occurred_at", "status", "source"),
)

suppressions = sa.Table(
    "suppressions",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("address_hash"),
    base.text("reason"),
    base.text("scope"),
    base.text("source"),
    base.text("evidence"),
    base.at("created_at"),
    base.at("expires_at", required=False),
    base.at("lifted_at", required=False),
    sa.UniqueConstraint("account_id", "address_hash", "reason"),
)

_FEATURE_TYPES: dict[FeatureType, Any] = {
    FeatureType.COUNT: sa.Integer,
    FeatureType.NUMBER: sa.Float,
    FeatureType.MONEY: Money,
    FeatureType.INSTANT: Instant,
    FeatureType.TEXT: sa.Text,
}

customer_features = sa.Table(
    "customer_features",
    base.metadata,
    sa.Column("party_id", sa.ForeignKey("parties.id"), primary_key=True),
    base.account(),
    *(sa.Column(feature.name, _FEATURE_TYPES[feature.type], nullable=feature.nullable) for feature in FEATURES),
    sa.Index(None, "account_id"),
)

# The newest row of an account is the watermark of its features: as of when, and over how many orders.
feature_refreshes = sa.Table(
    "feature_refreshes",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.at("as_of"),
    base.count("customers"),
    base.count("orders"),
    base.at("finished_at"),
)
