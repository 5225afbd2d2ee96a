"""What key figures are reckoned of and kept in: reactions, counts by batch, and which batches are out of date."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base
from domain import kpis

# What people and machines did with a message, and the refusals that suppress, with when each was heeded. Nothing that
# names a person: of the client a shortened user agent (domain.machine_activity.shortened).
reactions = sa.Table(
    "reactions",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    base.text("kind"),
    base.at("occurred_at"),
    base.at("applied_at"),
    sa.Column("machine", sa.Boolean, nullable=False),
    base.text("agent", required=False),
    base.text("link", required=False),
    sa.Index(None, "run_id", "ordinal"),
)

# Written in the transaction that changes message_delivery, taken by the next refresh.
kpi_marks = sa.Table(
    "kpi_marks",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("ordinals", Json, nullable=False),
    sa.Index(None, "run_id"),
)

# Batches whose counts are out of date: marks by batch, between the two steps of a refresh.
kpi_due = sa.Table("kpi_due", base.metadata, sa.Column("batch_id", sa.ForeignKey("batches.id"), primary_key=True))

# The figures of an accepted batch, by mailbox group: its rows are written anew as a whole, never added to.
kpi_counts = sa.Table(
    "kpi_counts",
    base.metadata,
    sa.Column("batch_id", sa.ForeignKey("batches.id"), primary_key=True),
    sa.Column("mailbox_group", sa.Text, primary_key=True),
    base.account(),
    base.run(),
    base.text("zone"),  # the account's, in which the day was told
    sa.Column("day", sa.Date, nullable=False),  # when its mail left
    base.text("provider"),
    base.text("pool"),
    base.text("domain"),
    base.at("claimed_at", required=False),
    base.at("accepted_at"),
    sa.Column("rules", sa.Integer, nullable=False),  # by which people were told from machines
    *(base.count(name) for name in kpis.COUNTS),
    base.at("last_event_at", required=False),  # when what is counted here last changed, by the ESP's clock
    sa.Column("longest_to_inbox", sa.Integer, nullable=True),  # seconds
    sa.Column("longest_handling", sa.Integer, nullable=True),
    sa.Index(None, "account_id", "day"),
    sa.Index(None, "run_id"),
)

# The durations of the same, in the classes of domain.latencies.
kpi_latencies = sa.Table(
    "kpi_latencies",
    base.metadata,
    sa.Column("batch_id", sa.ForeignKey("batches.id"), primary_key=True),
    sa.Column("mailbox_group", sa.Text, primary_key=True),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("bucket", sa.Integer, primary_key=True),
    base.count("messages"),
)

# By which rules an account's people are told from machines; without a row the newest.
kpi_rules = sa.Table(
    "kpi_rules",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    base.text("chosen_by"),
    base.at("chosen_at"),
)
