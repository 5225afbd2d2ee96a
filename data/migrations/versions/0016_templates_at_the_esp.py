"""Templates that an ESP keeps: the versions that we read, which one a run has pinned; and who lacks a value."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0016"
down_revision = "0015"


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "esp_templates",
        sa.Column("id", data.columns.Id, primary_key=True),
        sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.id"), nullable=False),
        _text("provider"),
        _text("name"),
        _text("template_id"),
        _text("version_id"),
        _text("sent_by", True),
        _text("content_hash"),
        _text("local_hash", True),
        sa.Column("parts", data.columns.Json, nullable=False),
        sa.Column("used", data.columns.Json, nullable=False),
        sa.Column("fallbacks", data.columns.Json, nullable=False),
        sa.Column("recorded_at", data.columns.Instant(), nullable=False),
        _text("recorded_by"),
        sa.UniqueConstraint(
            "account_id", "provider", "template_id", "version_id", "content_hash", name="uq_esp_templates_version"
        ),
    )
    op.create_table(
        "pinned_templates",
        sa.Column("run_id", sa.Text(), sa.ForeignKey("campaign_runs.id"), primary_key=True),
        sa.Column("esp_template_id", data.columns.Id, sa.ForeignKey("esp_templates.id"), nullable=False),
        sa.Column("pinned_at", data.columns.Instant(), nullable=False),
    )
    op.create_index("ix_pinned_templates_esp_template_id", "pinned_templates", ["esp_template_id"])
    op.add_column(
        "campaign_runs", sa.Column("leave_out_missing", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("campaign_runs", "leave_out_missing")
    op.drop_table("pinned_templates")
    op.drop_table("esp_templates")
