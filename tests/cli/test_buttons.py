"""Prefect's own buttons, the deployment control-campaign and SIGKILL, over real servers and a process worker.

The calls are those that the UI of Prefect 3.8.8 makes: Pause sets the state Suspended, Resume asks for it, Cancel sets
Cancelling.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from prefect.blocks.notifications import CustomWebhookNotificationBlock

import settings
from cli import main, services, store
from data import database, runs, tables
from domain.campaigns import Run, RunStatus
from tasks import continuing, prefect_api, wiring
from tasks.audits import audit_of
from tests.conftest import LINK_KEY, PEPPER
from tests.flows.conftest import _customers
from tests.flows.test_kpi_anomalies import counted

pytestmark = pytest.mark.slow
_PEOPLE = 40
_BATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Installation:
    prefect: str
    sandbox: str
    pids: dict[str, int]

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(method, f"{self.prefect}/api{path}", json=body or None, trust_env=False, timeout=30)
        return answer.raise_for_status().json() if answer.content else None

    def press(self, flow_run_id: str, state: dict[str, Any]) -> None:
        self.ask("POST", f"/flow_runs/{flow_run_id}/set_state", state=state)

    def state(self, flow_run_id: str) -> str:
        name: str = self.ask("GET", f"/flow_runs/{flow_run_id}")["state_name"]
        return name

    def fault(self, **knobs: object) -> None:
        """Beside the second that each batch takes."""
        httpx.put(
            f"{self.sandbox}/sandbox/faults",
            json={"latency_ms": int(1000 * _BATCH_SECONDS), **knobs},
            headers={"Authorization": "Bearer SG.sandbox"},
            trust_env=False,
        ).raise_for_status()

    def accepted(self, run_id: str) -> dict[str, int]:
        answer = httpx.get(
            f"{self.sandbox}/sandbox/accepted",
            params={"run": run_id},
            headers={"Authorization": "Bearer SG.sandbox"},
            trust_env=False,
        )
        found: dict[str, int] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything that `campaigns up` starts; the ESP takes a second for each batch of two."""
    home = tmp_path_factory.mktemp("installation")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name in [one for one in os.environ if one.startswith(("OMS_", "PREFECT_"))]:
            patch.delenv(name)
        ports = {f"OMS_{one}_PORT": str(services.free_port()) for one in ("SANDBOX", "GATEWAY", "PREFECT")}
        for name, value in {
            **ports,
            "OMS_ACCOUNT": "shop",
            "OMS_PRIVACY_PEPPER": PEPPER,
            "OMS_PRIVACY_LINK_KEY": LINK_KEY,
            "OMS_DATABASE_URL": f"sqlite:///{home / 'oms.db'}",
            "OMS_SANDBOX_STORE": str(home / "sandbox.db"),
            "OMS_SENDING_BATCH_SIZE": "2",
            "OMS_SENDING_CAP_MAILS": "100",
            "OMS_SENDING_PAUSE_ON_ANOMALY": "true",
            "OMS_SENDGRID_CONCURRENCY": "1",
            "OMS_SHOP_CURRENCY": "USD",
        }.items():
            patch.setenv(name, value)
        settings.load.cache_clear()
        store.prepare(store.connectable())
        _customers(wiring.engine())
        config = settings.load()
        with services.running(config, home / "var") as running:
            made = Installation(config.prefect.url, config.sandbox.url, running.pids)
            made.fault()
            yield made
    settings.load.cache_clear()


def _until(what: str, found: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while (value := found()) is None:
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds:.0f} seconds"
        time.sleep(0.1)
    return value


def _run(flow_run_id: str) -> Run | None:
    with database.read(wiring.engine()) as connection:
        return runs.by_flow_run(connection, flow_run_id)


def _get(run_id: str) -> Run:
    with database.read(wiring.engine()) as connection:
        return runs.get(connection, run_id)


