"""A whole run through Mailchimp Marketing, as the sandbox plays it: the engine's steps over the real adapter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from providers.mailchimp.host import open_host
from tasks import esps, wiring
from tests.data.frozen import Clock
from tests.kills import shop
from tests.providers.mailchimp import hosting
from tests.providers.sandbox.conftest import Esp, esp, start
from tests.tasks import hosted_run
from tests.tasks.hosted_run import HostedRun

__all__ = ["esp", "start"]


@pytest.fixture
def run(
    engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, esp: Esp
) -> Iterator[HostedRun]:
    with hosted_run.set_up(monkeypatch, tmp_path, database_url):
        clock = Clock()
        monkeypatch.setattr(wiring, "clock", clock)
        monkeypatch.setattr(esps, "campaign_host", lambda _provider: open_host(hosting.config(esp.url)))
        monkeypatch.setattr(esps, "is_host", lambda _provider: True)
        shop.fill(engine)
        yield HostedRun(engine, None, clock, shop.open_run(engine, wiring.clock()).id)  # type: ignore[arg-type]


def campaigns(esp: Esp) -> list[dict[str, object]]:
    with hosting.a_host(esp.url) as (_, api):
        return api.campaigns.list(count=1000)["campaigns"]  # type: ignore[no-any-return]


def everybody_once(run: HostedRun, esp: Esp) -> None:
    (one,) = campaigns(esp)
    assert one["settings"]["title"].endswith(f"[{run.id}]")  # type: ignore[index]
    accepted = esp.client.get("/sandbox/accepted", params={"run": one["id"]}).json()
    assert list(accepted.values()) == [1] * shop.PEOPLE
    audit = run.audit()
    assert audit.balanced, audit.complaints
    assert audit.states["accepted"] == shop.PEOPLE


def test_from_the_fields_to_the_report(run: HostedRun, esp: Esp) -> None:
    hosting.at_once(esp.client)
    run.flow()
    everybody_once(run, esp)
    for _ in range(40):
        run.minute()
    delivery = tables.message_delivery
    with database.read(run.engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(delivery)) == shop.PEOPLE


@pytest.mark.parametrize("on", [["host_create"], ["host_send"], ["host_step"], ["host_read"]])
def test_with_answers_lost_and_refused(run: HostedRun, esp: Esp, on: list[str]) -> None:
    hosting.at_once(esp.client, on=on, drop_after_accept=0.2, drop_before_accept=0.1, rate_429=0.1, rate_500=0.1)
    run.flow()
    esp.client.put("/sandbox/faults", json={"campaigns_go_at_once": True})
    for _ in range(40):
        run.minute()
    everybody_once(run, esp)


def test_paused_in_time_nobody_is_mailed_and_resumed_everybody_is(run: HostedRun, esp: Esp) -> None:
    for _ in range(50):
        if [one["status"] for one in campaigns(esp)] == ["schedule"]:
            break
        run.clock.forward(seconds=max(run.wave() or 0.0, 1.0))
    run.pause()
    assert [one["status"] for one in campaigns(esp)] == ["save"]
    hosting.at_once(esp.client)
    run.resume()
    run.flow()
    everybody_once(run, esp)
