"""What is asked of Prefect's server, against a fake of its API on the wire."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import settings
from tasks import prefect_api
from tests.cli.fakes import FakeServer, flow_run, prefect_answers
from tests.conftest import LINK_KEY, PEPPER

FLOW_RUN = UUID(int=7)
READ = f"/api/flow_runs/{FLOW_RUN}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    with FakeServer() as server:
        monkeypatch.setenv("OMS_PRIVACY_PEPPER", PEPPER)
        monkeypatch.setenv("OMS_PRIVACY_LINK_KEY", LINK_KEY)
        monkeypatch.setenv("OMS_PREFECT_PORT", str(server.port))
        settings.load.cache_clear()
        yield server
    settings.load.cache_clear()


def _state(kind: str, message: str | None = None) -> Any:
    from prefect.client.schemas.objects import State, StateType

    return State(type=StateType[kind], name=kind.capitalize(), message=message)


def test_a_silent_server_is_named(fake: FakeServer) -> None:
    with (
        pytest.raises(prefect_api.PrefectUnavailable, match=f"does not answer at http://127.0.0.1:{fake.port} "),
        prefect_api.client(),
    ):
        pass


def test_an_unknown_deployment(fake: FakeServer) -> None:
    fake.answer("GET", "/api/health", True)
    with prefect_api.client() as connected, pytest.raises(prefect_api.UnknownDeployment, match="'reconcile' does not"):
        prefect_api.start(connected, "reconcile", {})


@pytest.mark.parametrize(
    ("kind", "true"),
    [
        ("RUNNING", set()),
        ("PAUSED", {"paused"}),
        ("COMPLETED", {"final", "completed"}),
        ("CANCELLED", {"final", "cancelled"}),
        ("FAILED", {"final"}),
        ("CRASHED", {"final"}),
    ],
)
def test_a_flow_run_is_told_in_plain_values(fake: FakeServer, kind: str, true: set[str]) -> None:
    prefect_answers(fake)
    fake.answer("GET", READ, flow_run(_state(kind, "as it went"), FLOW_RUN))
    with prefect_api.client() as connected:
        found = prefect_api.find(connected, FLOW_RUN)
    assert found is not None
    assert (found.id, found.name, found.state) == (FLOW_RUN, "brave-otter", kind.capitalize())
    assert {name for name in ("final", "completed", "cancelled", "paused") if getattr(found, name)} == true
    assert found.message == ("as it went" if found.final else "")
    assert found.page == f"http://127.0.0.1:{fake.port}/runs/flow-run/{FLOW_RUN}"


def test_a_flow_run_without_a_state_is_unknown(fake: FakeServer) -> None:
    prefect_answers(fake)
    fake.answer("GET", READ, flow_run(None, FLOW_RUN))
    with prefect_api.client() as connected:
        found = prefect_api.find(connected, FLOW_RUN)
    assert found is not None
    assert (found.state, found.message, found.final, found.paused) == ("unknown", "", False, False)


def test_a_forgotten_flow_run_is_none(fake: FakeServer) -> None:
    prefect_answers(fake)
    with prefect_api.client() as connected:
        assert prefect_api.find(connected, FLOW_RUN) is None


def test_who_waits_in_vain_is_told_where_to_look(fake: FakeServer) -> None:
    prefect_answers(fake)
    fake.answer("GET", READ, flow_run(_state("RUNNING"), FLOW_RUN))
    with (
        prefect_api.client() as connected,
        pytest.raises(prefect_api.TookTooLong, match=f"not over after 0 seconds: .*/runs/flow-run/{FLOW_RUN}"),
    ):
        prefect_api.wait(connected, FLOW_RUN, seconds=0.1)


def test_a_yes_is_that_of_the_form(fake: FakeServer) -> None:
    prefect_answers(fake)
    fake.answer("POST", f"{READ}/resume", {"state": None, "status": "ACCEPT", "details": {}}, status=201)
    with prefect_api.client() as connected:
        prefect_api.approve(connected, FLOW_RUN, name="Ann", note="looks good")
    answer = {"decision": "yes", "name": "Ann", "note": "looks good"}
    assert fake.asked[f"{READ}/resume"]["run_input"] == answer


def test_importing_it_does_not_cost_prefect() -> None:
    code = "import sys; from tasks import prefect_api, wiring; print('prefect' in sys.modules)"
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
