"""What follows from refusals: what is remembered of an address, of a sender's trouble, of words nobody knows."""

import sqlalchemy as sa

from data.columns import Id
from data.schema import base

# Why an address may be in trouble, or is not any more (domain.address_marks.MarkKind): one row a kind and message, so
# that a repeated event changes nothing. `judged_at` NULL: it is news. `looked_at`: when the DNS was asked again.
address_marks = sa.Table(
    "address_marks",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("address_hash", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("message", sa.Text, primary_key=True),  # the run; of an event that names none: its day
    base.at("at"),  # the last time that this was said
    base.at("judged_at", required=False),
    base.at("looked_at", required=False),
    sa.Index(None, "judged_at"),
    sa.Index(None, "kind", "at"),
)

# A message that was refused or put off because of its sender or its content; `provider` is the route's connection.
sender_refusals = sa.Table(
    "sender_refusals",
    base.metadata,
    base.run(primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("trouble", sa.Text, primary_key=True),  # domain.sender_faults.Trouble
    base.account(),
    base.text("provider"),
    base.text("mailbox_group"),
    base.text("text"),  # the mailbox provider's words; what differs from mail to mail is cut out
    base.text("example"),  # the last as they came, masked
    base.at("at"),  # the last time
    sa.Index(None, "account_id", "at"),
    sa.Index(None, "at"),
)

# Refusals whose words are in no table of ours yet. The words are a mailbox provider's: they belong to no account.
unknown_replies = sa.Table(
    "unknown_replies",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.text("provider"),
    base.text("mailbox_group"),
    base.text("text"),  # what differs from mail to mail is cut out
    base.count("count"),
    base.at("first_seen"),
    base.at("last_seen"),
    base.text("example"),  # as it came, masked
    sa.UniqueConstraint("provider", "mailbox_group", "text"),
)
