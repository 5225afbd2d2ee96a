"""What live counters need besides: how much was put off, and when anything last happened.

Figures of before are reckoned anew by the next refreshes, twenty seconds a minute: what is stored stands meanwhile.
"""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("kpi_counts", sa.Column("deferred", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("kpi_counts", sa.Column("last_event_at", data.columns.Instant(), nullable=True))
    op.execute(
        "INSERT INTO kpi_due (batch_id) SELECT DISTINCT c.batch_id FROM kpi_counts c"
        " WHERE NOT EXISTS (SELECT 1 FROM kpi_due d WHERE d.batch_id = c.batch_id)"
    )


def downgrade() -> None:
    op.drop_column("kpi_counts", "last_event_at")
    op.drop_column("kpi_counts", "deferred")
