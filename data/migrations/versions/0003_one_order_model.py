"""Every channel in one model: intake records, timelines, deletions, persons over channels.

Loaded files are known by their hash only: what became of their orders stands in intake_batches from now on.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0003"
down_revision = "0002"

Text, Instant, Json, Money = sa.Text(), data.columns.Instant(), data.columns.Json, data.columns.Money()


def _account(**options: Any) -> sa.Column[Any]:
    return sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False, **options)


def _id() -> sa.Column[Any]:
    return sa.Column("id", data.columns.Id, primary_key=True)


def _text(name: str, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, **options)


def _at(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, data.columns.Instant(), nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    _new_tables()
    for column in (
        _text("number", True), _text("kind", server_default="sale"), _text("replaces", True),
        sa.Column("tax", Money), sa.Column("shipping", Money), sa.Column("discount", Money),
        _text("coupons", True), _text("shop_currency", True),
        sa.Column("shop_total", Money), sa.Column("shop_refunded", Money),
        _at("observed_at", True), _at("deleted_at", True),
        sa.Column("notify", sa.Boolean(), nullable=False, server_default=sa.true()),
    ):
        op.add_column("orders", column)
    for column in (_text("external_id", True), _text("brand", True), sa.Column("discount", Money), sa.Column("tax", Money)):
        op.add_column("order_lines", column)
    for column in (_text("channel", server_default=""), _text("level", server_default="")):
        op.add_column("consents", column)
    with op.batch_alter_table("parties") as table:
        table.add_column(_text("numbering", server_default=""))
        table.add_column(sa.Column("person_id", data.columns.Id, nullable=True))
        for name in ("address_placed_at", "address_at", "placed_at"):
            table.add_column(_at(name, True))
        table.add_column(_text("locale", True))
        table.add_column(sa.Column("relay", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.drop_constraint("uq_parties_account_id_external_id", type_="unique")
        table.create_unique_constraint("uq_parties_account_id_numbering_external_id", ["account_id", "numbering", "external_id"])
        table.create_foreign_key("fk_parties_person_id_parties", "parties", ["person_id"], ["id"])
    op.create_index("ix_parties_person_id", "parties", ["person_id"])
    op.execute("UPDATE parties SET address_placed_at = updated_at, address_at = updated_at WHERE email IS NOT NULL")
    op.execute("UPDATE parties SET numbering = '~guest' WHERE external_id LIKE 'guest:%' OR external_id LIKE 'guest-order:%'")
    with op.batch_alter_table("intake_files") as table:
        for name in ("loaded", "updated", "unchanged", "stale", "dead"):
            table.drop_column(name)
        table.alter_column("loaded_at", new_column_name="started_at")
        table.add_column(_count("records"))
        table.add_column(_at("staged_at", True))
    op.execute("UPDATE intake_files SET staged_at = started_at")
    with op.batch_alter_table("dead_letters") as table:
        for column in (
            _text("rule", server_default=""), sa.Column("fields", Json, nullable=False, server_default="[]"),
            _text("external_id", True), _at("as_of", True), sa.Column("context", Json, nullable=False, server_default="{}"),
            sa.Column("patch", Json, nullable=False, server_default="[]"), _count("attempts"),
            _at("next_try_at", True), _at("ended_at", True), _text("ended_by", True), _text("note", True),
        ):
            table.add_column(column)
    op.create_index("ix_dead_letters_account_id_source_external_id", "dead_letters", ["account_id", "source", "external_id"])
    op.create_index("ix_dead_letters_state_next_try_at", "dead_letters", ["state", "next_try_at"])


def _new_tables() -> None:
    op.create_table(
        "intake_records", _id(), _account(), _text("channel"), _text("origin"), _text("source"), _text("topic"),
        _at("observed_at", True), _text("urgency"), sa.Column("first_row", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False), sa.Column("body_bytes", sa.Integer(), nullable=False),
        _text("body_hash"), _at("received_at"), _text("state"), _count("strikes"), _text("error", True),
        _at("processed_at", True), sa.Column("reread", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.UniqueConstraint("account_id", "channel", "body_hash"),
    )
    op.create_index("ix_intake_records_queue", "intake_records", ["state", "urgency", "id"])
    op.create_index("ix_intake_records_backlog", "intake_records", ["account_id", "channel", "state", "urgency", "id"])
    op.create_table(
        "intake_batches", _id(), _account(), _text("channel"), _at("drained_at"), _at("first_received_at"),
        _at("last_received_at"), _text("verdict"), _count("records"), _count("orders"), _count("refused"),
        _count("loaded"), _count("updated"), _count("unchanged"), _count("stale"), _count("deleted"), _count("ignored"),
        sa.Column("fired", Json, nullable=False),
    )
    op.create_index(
        "ix_intake_batches_account_id_channel_drained_at", "intake_batches", ["account_id", "channel", "drained_at"]
    )
    op.create_table(
        "intake_quarantines", _id(), _account(), _text("channel"), _at("since"), _text("reason"),
        sa.Column("facts", Json, nullable=False), _at("ended_at", True), _text("ended_by", True), _text("note", True),
    )
    op.create_index(
        "ix_intake_quarantines_account_id_channel_ended_at", "intake_quarantines", ["account_id", "channel", "ended_at"]
    )
    op.create_table(
        "intake_cursors", _account(primary_key=True), _text("channel", primary_key=True), _at("read_until", True),
        _at("asked_at"), _text("error", True), _text("subscription", True),
    )
    op.create_table(
        "order_events",
        sa.Column("order_id", data.columns.Id, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True), _text("step"), _at("at"), _text("reference"),
        sa.Column("amount", Money), _text("carrier", True), _text("tracking_number", True), _text("tracking_url", True),
        _text("note", True),
    )
    op.create_table(
        "order_deletions", _account(primary_key=True), _text("channel", primary_key=True),
        _text("external_id", primary_key=True), _at("deleted_at"),
    )


def downgrade() -> None:
    for name in ("order_deletions", "order_events", "intake_cursors", "intake_quarantines", "intake_batches", "intake_records"):
        op.drop_table(name)
    op.drop_index("ix_dead_letters_state_next_try_at", "dead_letters")
    op.drop_index("ix_dead_letters_account_id_source_external_id", "dead_letters")
    with op.batch_alter_table("dead_letters") as table:
        for name in ("rule", "fields", "external_id", "as_of", "context", "patch", "attempts", "next_try_at", "ended_at", "ended_by", "note"):
            table.drop_column(name)
    with op.batch_alter_table("intake_files") as table:
        table.drop_column("staged_at")
        table.drop_column("records")
        table.alter_column("started_at", new_column_name="loaded_at")
        for name in ("loaded", "updated", "unchanged", "stale", "dead"):
            table.add_column(_count(name))
    op.drop_index("ix_parties_person_id", "parties")
    with op.batch_alter_table("parties") as table:
        table.drop_constraint("fk_parties_person_id_parties", type_="foreignkey")
        table.drop_constraint("uq_parties_account_id_numbering_external_id", type_="unique")
        table.create_unique_constraint("uq_parties_account_id_external_id", ["account_id", "external_id"])
        for name in ("numbering", "person_id", "address_placed_at", "address_at", "placed_at", "locale", "relay"):
            table.drop_column(name)
    for name in ("channel", "level"):
        op.drop_column("consents", name)
    for name in ("external_id", "brand", "discount", "tax"):
        op.drop_column("order_lines", name)
    for name in ("number", "kind", "replaces", "tax", "shipping", "discount", "coupons", "shop_currency", "shop_total", "shop_refunded", "observed_at", "deleted_at", "notify"):
        op.drop_column("orders", name)
