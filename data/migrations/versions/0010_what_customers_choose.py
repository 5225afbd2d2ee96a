"""What customers choose: topics and their refusals, how often they want mail, and the account's language."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0010"
down_revision = "0009"


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=True)


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _account() -> sa.Column[str]:
    return sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), primary_key=True)


def upgrade() -> None:
    op.create_table(
        "topics",
        _account(),
        _key("name"),
        sa.Column("titles", data.columns.Json, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", data.columns.Instant(), nullable=False),
    )
    op.create_table(
        "topic_refusals",
        _account(),
        _key("address_hash"),
        _key("topic"),
        _text("source"),
        _text("evidence"),
        sa.Column("created_at", data.columns.Instant(), nullable=False),
        sa.Column("lifted_at", data.columns.Instant(), nullable=True),
    )
    op.create_table(
        "mail_frequencies",
        _account(),
        _key("address_hash"),
        _text("frequency"),
        _text("source"),
        _text("evidence"),
        sa.Column("chosen_at", data.columns.Instant(), nullable=False),
    )
    op.create_index("ix_mail_frequencies_account_id_frequency", "mail_frequencies", ["account_id", "frequency"])
    op.add_column("campaign_runs", _text("topic", True))
    op.add_column("accounts", _text("language", True))


def downgrade() -> None:
    op.drop_column("accounts", "language")
    op.drop_column("campaign_runs", "topic")
    op.drop_index("ix_mail_frequencies_account_id_frequency", "mail_frequencies")
    for name in ("mail_frequencies", "topic_refusals", "topics"):
        op.drop_table(name)
