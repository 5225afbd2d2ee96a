"""Campaigns and the ledger: runs, audiences, batches, attempts, proofs, exceptions; steps at campaign hosts."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

campaigns = sa.Table(
    "campaigns",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("name"),
    base.at("created_at"),
    sa.UniqueConstraint("account_id", "name"),
)

campaign_runs = sa.Table(
    "campaign_runs",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.account(),
    sa.Column("campaign_id", sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("flow_run_id", sa.Text, nullable=True, unique=True),
    base.text("status"),
    sa.Column("live", sa.Boolean, nullable=False),
    base.text("segment"),
    base.text("template"),
    base.text("provider"),
    base.text("subject", required=False),
    base.text("sender_email"),
    base.text("sender_name"),
    base.text("reply_to", required=False),
    sa.Column("audience_limit", sa.Integer, nullable=True),
    sa.Column("holdout_percent", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    base.text("definition_hash", required=False),
    base.text("template_hash", required=False),
    base.at("feature_watermark", required=False),
    sa.Column("validation", Json, nullable=True),
    sa.Column("members", sa.Integer, nullable=True),
    sa.Column("planned", sa.Integer, nullable=True),
    sa.Column("skipped", Json, nullable=True),
    base.text("stop_reason", required=False),
    base.at("created_at"),
    base.at("frozen_at", required=False),
    base.at("dispatch_started_at", required=False),
    base.at("dispatched_at", required=False),
    base.at("settled_at", required=False),
    base.at("expires_at", required=False),
    base.at("worked_at", required=False),  # a process said so: it hands the run over, or waits to (data.ledger_sweep)
    # What the segment was refined by: arguments, rules, excluded segments, the run whose members were taken.
    sa.Column("selection", Json, nullable=False, server_default="{}"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    base.text("members_hash", required=False),
    base.text("code_version", required=False),
    base.text("canary", required=False),  # domain.guardrails.CanaryState; NULL: the run has none
    sa.Column("canary_figures", Json, nullable=True),
    sa.Column("two_phase", sa.Boolean, nullable=False, server_default=sa.false()),
    # Who lacks a value of the template's: left out with that reason, or the run stops.
    sa.Column("leave_out_missing", sa.Boolean, nullable=False, server_default=sa.false()),
    base.text("topic", required=False),  # data.topics; a name, not a key: a topic may be given up after the run
    sa.Index(None, "account_id", "created_at"),
)

# What a preview found: counts and masked samples only, for the page that shows it.
previews = sa.Table(
    "previews",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.account(),
    base.text("segment"),
    base.at("made_at"),
    sa.Column("figures", Json, nullable=False),
    sa.Index(None, "account_id", "made_at"),
)

audience = sa.Table(
    "audience",
    base.metadata,
    base.run(primary_key=True),
    sa.Column("party_id", sa.ForeignKey("parties.id"), primary_key=True),
    sa.Column("ordinal", sa.Integer, nullable=True),
    base.text("skip_reason", required=False),
    base.text("address_hash", required=False),  # of a planned person: the mailbox that this run may mail, no other
    base.text("mailbox_group", required=False),  # whose mailbox that was then; counted by, so it must not move after
    sa.UniqueConstraint("run_id", "ordinal"),
    sa.CheckConstraint("(ordinal IS NULL) <> (skip_reason IS NULL)", name="planned_or_skipped"),
    sa.Index(None, "party_id"),
)

batches = sa.Table(
    "batches",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.run(),
    sa.Column("first_ordinal", sa.Integer, nullable=False),
    sa.Column("last_ordinal", sa.Integer, nullable=False),
    base.text("state"),
    base.count("attempts"),
    base.at("not_before", required=False),
    base.text("worker", required=False),
    base.text("attempt_id", required=False),
    base.at("lease_expires_at", required=False),
    base.at("finished_at", required=False),
    base.text("zone", required=False),  # of all its people: quiet hours are theirs
    base.text("mailbox_group", required=False),  # of all its people: pace and guards are its; NULL: mixed, from before
    sa.Column("canary", sa.Boolean, nullable=False, server_default=sa.false()),
    base.text("refused_by", required=False),  # the ESP that refused it or what it is a part of: no other may get it
    sa.UniqueConstraint("run_id", "first_ordinal", "last_ordinal"),
    sa.Index(None, "run_id", "state"),
    sa.Index(None, "attempt_id"),
)

batch_attempts = sa.Table(
    "batch_attempts",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("batch_id", sa.ForeignKey("batches.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    base.text("worker"),
    base.text("provider"),
    base.text("content_hash"),
    sa.Column("messages", sa.Integer, nullable=False),
    base.at("claimed_at"),
    base.at("finished_at", required=False),
    base.text("outcome", required=False),
    sa.Column("status_code", sa.Integer, nullable=True),
    base.text("provider_reference", required=False),
    base.text("detail", required=False),
    sa.UniqueConstraint("batch_id", "number"),
)

# Why a batch left `unknown`, or may be counted as sent: kept for as long as the batch is.
batch_proofs = sa.Table(
    "batch_proofs",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("batch_id", sa.ForeignKey("batches.id"), nullable=False),
    base.text("attempt_id"),
    base.text("kind"),
    base.text("detail"),
    base.at("created_at"),
    sa.UniqueConstraint("attempt_id", "kind"),
)

message_exceptions = sa.Table(
    "message_exceptions",
    base.metadata,
    base.run(primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    base.text("state"),
    base.text("reason"),
    base.at("created_at"),
)

# What is done at a campaign host for a run that goes through one (domain.hosting.Step), each part of a step a row.
host_steps = sa.Table(
    "host_steps",
    base.metadata,
    base.run(primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("first_ordinal", sa.Integer, primary_key=True),  # 0 where the step has no parts
    sa.Column("last_ordinal", sa.Integer, nullable=False, server_default="0"),
    base.text("state"),
    base.count("attempts"),
    base.text("worker", required=False),
    base.at("lease_expires_at", required=False),
    base.at("not_before", required=False),
    base.text("reference", required=False),  # what the host calls it: the campaign's id, a count, up to when
    base.text("detail", required=False),
    base.at("started_at", required=False),
    base.at("finished_at", required=False),
)
