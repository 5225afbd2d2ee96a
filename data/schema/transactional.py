"""Transactional mail: one row a message, its attempts and proofs, and who may ask for messages over HTTP."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base
from domain.suppression import Stream

# The message that a customer waits for: asked for in the transaction that changes her order, or over HTTP.
# `variables` and `email` may hold secrets and an address: both are emptied as soon as the message is over.
transactional_messages = sa.Table(
    "transactional_messages",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.account(),
    base.text("template"),
    sa.Column("urgency", sa.SmallInteger, nullable=False),  # domain.transactional.Urgency
    base.text("asked_by"),  # order, api, synthetic, resend
    sa.Column("order_id", sa.ForeignKey("orders.id"), nullable=True),
    base.text("step", required=False),  # of the order's timeline
    base.text("reference", required=False),  # the parcel's or the refund's id, of an order that has several
    base.text(
        "email", required=False
    ),  # of a message of the API; of an order's the customer's own is read at the claim
    base.text("address_hash", required=False),
    base.text(
        "sent_to", required=False
    ),  # the mailbox of the latest attempt, masked: for support, who must see whose it was
    base.text("mailbox_group", required=False),
    sa.Column("variables", Json, nullable=True),
    base.text("locale", required=False),
    base.text("only_route", required=False),  # it shall prove this way, and goes by no other
    base.text("again_of", required=False),  # the message that a person had sent once more
    base.text("state"),
    base.text("why", required=False),  # of a message that did not go: the reason, without address
    base.at("asked_at"),
    base.at("expires_at"),
    base.at("not_before"),
    base.count("attempts"),
    sa.Column("resent", sa.Boolean, nullable=False, server_default=sa.false()),  # possibly sent twice
    base.text("worker", required=False),
    base.text("attempt_id", required=False),
    base.at("lease_expires_at", required=False),
    base.text("last_provider", required=False),  # whom the latest attempt went to
    base.at("finished_at", required=False),  # since when it is in a state that it may stay in
    base.at("accepted_at", required=False),
    # Whose turn it is: by urgency, then each account's oldest.
    base.few("state = 'planned'", "urgency", "account_id", "not_before"),
    base.few("state = 'planned'", "expires_at"),
    base.few("state = 'inflight'", "lease_expires_at"),
    base.few("state = 'unknown'", "finished_at"),
    sa.Index(None, "order_id"),
    sa.Index(None, "attempt_id"),
    sa.Index(None, "account_id", "asked_at"),
    sa.Index(None, "account_id", "address_hash"),
)

transactional_attempts = sa.Table(
    "transactional_attempts",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("message_id", sa.ForeignKey("transactional_messages.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    base.text("worker"),
    base.account(),
    base.text("provider"),
    base.text("route"),
    base.text("pool"),
    base.text("stream"),  # transactional, and so the pool's
    base.text("domain"),
    sa.Column("decision", Json, nullable=False),
    base.text("content_hash"),
    base.at("claimed_at"),
    base.at("finished_at", required=False),
    base.text("outcome", required=False),
    sa.Column("status_code", sa.Integer, nullable=True),
    base.text("provider_reference", required=False),
    base.text("detail", required=False),
    sa.UniqueConstraint("message_id", "number"),
    sa.CheckConstraint(f"stream = '{Stream.TRANSACTIONAL}'", name="waited_for"),
    sa.ForeignKeyConstraint(
        ["account_id", "pool", "stream"],
        ["pools.account_id", "pools.name", "pools.stream"],
        name="fk_transactional_attempts_pool_pools",
    ),
)

transactional_proofs = sa.Table(
    "transactional_proofs",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("message_id", sa.ForeignKey("transactional_messages.id"), nullable=False),
    base.text("attempt_id"),
    base.text("kind"),
    base.text("detail"),
    base.at("created_at"),
    sa.UniqueConstraint("attempt_id", "kind"),
)

# What became of an accepted message, as delivery events tell: the same lattice as of a campaign's.
transactional_delivery = sa.Table(
    "transactional_delivery",
    base.metadata,
    sa.Column("message_id", sa.ForeignKey("transactional_messages.id"), primary_key=True),
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

# Who may ask over HTTP. The key itself is nowhere: 256 random bits need no slow hash.
api_keys = sa.Table(
    "api_keys",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.account(),
    base.text("name"),
    base.text("key_hash"),
    sa.Column("scopes", Json, nullable=False),
    sa.Column("per_minute", sa.Integer, nullable=False),
    base.at("created_at"),
    base.text("created_by"),
    base.at("revoked_at", required=False),
    base.at("last_used_at", required=False),
    sa.UniqueConstraint("key_hash"),
    sa.UniqueConstraint("account_id", "name"),
)

# A request that was answered: the same key and body get the same message, the same key with another body is refused.
idempotency_keys = sa.Table(
    "idempotency_keys",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("key_hash", sa.Text, primary_key=True),
    base.text("body_hash"),  # keyed: a body may hold an address and a secret
    sa.Column("message_id", sa.ForeignKey("transactional_messages.id"), nullable=False),
    base.at("created_at"),
    sa.Index(None, "created_at"),
)

# One row a dispatcher process, written every few seconds: that none lives is seen by it.
dispatchers = sa.Table(
    "dispatchers",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.at("started_at"),
    base.at("seen_at"),
)
