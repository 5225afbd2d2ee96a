"""Campaign hosts: what was done at an ESP that sends a campaign itself, step by step."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "host_steps",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("first_ordinal", sa.Integer(), nullable=False),
        sa.Column("last_ordinal", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", data.columns.Instant(), nullable=True),
        sa.Column("not_before", data.columns.Instant(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("started_at", data.columns.Instant(), nullable=True),
        sa.Column("finished_at", data.columns.Instant(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["campaign_runs.id"], name="fk_host_steps_run_id_campaign_runs"),
        sa.PrimaryKeyConstraint("run_id", "step", "first_ordinal", name="pk_host_steps"),
    )


def downgrade() -> None:
    op.drop_table("host_steps")
