"""All tables. They have no behaviour: repositories convert. Every fact belongs to an account."""

from typing import Any

import sqlalchemy as sa

from data.columns import Id, Instant, Json, Money
from domain.features import FEATURES, FeatureType

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _account() -> sa.Column[str]:
    return sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False)


def _text(name: str, *, required: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=not required)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _at(name: str, *, required: bool = True) -> sa.Column[Any]:
    return sa.Column(name, Instant, nullable=not required)


def _run(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("run_id", sa.ForeignKey("campaign_runs.id"), nullable=False, primary_key=primary_key)


# --- who -------------------------------------------------------------------------------------------------------------

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("name"),
    _text("currency"),
    _text("timezone"),
    _text("postal_address"),
    _text("sender_email"),
    _text("sender_name"),
    _at("created_at"),
)

parties = sa.Table(
    "parties",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    _text("external_id"),
    _text("email", required=False),
    _text("address_hash", required=False),
    _text("mailbox_provider", required=False),
    _text("first_name", required=False),
    _text("last_name", required=False),
    _text("country", required=False),
    _at("created_at"),
    _at("updated_at"),
    _at("erased_at", required=False),
    sa.UniqueConstraint("account_id", "external_id"),
    sa.Index(None, "account_id", "address_hash"),
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    sa.Column("party_id", sa.ForeignKey("parties.id"), nullable=False),
    _text("status"),
    _text("basis"),
    _text("source"),
    _text("wording"),
    _at("occurred_at"),
    _at("recorded_at"),
    sa.UniqueConstraint("party_id", "occurred_at", "status", "source"),
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    _text("address_hash"),
    _text("reason"),
    _text("scope"),
    _text("source"),
    _text("evidence"),
    _at("created_at"),
    _at("expires_at", required=False),
    _at("lifted_at", required=False),
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
    metadata,
    sa.Column("party_id", sa.ForeignKey("parties.id"), primary_key=True),
    _account(),
    *(sa.Column(feature.name, _FEATURE_TYPES[feature.type], nullable=feature.nullable) for feature in FEATURES),
    sa.Index(None, "account_id"),
)

# The newest row of an account is the watermark of its features: as of when, and over how many orders.
feature_refreshes = sa.Table(
    "feature_refreshes",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    _at("as_of"),
    _count("customers"),
    _count("orders"),
    _at("finished_at"),
)

# --- orders ----------------------------------------------------------------------------------------------------------

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    _text("channel"),
    _text("external_id"),
    sa.Column("party_id", sa.ForeignKey("parties.id"), nullable=False),
    _text("status"),
    _text("channel_status"),
    _text("currency"),
    sa.Column("total", Money, nullable=False),
    sa.Column("refunded", Money, nullable=False),
    _at("placed_at"),
    _at("updated_at"),
    _at("cancelled_at", required=False),
    sa.Column("is_test", sa.Boolean, nullable=False),
    _text("content_hash"),
    sa.UniqueConstraint("account_id", "channel", "external_id"),
    sa.Index(None, "party_id", "placed_at"),
)

order_lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("order_id", sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("line_no", sa.Integer, primary_key=True),
    _text("sku"),
    _text("title", required=False),
    _text("category", required=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("total", Money, nullable=False),
)

intake_files = sa.Table(
    "intake_files",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    _text("channel"),
    _text("name"),
    _text("content_hash"),
    _count("rows"),
    _count("loaded"),
    _count("updated"),
    _count("unchanged"),
    _count("stale"),
    _count("dead"),
    _at("loaded_at"),
    sa.UniqueConstraint("account_id", "channel", "content_hash"),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=True),  # a webhook element may name nobody
    _text("source"),
    _text("location"),
    sa.Column("row_number", sa.Integer, nullable=False),
    _text("reason"),
    sa.Column("payload", Json, nullable=False),
    _text("payload_hash"),
    sa.Column("priority", sa.Integer, nullable=False),
    _text("state"),
    _at("created_at"),
    sa.UniqueConstraint("source", "location", "row_number", "payload_hash"),
)

# --- campaigns and the ledger ----------------------------------------------------------------------------------------

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    _text("name"),
    _at("created_at"),
    sa.UniqueConstraint("account_id", "name"),
)

