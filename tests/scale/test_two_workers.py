"""Beyond one machine, in the small: real processes on loopback share one PostgreSQL and nothing else (docs/scale.md).

One sandbox ESP, two gateways behind something that deals out requests, two senders and then four on one run.
"""

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from benchmarks import shop
from cli.services import Service, child
from data import audience, audit, database, events, ledger_sweep, tables
from data.inbox import BodyState
from domain.campaigns import Run
from providers.sandbox.record import SandboxRecord
from providers.sendgrid.webhook import SendGridEvents
from tasks import wiring
from tests.conftest import LINK_KEY, PEPPER
from tests.providers import loopback

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
KEY = "SG.scale"
BATCH = 40
PATIENCE = 30


@dataclass(frozen=True)
class Site:
    """What runs: the store, the ESP, and which gateway got how many of its webhooks."""

    engine: sa.Engine
    environment: dict[str, str]
    esp: str
    public_key: str
    dealt: Counter[str]


@pytest.fixture
def site(postgresql_url: str, tmp_path: Path) -> Iterator[Site]:
    esp, *gateways = (f"http://127.0.0.1:{_free_port()}" for _ in range(3))
    environment = {
        "PYTHONPATH": str(ROOT),
        "OMS_ACCOUNT": shop.ACCOUNT,
        "OMS_DATABASE_URL": postgresql_url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_ROUTES_FILE": str(tmp_path / "none.yaml"),
        "OMS_SANDBOX_API_KEY": KEY,
        "OMS_SANDBOX_PORT": _port(esp),
        "OMS_SANDBOX_STORE": str(tmp_path / "sandbox.db"),
        "OMS_SANDBOX_EVENT_DELAY_SECONDS": "0",
        "OMS_SANDBOX_WEBHOOK_RETRY_SECONDS": "0.1",
    }
    engine, dealt = database.engine_for(postgresql_url), Counter[str]()
    with ExitStack() as stack:
        balancer = stack.enter_context(_balancer(gateways, dealt))
        environment["OMS_SANDBOX_WEBHOOK_URL"] = f"{balancer}/webhooks/sendgrid"
        serve = (sys.executable, "-m", "cli.serve")
        sandbox = Service("sandbox", (*serve, "sandbox"), f"{esp}/health")
        stack.enter_context(child(sandbox, environment, tmp_path))
        public_key = _public_key(esp)
        environment["OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS"] = json.dumps([public_key])
        for url in gateways:
            gateway = Service(f"gateway-{_port(url)}", (*serve, "gateway"), f"{url}/health")
            stack.enter_context(child(gateway, environment | {"OMS_GATEWAY_PORT": _port(url)}, tmp_path))
        yield Site(engine, environment, esp, public_key, dealt)
    engine.dispose()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _public_key(esp: str) -> str:
    url = f"{esp}/v3/user/webhooks/event/settings/signed"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {KEY}"}, timeout=5).raise_for_status()
    return str(answer.json()["public_key"])


@contextmanager
def _balancer(gateways: list[str], dealt: Counter[str]) -> Iterator[str]:
    """Deals out requests in turn; every fifth goes to both gateways, as when an ESP thinks that an answer was lost."""
    turns = count()
    with httpx.Client(timeout=10) as client:

        def forward(request: loopback.Received) -> loopback.Answer:
            turn = next(turns)
            chosen = gateways if turn % 5 == 0 else [gateways[turn % len(gateways)]]
            for url in chosen:
                answer = client.post(url + request.target, content=request.body, headers=request.headers)
                dealt[url] += answer.is_success
            return loopback.Answer(answer.status_code)

        with loopback.answering(forward) as server:
            yield server.url


def _dispatching(engine: sa.Engine, people: list[int]) -> Run:
    now = datetime.now(UTC)
    with database.write(engine) as connection:
        run = shop.new_run(connection, now)
        _, letter = wiring.content_of(connection, run)
        run = audience.freeze(
            connection,
            run,
            people,
            definition_hash="",
            template_hash=letter.hash,
            feature_watermark=now,
            code_version="",
            policy=shop.POLICY,
            batch_size=BATCH,
            now=now,
        )
    return shop.open_for_claims(engine, run, now)


