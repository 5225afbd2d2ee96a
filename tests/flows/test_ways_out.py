"""A campaign run by several ways, and one with a canary: the flow over a real store, sandbox ESP and gateway."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import settings
from data import database, runs, tables
from domain import routing
from domain.campaigns import Run, RunStatus
from domain.guardrails import CanaryState
from flows.run_campaign import run_campaign
from tasks import reporting
from tasks.dispatch import NoWay
from tasks.request import CampaignRequest, Mode
from tasks.wiring import CannotStart
from tests.flows.conftest import Esp

pytestmark = pytest.mark.slow
ROUTES = """
providers:
  first: {kind: sandbox, concurrency: 1}
  second: {kind: sandbox, concurrency: 1}
accounts:
  shop:
    - {name: a, stream: marketing, provider: first, pool: a, domain: a.shop.example.com}
    - {name: b, stream: marketing, provider: second, pool: b, domain: b.shop.example.com}
"""


def _live(**facts: Any) -> CampaignRequest:
    values = {"campaign": "news", "segment": "all-customers", "template": "new-arrivals", "mode": Mode.LIVE}
    return CampaignRequest(**{**values, **facts})


def _run(engine: sa.Engine) -> Run:
    with database.read(engine) as connection:
        (run_id,) = connection.scalars(sa.select(tables.campaign_runs.c.id))
        return runs.get(connection, run_id)


def test_a_run_goes_by_all_ways_that_are_declared_and_each_choice_is_kept(engine: sa.Engine, installation: Esp) -> None:
    Path("routes.yaml").write_text(ROUTES)
    run_campaign(_live(provider="automatic"))
    run = _run(engine)
    assert run.status is RunStatus.DISPATCHED
    assert Counter(installation.accepted(run.id).values()) == {1: 40}
    audit = reporting.audit_of(run.id)  # one ESP under two names is counted once
    assert (audit.balanced, audit.duplicates, audit.missing) == (True, 0, 0)
    with database.read(engine) as connection:
        ways = connection.execute(sa.select(tables.attempt_routes)).all()
    assert {(way.route, way.provider, way.pool, way.stream) for way in ways} == {
        ("a", "first", "a", "marketing"),
        ("b", "second", "b", "marketing"),
    }
    assert all(routing.replay(way.decision).route == way.route for way in ways)


def test_a_run_may_name_one_of_them(engine: sa.Engine, installation: Esp) -> None:
    Path("routes.yaml").write_text(ROUTES)
    run_campaign(_live(provider="second"))
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.attempt_routes.c.route))) == {"b"}
    assert sum(installation.accepted(_run(engine).id).values()) == 40


def test_without_a_declared_way_nothing_begins(engine: sa.Engine, installation: Esp) -> None:
    Path("routes.yaml").write_text(ROUTES.replace("  shop:", "  other:"))
    with pytest.raises(CannotStart, match="declares no marketing route of account shop"):
        run_campaign(_live(provider="automatic"))
    with database.read(engine) as connection:
        assert not connection.scalar(sa.select(sa.func.count()).select_from(tables.campaign_runs))


def test_a_run_whose_every_way_is_refused_is_paused_and_says_why(engine: sa.Engine, installation: Esp) -> None:
    Path("routes.yaml").write_text(ROUTES.replace("provider:", "authenticated: false, provider:"))
    with pytest.raises(NoWay, match="a: its sending domain is not authenticated; b: "):
        run_campaign(_live(provider="automatic"))
    run = _run(engine)
    assert run.status is RunStatus.PAUSED
    assert "not authenticated" in (run.stop_reason or "")
    assert installation.accepted(run.id) == {}


def test_a_canary_that_sings_lets_the_rest_go(engine: sa.Engine, gateway: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ABOVE": "20", "PERCENT": "5", "MINUTES": "0"}.items():  # judged as soon as half is heard of
        monkeypatch.setenv(f"OMS_SENDING_CANARY_{name}", value)
    settings.load.cache_clear()
    run_campaign(_live())
    run = _run(engine)
    assert (run.status, run.canary) == (RunStatus.DISPATCHED, CanaryState.PASSED)
    with database.read(engine) as connection:
        batch, attempt = tables.batches.c, tables.batch_attempts.c
        query = sa.select(batch.canary, sa.func.min(attempt.claimed_at), sa.func.max(attempt.finished_at))
        went = {
            row[0]: row[1:]
            for row in connection.execute(
                query.join_from(tables.batches, tables.batch_attempts, attempt.batch_id == batch.id).group_by(
                    batch.canary
                )
            )
        }
    assert went[True][1] <= went[False][0]  # nobody else before the last of the canary was answered for
    assert Counter(gateway.accepted(run.id).values()) == {1: 40}