campaign_runs = sa.Table(
    "campaign_runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _account(),
    sa.Column("campaign_id", sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("flow_run_id", sa.Text, nullable=True, unique=True),
    _text("status"),
    sa.Column("live", sa.Boolean, nullable=False),
    _text("segment"),
    _text("template"),
    _text("provider"),
    _text("subject", required=False),
    _text("sender_email"),
    _text("sender_name"),
    _text("reply_to", required=False),
    sa.Column("audience_limit", sa.Integer, nullable=True),
    sa.Column("holdout_percent", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    _text("definition_hash", required=False),
    _text("template_hash", required=False),
    _at("feature_watermark", required=False),
    sa.Column("validation", Json, nullable=True),
    sa.Column("members", sa.Integer, nullable=True),
    sa.Column("planned", sa.Integer, nullable=True),
    sa.Column("skipped", Json, nullable=True),
    _text("stop_reason", required=False),
    _at("created_at"),
    _at("frozen_at", required=False),
    _at("dispatch_started_at", required=False),
    _at("dispatched_at", required=False),
    _at("settled_at", required=False),
    _at("expires_at", required=False),
    sa.Index(None, "account_id", "created_at"),
)

audience = sa.Table(
    "audience",
    metadata,
    _run(primary_key=True),
    sa.Column("party_id", sa.ForeignKey("parties.id"), primary_key=True),
    sa.Column("ordinal", sa.Integer, nullable=True),
    _text("skip_reason", required=False),
    sa.UniqueConstraint("run_id", "ordinal"),
    sa.CheckConstraint("(ordinal IS NULL) <> (skip_reason IS NULL)", name="planned_or_skipped"),
    sa.Index(None, "party_id"),
)

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _run(),
    sa.Column("first_ordinal", sa.Integer, nullable=False),
    sa.Column("last_ordinal", sa.Integer, nullable=False),
    _text("state"),
    _count("attempts"),
    _at("not_before", required=False),
    _text("worker", required=False),
    _text("attempt_id", required=False),
    _at("lease_expires_at", required=False),
    _at("finished_at", required=False),
    sa.UniqueConstraint("run_id", "first_ordinal", "last_ordinal"),
    sa.Index(None, "run_id", "state"),
)

batch_attempts = sa.Table(
    "batch_attempts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("batch_id", sa.ForeignKey("batches.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    _text("worker"),
    _text("provider"),
    _text("content_hash"),
    sa.Column("messages", sa.Integer, nullable=False),
    _at("claimed_at"),
    _at("finished_at", required=False),
    _text("outcome", required=False),
    sa.Column("status_code", sa.Integer, nullable=True),
    _text("provider_reference", required=False),
    _text("detail", required=False),
    sa.UniqueConstraint("batch_id", "number"),
)

# Why a batch left `unknown`, or may be counted as sent: kept for as long as the batch is.
batch_proofs = sa.Table(
    "batch_proofs",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("batch_id", sa.ForeignKey("batches.id"), nullable=False),
    _text("attempt_id"),
    _text("kind"),
    _text("detail"),
    _at("created_at"),
    sa.UniqueConstraint("attempt_id", "kind"),
)

message_exceptions = sa.Table(
    "message_exceptions",
    metadata,
    _run(primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    _text("state"),
    _text("reason"),
    _at("created_at"),
)

# --- what happened to the mail ---------------------------------------------------------------------------------------

webhook_inbox = sa.Table(
    "webhook_inbox",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _text("provider"),
    _text("body_hash"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    _at("received_at"),
    _text("state"),
    _count("strikes"),
    _text("error", required=False),
    _at("processed_at", required=False),
    sa.UniqueConstraint("provider", "body_hash"),
    sa.Index(None, "state", "id"),
)

# The raw event is element `position` of the inbox row's body: kept once, with its retention.
delivery_events = sa.Table(
    "delivery_events",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("inbox_id", sa.ForeignKey("webhook_inbox.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    _text("provider"),
    _text("dedupe_key"),
    sa.Column("run_id", sa.Text, nullable=True),
    sa.Column("ordinal", sa.Integer, nullable=True),
    _text("attempt_id", required=False),
    _text("kind"),
    _at("occurred_at"),
    _text("bounce_class", required=False),
    _text("fault", required=False),
    _text("detail", required=False),
    sa.Column("machine", sa.Boolean, nullable=False),
    _text("url", required=False),
    sa.UniqueConstraint("dedupe_key"),
    sa.Index(None, "run_id", "kind"),
)

message_delivery = sa.Table(
    "message_delivery",
    metadata,
    _run(primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("severity", sa.Integer, nullable=False),
    _text("fault", required=False),
    _at("delivered_at", required=False),
    _at("bounced_at", required=False),
    _at("opened_at", required=False),
    _at("human_opened_at", required=False),
    _at("clicked_at", required=False),
    _at("complained_at", required=False),
    _at("unsubscribed_at", required=False),
)

campaign_kpis = sa.Table(
    "campaign_kpis",
    metadata,
    _run(primary_key=True),
    sa.Column("computed_at", Instant, primary_key=True),
    sa.Column("figures", Json, nullable=False),
)

# --- governance ------------------------------------------------------------------------------------------------------

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=True),
    _at("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    sa.Column("detail", Json, nullable=False),
    sa.Index(None, "subject"),
)

# Up to when an ESP's own lists were read; the next read overlaps it.
sync_cursors = sa.Table(
    "sync_cursors",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    _at("read_until"),
)
