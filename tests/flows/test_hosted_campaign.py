"""A campaign through a host as Prefect flow runs: the campaign's own, and the minutely one."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import control, database, tables
from domain.campaigns import RunStatus
from flows.process_delivery_events import process_delivery_events
from flows.pull_reports import pull_reports
from flows.run_campaign import run_campaign
from tasks import dispatch, esps, host_request, reporting, wiring
from tasks.dispatch import ProviderRefuses
from tests.data.frozen import Clock
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts
from tests.flows.test_run_campaign import live, only_run
from tests.tasks.stored_host import StoredHost

pytestmark = pytest.mark.slow


@pytest.fixture
def host(installation: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StoredHost:
    """In the sandbox's place; its time runs so fast that nobody waits for it."""
    clock = Clock()
    clock.now = wiring.clock()
    monkeypatch.setattr(wiring, "clock", clock)
    monkeypatch.setattr(dispatch, "_SHORTEST_WAIT", 0.0)
    monkeypatch.setattr(host_request, "_ASK_EVERY", 0.01)
    monkeypatch.setattr(host_request, "_ASK_AGAIN", 0.01)
    made = StoredHost(tmp_path / "host.db", clock)
    (tmp_path / "routes.yaml").write_text("providers: {sandbox: {kind: sandbox, speaks: mailchimp}}")
    monkeypatch.setattr(esps, "campaign_host", lambda _provider: made)
    return made


def test_a_campaign_goes_through_a_host_and_its_report_is_true(
    engine: sa.Engine, host: StoredHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_request, "_LEAD", timedelta(minutes=1))  # a look takes half of it
    right = host.status

    def soon(campaign_id: str) -> object:
        host.clock.forward(seconds=30)  # type: ignore[attr-defined]
        return right(campaign_id)

    monkeypatch.setattr(host, "status", soon)
    run_campaign(live(provider="sandbox"))
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHED
    assert len(host.mailed()) == len(set(host.mailed())) == 40
    assert reporting.audit_of(run.id).balanced
    shown = artifacts()
    assert "sandbox sends it itself, to everybody at once" in shown[f"waterfall-{run.id}"]
    assert "The ledger balances" in shown[f"report-{run.id}"]
    assert pull_reports() == {"host_bodies": 1}
    assert process_delivery_events()["events"] == 40
    assert pull_reports() == {"host_bodies": 0}  # not due yet


def test_what_the_host_refuses_pauses_the_run_and_fails_the_flow_run(engine: sa.Engine, host: StoredHost) -> None:
    host.checklist.append("the sender is not verified")
    with pytest.raises(ProviderRefuses, match="the sender is not verified"):
        run_campaign(live(provider="sandbox"))
    run = only_run(engine)
    assert run.status is RunStatus.PAUSED
    assert host.mailed() == []
    with database.write(engine) as connection:
        control.cancel(connection, run.id, by="Ann", why="", now=wiring.clock())
    for _ in range(3):
        process_delivery_events()
    assert host.asked("SELECT count(*) FROM campaigns WHERE NOT deleted") == [(0,)]
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.campaign_runs.c.settled_at)) is not None
