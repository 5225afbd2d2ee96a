"""All tables by one name. They have no behaviour: repositories convert. Every fact belongs to an account."""

from data.schema.base import metadata
from data.schema.campaigns import (
    audience,
    batch_attempts,
    batch_proofs,
    batches,
    campaign_runs,
    campaigns,
    message_exceptions,
    previews,
)
from data.schema.delivery import campaign_kpis, delivery_events, message_delivery, webhook_inbox
from data.schema.governance import audit_log, sync_cursors
from data.schema.intake import (
    dead_letters,
    intake_batches,
    intake_cursors,
    intake_files,
    intake_quarantines,
    intake_records,
)
from data.schema.orders import order_deletions, order_events, order_lines, orders
from data.schema.people import (
    accounts,
    consents,
    currency_rates,
    customer_features,
    feature_marks,
    feature_refreshes,
    parties,
    segment_sizes,
    suppressions,
)

__all__ = [
    "accounts",
    "audience",
    "audit_log",
    "batch_attempts",
    "batch_proofs",
    "batches",
    "campaign_kpis",
    "campaign_runs",
    "campaigns",
    "consents",
    "currency_rates",
    "customer_features",
    "dead_letters",
    "delivery_events",
    "feature_marks",
    "feature_refreshes",
    "intake_batches",
    "intake_cursors",
    "intake_files",
    "intake_quarantines",
    "intake_records",
    "message_delivery",
    "message_exceptions",
    "metadata",
    "order_deletions",
    "order_events",
    "order_lines",
    "orders",
    "parties",
    "previews",
    "segment_sizes",
    "suppressions",
    "sync_cursors",
    "webhook_inbox",
]