def _sending(there: Installation) -> tuple[str, Run]:
    """Start a run; return its flow run's id, and the run once the ESP has taken something of it."""
    fields = {"campaign": "news", "segment": "all-customers", "template": "new-arrivals", "mode": "live"}
    from tasks.request import CampaignRequest, Mode

    request = CampaignRequest(**{**fields, "mode": Mode.LIVE}).model_dump(mode="json")
    with prefect_api.client() as connected:
        flow_run_id = str(prefect_api.start(connected, "run-campaign", {"request": request}).id)

    def begun() -> Run | None:
        run = _run(flow_run_id)
        return run if run is not None and there.accepted(run.id) else None

    return flow_run_id, _until("a first batch", begun)


def _stands(there: Installation, run_id: str, status: RunStatus) -> int:
    """The run gets there, and at most one further batch is taken; how many messages that makes."""
    before = len(there.accepted(run_id))
    pressed = time.monotonic()
    _until(str(status), lambda: _get(run_id).status is status or None, 20)
    within = time.monotonic() - pressed
    time.sleep(2 * _BATCH_SECONDS + 1)
    taken = len(there.accepted(run_id))
    # A batch was under way, and another may begin until the flow run's state is read, which is once a second.
    assert taken <= before + 2 * (2 + within / _BATCH_SECONDS), (taken, before, within)
    assert taken < _PEOPLE
    return taken


def _everybody_once(there: Installation, run_id: str) -> None:
    _until("the end", lambda: _get(run_id).status in {RunStatus.DISPATCHED, RunStatus.SETTLED} or None)
    assert there.accepted(run_id) == {f"{run_id}.{number}": 1 for number in range(_PEOPLE)}
    assert audit_of(run_id).balanced


def test_pause_and_resume_of_the_ui(installation: Installation) -> None:
    flow_run_id, run = _sending(installation)
    timeout = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    suspended = {
        "type": "PAUSED",
        "name": "Suspended",
        "state_details": {"pause_timeout": timeout, "pause_reschedule": True},
    }
    installation.press(flow_run_id, suspended)
    _stands(installation, run.id, RunStatus.PAUSED)
    time.sleep(5)  # the process ends, and must not complete the flow run on its way
    assert installation.state(flow_run_id) == "Suspended"
    installation.ask("POST", f"/flow_runs/{flow_run_id}/resume", run_input=None)
    _everybody_once(installation, run.id)
    _until("Completed", lambda: installation.state(flow_run_id) == "Completed" or None)


def test_cancel_of_the_ui(installation: Installation) -> None:
    flow_run_id, run = _sending(installation)
    installation.press(flow_run_id, {"type": "CANCELLING", "name": "Cancelling"})
    taken = _stands(installation, run.id, RunStatus.CANCELLED)
    _until("Cancelled", lambda: installation.state(flow_run_id) == "Cancelled" or None)
    _until("no batch under way", lambda: audit_of(run.id).states["open"] == 0 or None, 60)
    found = audit_of(run.id)
    assert found.balanced
    assert found.states["cancelled"] + found.states["accepted"] + found.states["held"] == _PEOPLE
    assert found.states["accepted"] <= taken


def test_the_deployment_control_campaign(installation: Installation) -> None:
    from flows.control_campaign import ControlRequest, Word

    _, run = _sending(installation)

    def say(word: Word) -> None:
        request = ControlRequest(run=run.id, word=word, name="Ann").model_dump(mode="json")
        with prefect_api.client() as connected:
            started = prefect_api.start(connected, "control-campaign", {"request": request})
            done = prefect_api.wait(connected, started.id, seconds=300)
        assert done.completed, done.message

    installation.fault(
        latency_ms=int(10_000 * _BATCH_SECONDS)
    )  # the flow that pauses may take longer to start than the run would take
    say(Word.PAUSE)
    installation.fault()
    _stands(installation, run.id, RunStatus.PAUSED)
    assert _get(run.id).stop_reason == "paused by Ann"
    say(Word.GO_ON)
    _everybody_once(installation, run.id)
    with database.read(wiring.engine()) as connection:
        log = tables.audit_log.c
        said = connection.execute(sa.select(log.actor, log.action).where(log.subject == f"run:{run.id}")).all()
    assert {("Ann", "pause"), ("Ann", "continue")} <= {tuple(row) for row in said}


