"""Who: accounts, customers, their consents, suppressions and features."""

from typing import Any

import sqlalchemy as sa

from data.columns import Id, Instant, Json, Money
from data.schema import base
from domain.features import STORED, FeatureType

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
    # This shop's own; where they are NULL those of the installation hold (domain.policy).
    sa.Column("cap_mails", sa.Integer, nullable=True),
    sa.Column("cap_days", sa.Integer, nullable=True),
    base.text("quiet_from", required=False),  # HH:MM in the customer's zone
    base.text("quiet_until", required=False),
    sa.Column("soft_bounces", sa.Integer, nullable=True),
    sa.Column("soft_bounces_active", sa.Integer, nullable=True),
    base.text("language", required=False),  # of the customer's pages, where hers is not known
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
    base.at("recorded_at", required=False),  # since when it is in force here; NULL: written before this was kept
    sa.UniqueConstraint("account_id", "address_hash", "reason"),
    base.few("lifted_at IS NOT NULL", "lifted_at"),
    base.few("expires_at IS NOT NULL", "expires_at"),
)

# What the account's marketing mail may be about, as customers read it on the preference page.
topics = sa.Table(
    "topics",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("titles", Json, nullable=False),  # by language
    sa.Column("position", sa.Integer, nullable=False),
    base.at("created_at"),
)

# Keyed as suppressions are. No key to `topics`: a refusal outlives its topic, and holds again if that comes back.
topic_refusals = sa.Table(
    "topic_refusals",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("address_hash", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    base.text("source"),
    base.text("evidence"),
    base.at("created_at"),
    base.at("lifted_at", required=False),
)

# Who chose to get less mail than the account's cap allows (domain.preferences); nobody else has a row.
mail_frequencies = sa.Table(
    "mail_frequencies",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("address_hash", sa.Text, primary_key=True),
    base.text("frequency"),
    base.text("source"),
    base.text("evidence"),
    base.at("chosen_at"),
    sa.Index(None, "account_id", "frequency"),
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
    *(sa.Column(feature.name, _FEATURE_TYPES[feature.type], nullable=feature.nullable) for feature in STORED),
    sa.Index(None, "account_id"),
)

# The newest row of an account is the watermark of its features: as of when, and over how many orders.
feature_refreshes = sa.Table(
    "feature_refreshes",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    # The refresh that this one builds upon, 0 for the first: of two at once only one can be written.
    sa.Column("follows", sa.BigInteger, nullable=False),
    base.at("as_of"),
    sa.Column("full", sa.Boolean, nullable=False),
    base.text("reason"),  # why it was full, or what was touched
    base.count("touched"),  # customers that were reckoned anew
    base.count("customers"),
    base.count("orders"),
    base.text("code"),  # hash of the code that reckons: other code, other figures
    # What is true of the shop as a whole: the bounds of the RFM scores, the median gap (data.features.scale).
    sa.Column("scale", Json, nullable=False),
    # Null rates and deciles of each column, to see a drift by (data.features.profile).
    sa.Column("profile", Json, nullable=False),
    sa.Column("conversion", Json, nullable=False),  # orders reckoned by dated rates, and whose rates
    base.at("finished_at"),
    sa.UniqueConstraint("account_id", "follows"),
)

# Whose features are out of date: written in the transaction that changes what they are made of, taken by the refresh.
feature_marks = sa.Table(
    "feature_marks",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    sa.Column("party_id", sa.BigInteger, nullable=False),
    sa.Index(None, "account_id", "id"),
)

# How many customers a selection had: the trend that a preview shows and a gate compares with.
segment_sizes = sa.Table(
    "segment_sizes",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("segment"),
    base.text("definition_hash"),
    base.at("as_of"),
    base.count("members"),
    base.count("customers"),
    sa.Column("net_revenue", Money, nullable=False),
    sa.UniqueConstraint("account_id", "definition_hash", "as_of"),
)

# What one unit of `base` cost in `currency` on a day, by whose word. A rate is decimal text: exact in both databases.
currency_rates = sa.Table(
    "currency_rates",
    base.metadata,
    sa.Column("currency", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    base.text("base"),
    base.text("rate"),
    base.text("source"),
    base.at("recorded_at"),
)
