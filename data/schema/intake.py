"""Intake: raw records on their way to orders, what became of them, and what was refused and kept."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

# One row a document as it came: a webhook's body, a page of an API, a piece of a file.
intake_records = sa.Table(
    "intake_records",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("channel"),
    base.text("origin"),
    base.text("source"),
    base.text("topic"),
    base.at("observed_at", required=False),
    base.text("urgency"),
    sa.Column("first_row", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # compressed
    sa.Column("body_bytes", sa.Integer, nullable=False),
    base.text("body_hash"),
    base.at("received_at"),
    base.text("state"),
    base.count("strikes"),
    base.text("error", required=False),
    base.at("processed_at", required=False),
    # To be read once more, by the reader of today: what it says now holds against what it said then.
    sa.Column("reread", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("account_id", "channel", "body_hash"),
    sa.Index("ix_intake_records_queue", "state", "urgency", "id"),
    sa.Index("ix_intake_records_backlog", "account_id", "channel", "state", "urgency", "id"),
)

# A file that has no staged_at was cut off while it was read: it is to be loaded again.
intake_files = sa.Table(
    "intake_files",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("channel"),
    base.text("name"),
    base.text("content_hash"),
    base.count("rows"),
    base.count("records"),
    base.at("started_at"),
    base.at("staged_at", required=False),
    sa.UniqueConstraint("account_id", "channel", "content_hash"),
)

# One row a drained batch of one channel and account: what came of it, and which rules fired how often.
intake_batches = sa.Table(
    "intake_batches",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("channel"),
    base.at("drained_at"),
    base.at("first_received_at"),
    base.at("last_received_at"),
    base.text("verdict"),
    base.count("records"),
    base.count("orders"),  # all that were judged, refused ones too
    base.count("refused"),
    base.count("loaded"),
    base.count("updated"),
    base.count("unchanged"),
    base.count("stale"),
    base.count("deleted"),
    base.count("ignored"),
    sa.Column("fired", Json, nullable=False),  # rule → how often
    sa.Index(None, "account_id", "channel", "drained_at"),
)

intake_quarantines = sa.Table(
    "intake_quarantines",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("channel"),
    base.at("since"),
    base.text("reason"),
    sa.Column("facts", Json, nullable=False),
    base.at("ended_at", required=False),
    base.text("ended_by", required=False),
    base.text("note", required=False),
    sa.Index(None, "account_id", "channel", "ended_at"),
)

# Up to when a channel's API was read, how that went the last time, and what it says of our webhook.
intake_cursors = sa.Table(
    "intake_cursors",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    base.at("read_until", required=False),
    base.at("asked_at"),
    base.text("error", required=False),
    base.text("subscription", required=False),
)

dead_letters = sa.Table(
    "dead_letters",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=True),  # a webhook element may name nobody
    base.text("source"),  # the channel
    base.text("location"),
    sa.Column("row_number", sa.Integer, nullable=False),
    base.text("reason"),
    sa.Column("payload", Json, nullable=False),
    base.text("payload_hash"),
    sa.Column("priority", sa.Integer, nullable=False),
    base.text("state"),
    base.at("created_at"),
    sa.Column("rule", sa.Text, nullable=False, server_default=""),
    sa.Column("fields", Json, nullable=False, server_default="[]"),
    base.text("external_id", required=False),
    base.at("as_of", required=False),  # the refused state's own time of change; when it was kept, if that is not known
    sa.Column("context", Json, nullable=False, server_default="{}"),  # what was known beside the payload
    sa.Column("patch", Json, nullable=False, server_default="[]"),
    base.count("attempts"),
    base.at("next_try_at", required=False),
    base.at("ended_at", required=False),
    base.text("ended_by", required=False),
    base.text("note", required=False),
    sa.UniqueConstraint("source", "location", "row_number", "payload_hash"),
    sa.Index(None, "account_id", "source", "external_id"),
    sa.Index(None, "state", "next_try_at"),
)