@contextmanager
def _webhook() -> Iterator[tuple[str, list[bytes]]]:
    """Where a notification can be sent to, and what came."""
    came: list[bytes] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """No line on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Keep) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", came
        server.shutdown()


def _notify(there: Installation, url: str, folder: Path) -> None:
    """Do what docs/operations.md says: a block, its id into the file, the automation out of the file."""
    page = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(name: Tell us of jumps.*?)```", page, re.DOTALL)
    with prefect_api.client():
        block = CustomWebhookNotificationBlock(name="here", url=url, json_data={"text": "{{subject}}; {{body}}"})
        block_id = block.save("here", overwrite=True)
    file = folder / "notify.yaml"
    file.write_text(example.replace("00000000-0000-0000-0000-000000000000", str(block_id)))
    command = (sys.executable, "-m", "prefect", "automation", "create", "--from-file", str(file))
    environment = {**os.environ, "PREFECT_API_URL": f"{there.prefect}/api"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def test_a_key_figure_that_jumps_pauses_what_is_being_sent_and_tells(
    installation: Installation, tmp_path: Path
) -> None:
    """The hourly report finds the jump; its event starts heed-anomaly by the automation that prefect.yaml makes."""
    with _webhook() as (url, came):
        _notify(installation, url, tmp_path)
        _a_jump_pauses(installation)
        _until("the notification", lambda: len(came) >= 2 or None, 60)
    told = " ".join(body.decode() for body in came)
    # What this run sends meanwhile is among the mail of today.
    figures = r", mail of 20[\d-]+: 0\.0[78]\d* of 10\d\d, before 0\.01 of 5000"
    assert re.search(f"bounce_rate jumped at shop; mailbox gmail{figures}", told)
    assert re.search(f"bounce_rate jumped at shop; domain shop.example.com{figures}", told)


def _a_jump_pauses(installation: Installation) -> None:
    _, run = _sending(installation)
    installation.fault(rate_429=1.0)  # it sends on and on, however long the worker takes to start two flow runs
    counted(wiring.engine())
    with prefect_api.client() as connected:
        prefect_api.start(connected, "report-kpis", {})
    _until("the pause", lambda: _get(run.id).status is RunStatus.PAUSED or None)
    # Of the two events, of the mailbox provider and of the domain, whichever came first.
    assert str(_get(run.id).stop_reason).startswith("paused by anomaly of bounce_rate, ")
    wanted = {"key": {"any_": ["anomaly-shop"]}}
    found = _until(
        "the artifact", lambda: installation.ask("POST", "/artifacts/latest/filter", artifacts=wanted) or None, 60
    )
    told = found[0]["data"]
    assert "A key figure jumped" in told
    assert "@" not in told
    installation.fault()
    assert main.run(["cancel", run.id, "--yes"]) == 0


def test_a_killed_flow_run_is_continued_by_hand(installation: Installation) -> None:
    flow_run_id, run = _sending(installation)
    _kill_process_of(flow_run_id)
    assert main.run(["resume", run.id]) == 0
    taken = _until("all but the batch that nobody knows of", lambda: len(installation.accepted(run.id)) >= 38 or None)
    assert taken
    assert set(installation.accepted(run.id).values()) == {1}


def test_ending_the_worker_is_no_word_about_the_run(installation: Installation) -> None:
    """The last test: nobody starts the worker again."""
    flow_run_id, run = _sending(installation)
    os.kill(installation.pids["worker"], signal.SIGTERM)
    _until("the worker's end", lambda: _is_over(flow_run_id) or None, 60)
    assert installation.state(flow_run_id) not in {"Cancelled", "Cancelling"}
    with prefect_api.client() as connected:
        continuing.look_after(connected)
    assert _get(run.id).status in {RunStatus.DISPATCHING, RunStatus.DISPATCHED}
    assert set(installation.accepted(run.id).values()) == {1}


def _is_over(flow_run_id: str) -> bool:
    return not _processes_of(flow_run_id)


def _kill_process_of(flow_run_id: str) -> None:
    found = _processes_of(flow_run_id)
    assert found, "no process carries the flow run's id"
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def _processes_of(flow_run_id: str) -> list[int]:
    """The worker gives a flow run's process its id by PREFECT__FLOW_RUN_ID."""
    mark = f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode()
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (one / "environ").read_bytes():
                found.append(int(one.name))
        except OSError:
            continue
    return found
