"""What happened to the mail: webhook bodies, events, the state of each message, figures."""

import sqlalchemy as sa

from data.columns import Id
from data.schema import base

webhook_inbox = sa.Table(
    "webhook_inbox",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.text("provider"),
    base.text("body_hash"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    base.at("received_at"),
    base.text("state"),
    base.count("strikes"),
    base.text("error", required=False),
    base.at("processed_at", required=False),
    sa.UniqueConstraint("provider", "body_hash"),
    sa.Index(None, "state", "id"),
    sa.Index(None, "processed_at"),
)

# The raw event is element `position` of the inbox row's body: kept once, with its retention.
delivery_events = sa.Table(
    "delivery_events",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("inbox_id", sa.ForeignKey("webhook_inbox.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    base.text("provider"),
    base.text("dedupe_key"),
    sa.Column("run_id", sa.Text, nullable=True),
    sa.Column("ordinal", sa.Integer, nullable=True),
    base.text("attempt_id", required=False),
    base.text("kind"),
    base.at("occurred_at"),
    base.text("bounce_class", required=False),
    base.text("fault", required=False),
    base.text("detail", required=False),
    sa.Column("machine", sa.Boolean, nullable=False),
    base.text("url", required=False),
    base.text("cause", required=False),  # why it was refused, more exactly than whose fault that is
    sa.UniqueConstraint("dedupe_key"),
    sa.Index(None, "run_id", "kind"),
    base.few("run_id IS NULL", "run_id", "occurred_at"),  # with run_id, or SQLite prefers the index above
)

# Delivery events that name no message which is known: tried again until `next_try_at` is NULL, then placed or a stray.
# The event itself is read anew from its body; here is nothing that names a person.
unplaced_events = sa.Table(
    "unplaced_events",
    base.metadata,
    sa.Column("event_id", sa.ForeignKey("delivery_events.id"), primary_key=True),
    sa.Column("inbox_id", sa.ForeignKey("webhook_inbox.id"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    base.count("tries"),
    base.at("next_try_at", required=False),
    base.at("kept_at"),
    base.at("placed_at", required=False),
    base.at("given_up_at", required=False),
    sa.Index(None, "next_try_at"),
    base.few("next_try_at IS NOT NULL", "inbox_id"),
)

message_delivery = sa.Table(
    "message_delivery",
    base.metadata,
    base.run(primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("severity", sa.Integer, nullable=False),
    base.text("fault", required=False),
    base.at("delivered_at", required=False),
    base.at("bounced_at", required=False),
    base.at("opened_at", required=False),
    base.at("human_opened_at", required=False),
    base.at("clicked_at", required=False),
    base.at("complained_at", required=False),
    base.at("unsubscribed_at", required=False),
)

# How far mailboxes were read to which bounces and complaints come (RFC 3501: UIDs grow while the validity stays).
mailbox_cursors = sa.Table(
    "mailbox_cursors",
    base.metadata,
    sa.Column("mailbox", sa.Text, primary_key=True),
    sa.Column("uid_validity", sa.BigInteger, nullable=False),
    sa.Column("last_uid", sa.BigInteger, nullable=False),
    base.at("read_at"),
)