def _handed_over(site: Site, run: Run, senders: int, folder: Path) -> list[int]:
    """Start so many processes, let them begin at once; how many batches each did."""
    command = (sys.executable, "-m", "tests.scale.sender", run.id)
    with ExitStack() as stack:
        processes = [stack.enter_context(_process(command, site.environment, folder)) for _ in range(senders)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=2 * PATIENCE)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * senders
    return [int(one) for one in said]


@contextmanager
def _process(command: tuple[str, ...], environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """In a folder of its own: no .env of the developer's."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, cwd=folder, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _all_events_posted(site: Site, run: Run) -> dict[str, int]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        told: dict[str, int] = httpx.get(f"{site.esp}/sandbox/summary", params={"run": run.id}, timeout=10).json()
        if told["events_due"] == 0:
            return told
        time.sleep(0.1)
    pytest.fail("the sandbox did not post its events in time")


def _processed(site: Site) -> None:
    """Two processors at once, as when the flow runs on two machines."""

    def process(_number: int) -> events.ProcessReport:
        readers = {"sendgrid": SendGridEvents([site.public_key])}
        return events.process(site.engine, readers=readers, pepper=PEPPER, clock=lambda: datetime.now(UTC), limit=1000)

    with database.read(site.engine) as connection:
        waiting = connection.scalar(_count(tables.webhook_inbox, tables.webhook_inbox.c.state == BodyState.PENDING))
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(process, range(2)))
    assert sum(report.bodies for report in reports) == waiting
    assert sum(report.failed + report.unreadable + report.uncorrelated for report in reports) == 0


def _count(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[tuple[int]]:
    return sa.select(sa.func.count()).select_from(table).where(*where)


def _check_ledger(site: Site, run: Run, senders: int) -> None:
    """Each batch was claimed once, by somebody; each message accepted once, says the ESP; and it all adds up."""
    batch, attempt = tables.batches, tables.batch_attempts
    with database.write(site.engine) as connection:
        ledger_sweep.sweep(connection, policy=shop.POLICY, now=datetime.now(UTC))
        claims = (
            connection.execute(
                sa.select(attempt.c.worker, attempt.c.number).join(batch).where(batch.c.run_id == run.id)
            )
        ).all()
        record = SandboxRecord(site.esp, KEY).accepted(run.id)
        found = audit.audit(connection, run.id, record=record)
        under_way = connection.scalar(_count(tables.slots))
    processes = {one.worker.rsplit(":", 1)[0] for one in claims}
    assert len(claims) == -(-(run.planned or 0) // BATCH)
    assert {one.number for one in claims} == {1}
    assert 2 <= len(processes) <= senders
    assert set(record.values()) == {1}
    assert len(record) == run.planned
    assert (found.balanced, found.duplicates, found.missing) == (True, 0, 0)
    assert under_way == 0


def _check_events(site: Site, run: Run) -> None:
    told = _all_events_posted(site, run)
    _processed(site)
    event = tables.delivery_events.c
    delivered = (event.run_id == run.id) & (event.kind == "delivered")
    with database.read(site.engine) as connection:
        rows = connection.scalar(_count(tables.delivery_events, delivered))
        people = connection.scalar(sa.select(sa.func.count(event.ordinal.distinct())).where(delivered))
    assert rows == people == told["delivered"]


def test_several_senders_and_two_gateways_share_one_store(site: Site, tmp_path: Path) -> None:
    people = shop.fill(site.engine, 4_000, datetime.now(UTC))
    for senders, members in ((2, people[:2_000]), (4, people[2_000:])):
        run = _dispatching(site.engine, members)
        assert run.planned == 2_000
        batches = _handed_over(site, run, senders, tmp_path)
        assert sum(batches) == 2_000 / BATCH
        _check_ledger(site, run, senders)
        _check_events(site, run)
    assert len(site.dealt) == 2
    assert min(site.dealt.values()) > 0
