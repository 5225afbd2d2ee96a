"""Few suppressions are ever lifted or expire, and few events are strays: what asks for those reads no others."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def _few(condition: str, table: str, *columns: str) -> None:
    told = sa.text(condition)
    name = "_".join(["ix", table, *columns])
    op.create_index(name, table, list(columns), sqlite_where=told, postgresql_where=told)


def upgrade() -> None:
    _few("lifted_at IS NOT NULL", "suppressions", "lifted_at")
    _few("expires_at IS NOT NULL", "suppressions", "expires_at")
    _few("run_id IS NULL", "delivery_events", "run_id", "occurred_at")


def downgrade() -> None:
    op.drop_index("ix_delivery_events_run_id_occurred_at", "delivery_events")
    op.drop_index("ix_suppressions_expires_at", "suppressions")
    op.drop_index("ix_suppressions_lifted_at", "suppressions")
