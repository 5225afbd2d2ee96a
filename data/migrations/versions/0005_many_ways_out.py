"""Many ways out: pools, buckets, breakers, warm-up, brakes; canaries and mailbox groups of batches; the installation.

Batches that were planned before have no mailbox group: they are paced as a group of their own.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0005"
down_revision = "0004"


def _account(**options: Any) -> sa.Column[Any]:
    return sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False, **options)


def _text(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, **options)


def _at(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable, **options)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _real(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(), nullable=False)


def _json(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Json, nullable=nullable)


def _of_group() -> tuple[sa.Column[Any], ...]:
    return _account(primary_key=True), _text("pool", primary_key=True), _text("mailbox_group", primary_key=True)


def upgrade() -> None:
    op.create_table(
        "pools",
        _account(primary_key=True),
        _text("name", primary_key=True),
        _text("stream"),
        _at("created_at"),
        sa.UniqueConstraint("account_id", "name", "stream"),
        sa.CheckConstraint("stream IN ('marketing', 'transactional')", name="known_stream"),
    )
    op.create_table(
        "attempt_routes",
        sa.Column("attempt_id", sa.Text(), sa.ForeignKey("batch_attempts.id"), primary_key=True),
        _account(),
        _text("route"),
        _text("provider"),
        _text("pool"),
        _text("stream"),
        _text("mailbox_group"),
        _json("decision"),
        _text("schedule_id", True),
        _at("send_at", True),
        sa.ForeignKeyConstraint(
            ["account_id", "pool", "stream"],
            ["pools.account_id", "pools.name", "pools.stream"],
            name="fk_attempt_routes_pool_pools",
        ),
    )
    op.create_table(
        "buckets",
        _text("key", primary_key=True),
        _real("tokens"),
        _at("at"),
        _at("blocked_until", True),
    )
    op.create_table(
        "provider_states",
        _text("provider", primary_key=True),
        _text("stream", primary_key=True),
        _text("breaker"),
        _count("failures"),
        _count("unknowns"),
        _count("openings"),
        _at("probe_at", True),
        _real("concurrency"),
        sa.Column("latency", sa.Float(), nullable=True),
        _text("reason", True),
        _at("changed_at"),
    )
    op.create_table(
        "slots",
        _text("id", primary_key=True),
        _text("provider"),
        _text("stream"),
        _at("expires_at"),
    )
    op.create_index("ix_slots_provider", "slots", ["provider"])
    op.create_table("pool_volumes", *_of_group(), _at("hour", primary_key=True), _count("messages"))
    op.create_table(
        "warmups",
        *_of_group(),
        sa.Column("day", sa.Integer(), nullable=False),
        _at("day_began_at"),
        _at("last_sent_at", True),
        _at("trouble_at", True),
    )
    op.create_table(
        "brakes",
        sa.Column("id", data.columns.Id, primary_key=True),
        _account(),
        sa.Column("run_id", sa.Text(), sa.ForeignKey("campaign_runs.id"), nullable=True),
        _text("mailbox_group"),
        _real("factor"),
        _text("reason"),
        _json("figures"),
        _at("set_at"),
        _at("until", True),
        _at("lifted_at", True),
        _text("lifted_by", True),
    )
    op.create_index("ix_brakes_account_id_lifted_at", "brakes", ["account_id", "lifted_at"])
    op.create_table(
        "mail_domains",
        _text("domain", primary_key=True),
        _text("mailbox_group"),
        _text("source"),
        _at("looked_up_at"),
    )
    op.create_table(
        "seed_messages",
        _text("id", primary_key=True),
        _account(),
        _text("provider"),
        _text("pool"),
        _text("stream"),
        _at("sent_at"),
        _text("outcome", True),
        _text("detail", True),
        _at("confirmed_at", True),
    )
    op.create_index("ix_seed_messages_account_id_sent_at", "seed_messages", ["account_id", "sent_at"])
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("environment"),
        _text("fingerprint"),
        _at("claimed_at"),
        _text("claimed_by"),
    )
    op.create_table(
        "vettings",
        _account(primary_key=True),
        _text("standing"),
        _json("figures"),
        _at("judged_at"),
        _text("decided_by", True),
    )
    for column in (
        _text("canary", True),
        _json("canary_figures", True),
        _at("worked_at", True),
        sa.Column("two_phase", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("campaign_runs", column)
    op.add_column("batches", _text("mailbox_group", True))
    op.add_column("batches", sa.Column("canary", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("batches", _text("refused_by", True))
    op.create_index("ix_batches_attempt_id", "batches", ["attempt_id"])


def downgrade() -> None:
    op.drop_index("ix_batches_attempt_id", "batches")
    for name in ("refused_by", "canary", "mailbox_group"):
        op.drop_column("batches", name)
    for name in ("two_phase", "worked_at", "canary_figures", "canary"):
        op.drop_column("campaign_runs", name)
    for name in (
        "vettings",
        "installation",
        "seed_messages",
        "mail_domains",
        "brakes",
        "warmups",
        "pool_volumes",
        "slots",
        "provider_states",
        "buckets",
        "attempt_routes",
        "pools",
    ):
        op.drop_table(name)
