"""The live counters of a run in Prefect: one artifact a run, changed in place, only where figures changed."""

import asyncio

import pytest
import sqlalchemy as sa
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact

from data import database, kpis
from flows.process_delivery_events import process_delivery_events
from flows.report_kpis import report_kpis
from flows.run_campaign import run_campaign
from tasks import live as live_tasks
from tests.flows.conftest import Esp
from tests.flows.test_run_campaign import live, only_run
from tests.flows.test_upkeep import _deliver_all, _move_to

pytestmark = pytest.mark.slow


def _versions(run_id: str) -> list[Artifact]:
    async def read() -> list[Artifact]:
        async with get_client() as client:
            key = ArtifactFilter(key=ArtifactFilterKey(any_=[f"live-{run_id}"]))
            return await client.read_artifacts(artifact_filter=key)

    return asyncio.run(read())


def test_counters_are_changed_in_place_and_only_when_figures_changed(
    engine: sa.Engine, gateway: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    _move_to(engine, "hard.test", range(2))
    _move_to(engine, "complaint.test", range(2, 3))
    _move_to(engine, "delivered.test", range(3, 40))
    run_campaign(live())
    run = only_run(engine)
    process_delivery_events()
    _deliver_all(gateway, run.id)
    process_delivery_events()
    (shown,) = _versions(run.id)
    assert str(shown.flow_run_id) == run.flow_run_id  # on the Artifacts tab of the campaign's own flow run
    text = str(shown.data)
    with database.read(engine) as connection:
        total = kpis.figures(connection, run.id)[0]
    assert (total.bounced, total.complained) == ({"hard": 2}, 1)
    for line in (
        f"| delivered | {total.delivered} | {100 * total.delivered / 40:.1f} %",
        "| hard | 2 | 5.00 % |",
        "| recipient | 2 | 5.00 % |",
        "| complained | 1 |",
        "**Last event:** 20",
        "Every webhook that came was read.",
    ):
        assert line in text
    assert "@" not in text
    written: list[int] = []
    show = live_tasks._shown
    monkeypatch.setattr(live_tasks, "_shown", lambda *some: written.append(show(*some)) or written[-1])
    process_delivery_events()
    assert written == []  # nothing changed, so no run is even looked at
    report_kpis()
    assert written == [False]  # looked at, and as it was
    (again,) = _versions(run.id)
    assert (again.id, again.data, again.updated) == (shown.id, shown.data, shown.updated)
