"""Few suppressions are ever lifted or expire, and each minute asks which of those an ESP still lists."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def _few(column: str) -> None:
    told = sa.text(f"{column} IS NOT NULL")
    op.create_index(f"ix_suppressions_{column}", "suppressions", [column], sqlite_where=told, postgresql_where=told)


def upgrade() -> None:
    _few("lifted_at")
    _few("expires_at")


def downgrade() -> None:
    op.drop_index("ix_suppressions_expires_at", "suppressions")
    op.drop_index("ix_suppressions_lifted_at", "suppressions")
