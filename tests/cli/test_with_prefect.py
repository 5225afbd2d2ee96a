"""Runs and doctor against a real Prefect server: the fake's answers must be those of the real one."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

import settings
from cli import services
from tests.cli.conftest import Campaigns

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def prefect_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server of its own with the pool and all deployments of prefect.yaml, and no worker."""
    home = tmp_path_factory.mktemp("prefect")
    port = services.free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMS_", "PREFECT_"))} | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "OMS_HOME": str(home),
    }
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    service = services.Service("prefect", command, f"http://127.0.0.1:{port}/api/health")
    with services.child(service, environment, home):
        services.deploy(environment, home)
        yield port


@pytest.fixture
def prefect(prefect_port: int, shop: sa.Engine, environment: pytest.MonkeyPatch) -> str:
    environment.setenv("OMS_PREFECT_PORT", str(prefect_port))
    settings.load.cache_clear()
    return f"http://127.0.0.1:{prefect_port}"


def test_a_run_is_started_with_the_parameters_of_the_form(prefect: str, campaigns: Campaigns) -> None:
    told = campaigns("run", "news", "--segment", "loyal", "--template", "new-arrivals", "--limit", 5, "--json").json
    assert told["state"] == "Scheduled"
    assert told["page"] == f"{prefect}/runs/flow-run/{told['flow_run']}"
    flow_run = httpx.get(f"{prefect}/api/flow_runs/{told['flow_run']}", trust_env=False).raise_for_status().json()
    request = flow_run["parameters"]["request"]
    assert (request["segment"], request["limit"]) == ("loyal", 5)


@pytest.mark.usefixtures("prefect")
def test_the_doctor_sees_fresh_deployments_and_no_worker(campaigns: Campaigns) -> None:
    found = {one["what"]: one for one in campaigns("doctor", "--json").json["checks"]}
    assert found["Prefect"]["ok"]
    assert found["deployments"] == {
        "what": "deployments",
        "ok": True,
        "warning": False,
        "found": "complete, and the run form is up to date",
    }
    assert not found["worker"]["ok"]


@pytest.mark.usefixtures("prefect")
def test_a_form_that_does_not_know_the_segment_yet(campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch) -> None:
    from segments import registry
    from tasks import request

    registry.load()
    monkeypatch.setitem(registry._room.sound, "brand-new", replace(registry.get("vip"), name="brand-new"))
    monkeypatch.setattr(request, "_SEGMENTS", [*request._SEGMENTS, "brand-new"])
    mistake = campaigns("run", "news", "--segment", "brand-new", "--template", "new-arrivals").mistake
    assert "Prefect refuses this (409: " in mistake
    assert "`campaigns doctor`" in mistake
