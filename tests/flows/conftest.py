"""Flows as Prefect runs them, over a real store and a real sandbox ESP on loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import uvicorn

import settings
from data import database, tables
from data.features import refresh
from providers.sandbox.app import create_app
from providers.sandbox.config import SandboxConfig
from tests.conftest import LINK_KEY, PEPPER
from tests.data import ledger_rows


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """One ephemeral server for all flow tests: it takes 7 to 10 seconds to start."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=60):
        yield


@dataclass
class Esp:
    url: str
    server: uvicorn.Server

    def accepted(self, run_id: str) -> dict[str, int]:
        return httpx.get(f"{self.url}/sandbox/accepted", params={"run": run_id}, trust_env=False).json()

    def fault(self, **knobs: object) -> None:
        headers = {"Authorization": "Bearer SG.sandbox"}
        httpx.put(f"{self.url}/sandbox/faults", json=knobs, headers=headers, trust_env=False).raise_for_status()


@pytest.fixture
def esp(tmp_path: Path) -> Iterator[Esp]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(SandboxConfig(store=str(tmp_path / "sandbox.db"), event_delay_seconds=0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_keep_alive=75))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Esp(url, server)
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def installation(
    engine: sa.Engine, account_id: str, database_url: str, esp: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Esp]:
    """Settings, forty customers with orders, consent and features; approval is needed above 100 people."""
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_ACCOUNT": account_id,
        "OMS_DATABASE_URL": database_url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SANDBOX_PORT": esp.url.rpartition(":")[2],
        "OMS_SENDING_APPROVAL_ABOVE": "100",
        "OMS_SENDING_BATCH_SIZE": "15",
        "OMS_SENDGRID_CONCURRENCY": "2",
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    _customers(engine)
    yield esp
    settings.load.cache_clear()


def _customers(engine: sa.Engine) -> None:
    from decimal import Decimal

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
