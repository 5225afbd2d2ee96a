"""Flows as Prefect runs them, over a real store and a real sandbox ESP on loopback."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

import settings
from data import database, tables
from data.features import refresh
from gateway.app import create_app
from providers.sandbox.app import create_app as create_sandbox
from providers.sandbox.config import SandboxConfig
from tests.conftest import LINK_KEY, PEPPER
from tests.data import ledger_rows


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """One ephemeral server for all flow tests: it takes 7 to 10 seconds to start."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@dataclass
class Esp:
    url: str
    webhook: str

    def _get(self, path: str, **params: str) -> Any:
        headers = {"Authorization": "Bearer SG.sandbox"}
        return httpx.get(f"{self.url}{path}", params=params, headers=headers, trust_env=False).raise_for_status().json()

    @property
    def public_key(self) -> str:
        return self._get("/v3/user/webhooks/event/settings/signed")["public_key"]

    def accepted(self, run_id: str) -> dict[str, int]:
        return self._get("/sandbox/accepted", run=run_id)

    def summary(self, run_id: str) -> dict[str, Any]:
        return self._get("/sandbox/summary", run=run_id)

    def fault(self, **knobs: object) -> None:
        headers = {"Authorization": "Bearer SG.sandbox"}
        httpx.put(f"{self.url}/sandbox/faults", json=knobs, headers=headers, trust_env=False).raise_for_status()


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """Run an app on a socket until the end of the block."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_keep_alive=75))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where the gateway will listen, if a test opens it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def esp(tmp_path: Path, door: socket.socket) -> Iterator[Esp]:
    listener = socket.create_server(("127.0.0.1", 0))
    webhook = f"http://127.0.0.1:{door.getsockname()[1]}/webhooks/sendgrid"
    config = SandboxConfig(
        store=str(tmp_path / "sandbox.db"), event_delay_seconds=0, webhook_url=webhook, webhook_retry_seconds=0.1
    )
    with serving(create_sandbox(config), listener):
        yield Esp(f"http://127.0.0.1:{listener.getsockname()[1]}", webhook)


@pytest.fixture
def installation(
    engine: sa.Engine, account_id: str, database_url: str, esp: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Esp]:
    """Settings, forty customers with orders, consent and features; approval is needed above 100 people."""
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_ACCOUNT": account_id,
        "OMS_DATABASE_URL": database_url,
        "OMS_GATEWAY_APPLY_EVENTS": "false",  # the flows are what is tested
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SANDBOX_PORT": esp.url.rpartition(":")[2],
        "OMS_SENDING_APPROVAL_ABOVE": "100",
        "OMS_SENDING_BATCH_SIZE": "15",
        "OMS_SENDGRID_CONCURRENCY": "2",
        "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS": json.dumps([esp.public_key]),
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    _customers(engine)
    yield esp
    settings.load.cache_clear()


@pytest.fixture
def gateway(installation: Esp, door: socket.socket) -> Iterator[Esp]:
    """The installation with its gateway open: webhooks come in."""
    with serving(create_app(settings.load()), door):
        yield installation


def _customers(engine: sa.Engine) -> None:
    from tasks import wiring

    now = wiring.clock()
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, "shop", 40)
        connection.execute(
            tables.consents.insert(),
            [
                {
                    "account_id": "shop",
                    "party_id": one,
                    "status": "granted",
                    "basis": "consent",
                    "source": "test",
                    "wording": "v1",
                    "occurred_at": ledger_rows.NOW,
                    "recorded_at": now,
                }
                for one in ids
            ],
        )
        connection.execute(
            tables.orders.insert(),
            [
                {
                    "account_id": "shop",
                    "channel": "csv",
                    "external_id": f"o{one}",
                    "party_id": one,
                    "status": "completed",
                    "channel_status": "completed",
                    "currency": "USD",
                    "total": Decimal(20),
                    "refunded": Decimal(0),
                    "placed_at": now,
                    "updated_at": now,
                    "is_test": False,
                    "content_hash": "x",
                }
                for one in ids
            ],
        )
        bought = connection.execute(sa.select(tables.orders.c.id)).all()
        connection.execute(
            tables.order_lines.insert(),
            [{"order_id": one.id, "line_no": 1, "sku": "CD", "quantity": 1, "total": Decimal(20)} for one in bought],
        )
    refresh.refresh(engine, account_id="shop", as_of=wiring.clock(), now=wiring.clock())
