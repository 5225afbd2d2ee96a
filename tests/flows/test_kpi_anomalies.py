"""A figure that jumps: an event that an automation can act on, and a line in the artifact; ids and figures only."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, kpi_counts, tables
from flows.report_kpis import report_kpis
from tasks import reporting, wiring
from tests.data import ledger_rows
from tests.data.ledger_rows import BatchRow
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts

pytestmark = pytest.mark.slow


def counted(engine: sa.Engine) -> None:
    """Two batches to one mailbox group: of the earlier mail 1 % bounced, of today's 8 %."""
    now, counts = wiring.clock(), tables.kpi_counts
    with database.write(engine) as connection:
        some = connection.scalars(sa.select(tables.parties.c.id).order_by(tables.parties.c.id).limit(2)).all()
        connection.execute(tables.parties.update().values(mailbox_provider="gmail"))
        rows = [BatchRow(n, n, attempt=f"a{n}", finished_at=now - timedelta(days=9 * (1 - n))) for n in range(2)]
        ledger_rows.add_run(connection, "shop", some, rows, created_at=now - timedelta(days=40))
    kpi_counts.refresh(engine)
    with database.write(engine) as connection:
        mine = counts.update().where(counts.c.run_id == "run1")
        connection.execute(mine.values(accepted=5000, delivered=4950, bounced_hard=50))
        today = mine.where(counts.c.accepted_at > now - timedelta(days=1))
        connection.execute(today.values(accepted=1000, delivered=920, bounced_hard=80))


def test_a_jump_raises_an_event_and_is_shown(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(reporting, "emit_event", lambda event, **facts: raised.append((event, facts)))
    counted(engine)
    report_kpis()
    assert {event for event, _ in raised} == {"campaigns.kpi.anomaly"}
    facts, of_domain = (facts for _, facts in raised)
    assert facts["resource"] == {"prefect.resource.id": "campaigns.account.shop"}
    told = facts["payload"]
    assert (told["kpi"], told["by"], told["group"]) == ("bounce_rate", "mailbox", "gmail")
    assert (told["value"], told["of"]) == (0.08, 1000)
    assert (told["value_before"], told["of_before"]) == (0.01, 5000)
    assert (of_domain["payload"]["by"], of_domain["payload"]["group"]) == ("domain", "shop.example.com")
    assert "@" not in repr(raised)
    assert "## Out of the ordinary\n\n- Gmail, mail of" in artifacts()["key-figures-shop"]
