"""Key figures by batch, and what they are reckoned of: reactions, the mailbox group and the domain of what was sent.

Of the events of before, reactions are made without an agent: it was not kept. Batches without figures are reckoned by
the first refresh.

The mailbox group of who was planned before stays NULL: to fill it in would write every planned row anew, tens of millions
in one transaction that holds the lock of ADD COLUMN. Where it is NULL, data.kpi_batches takes the group of the party as it
is when a batch is reckoned, which is what the figures of before did, too.

`campaign_kpis` goes: snapshots by the hour, which nothing reads since figures by batch can be summed by day.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0011"
down_revision = "0010"

_COUNTS = (
    *("accepted", "delivered", "dropped", "complained", "unsubscribed"),
    *("bounced_hard", "bounced_soft", "bounced_block", "bounced_undetermined"),
    *("fault_recipient", "fault_sender", "fault_content", "fault_provider", "fault_unknown"),
    *("opened_unique", "opened_human", "clicked_unique", "clicked_human"),
)
# What a link says beyond its page was never kept; the token of an unsubscribe link is in its path, and goes here too.
_REACTIONS_OF_BEFORE = """
INSERT INTO reactions (run_id, ordinal, kind, occurred_at, applied_at, machine, link)
SELECT e.run_id, e.ordinal, e.kind, e.occurred_at, coalesce(i.processed_at, i.received_at), e.machine,
       CASE WHEN lower(e.url) LIKE '%unsubscribe%' THEN 'unsubscribe' ELSE e.url END
FROM delivery_events e JOIN webhook_inbox i ON i.id = e.inbox_id
WHERE e.run_id IS NOT NULL AND e.ordinal IS NOT NULL
  AND (e.kind IN ('opened', 'clicked')
       OR (e.kind = 'bounced' AND e.bounce_class = 'hard' AND e.fault = 'recipient'))
"""


def _text(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, **options)


def _at(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable)


def _whole(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable, **options)


def _batch() -> sa.Column[Any]:
    return sa.Column("batch_id", data.columns.Id, sa.ForeignKey("batches.id"), primary_key=True)


def _account(**options: Any) -> sa.Column[Any]:
    return sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False, **options)


def upgrade() -> None:
    op.create_table(
        "reactions",
        sa.Column("id", data.columns.Id, primary_key=True),
        _text("run_id"),
        _whole("ordinal"),
        _text("kind"),
        _at("occurred_at"),
        _at("applied_at"),
        sa.Column("machine", sa.Boolean(), nullable=False),
        _text("agent", True),
        _text("link", True),
    )
    op.execute(_REACTIONS_OF_BEFORE)
    op.create_index("ix_reactions_run_id_ordinal", "reactions", ["run_id", "ordinal"])
    op.create_table(
        "kpi_marks",
        sa.Column("id", data.columns.Id, primary_key=True),
        _text("run_id"),
        sa.Column("ordinals", data.columns.Json, nullable=False),
    )
    op.create_index("ix_kpi_marks_run_id", "kpi_marks", ["run_id"])
    op.create_table("kpi_due", _batch())
    op.create_table(
        "kpi_counts",
        _batch(),
        _text("mailbox_group", primary_key=True),
        _account(),
        sa.Column("run_id", sa.Text(), sa.ForeignKey("campaign_runs.id"), nullable=False),
        _text("zone"),
        sa.Column("day", sa.Date(), nullable=False),
        _text("provider"),
        _text("pool"),
        _text("domain"),
        _at("claimed_at", True),
        _at("accepted_at"),
        _whole("rules"),
        *(_whole(name, server_default="0") for name in _COUNTS),
        _whole("longest_to_inbox", True),
        _whole("longest_handling", True),
    )
    op.create_index("ix_kpi_counts_account_id_day", "kpi_counts", ["account_id", "day"])
    op.create_index("ix_kpi_counts_run_id", "kpi_counts", ["run_id"])
    op.create_table(
        "kpi_latencies",
        _batch(),
        _text("mailbox_group", primary_key=True),
        _text("measure", primary_key=True),
        _whole("bucket", primary_key=True),
        _whole("messages", server_default="0"),
    )
    op.create_table("kpi_rules", _account(primary_key=True), _whole("version"), _text("chosen_by"), _at("chosen_at"))
    op.add_column("attempt_routes", _text("domain", True))
    op.add_column("audience", _text("mailbox_group", True))
    op.drop_table("campaign_kpis")


def downgrade() -> None:
    op.create_table(
        "campaign_kpis",
        sa.Column("run_id", sa.Text(), sa.ForeignKey("campaign_runs.id"), primary_key=True),
        sa.Column("computed_at", data.columns.Instant(), primary_key=True),
        sa.Column("figures", data.columns.Json, nullable=False),
    )
    op.drop_column("audience", "mailbox_group")
    op.drop_column("attempt_routes", "domain")
    for name in ("kpi_rules", "kpi_latencies", "kpi_counts", "kpi_due", "kpi_marks", "reactions"):
        op.drop_table(name)
