"""The door under a spike: how fast pushed orders are answered while a drain works, and that none is lost.

Run with `python -m benchmarks.intake_door [PER_SECOND] [SECONDS]`. The gateway and the drain are processes of their own on
one SQLite file; each order is pushed three times as three states, signed as Shopify signs. The rate is held whatever the
answers take (open loop), and a latency counts from when the push was due. The same at a tenth of the rate, for comparison.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import sqlalchemy as sa
import yaml

from cli import services
from data import accounts, database, migrate, tables
from data.samples import shopify
from domain.accounts import Account

_SECRET = b"benchmark-secret"
_DRAIN = """
import time
from data.intake import drain
from tasks import wiring
while True:
    drain.drain(wiring.order_intake())
    time.sleep(0.5)
"""
_PATIENCE = 120.0
_CLIENTS = 100


def main(per_second: int, seconds: int) -> None:
    """Print latencies at a tenth of the rate and at the rate, and what was found in the store afterwards."""
    print(f"{'pushes/s':>9}{'pushed':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'refused':>9}{'drained s after':>17}")
    for rate in (per_second // 10, per_second):
        with tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder:
            _round(Path(folder), rate, seconds)


def _round(folder: Path, rate: int, seconds: int) -> None:
    environment = _environment(folder)
    engine = database.engine_for(environment["OMS_DATABASE_URL"])
    migrate.upgrade(engine)
    with database.write(engine) as connection:
        account = Account("main", "Shop", "USD", "UTC", "1 Street", "n@shop.example.com", "Shop")
        accounts.ensure(connection, account, now=datetime.now(UTC))
    bodies = _bodies(rate * seconds)
    started = [
        subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL)
        for command in (["-m", "cli.serve", "gateway"], ["-c", _DRAIN])
    ]
    try:
        port = int(environment["OMS_GATEWAY_PORT"])
        _until(lambda: services.answers(f"http://127.0.0.1:{port}/health"))
        latencies, refused = asyncio.run(_push(port, bodies, rate))
        ended = time.monotonic()
        _until(lambda: _waiting(engine) == 0)
        drained = time.monotonic() - ended
    finally:
        for process in started:
            process.terminate()
            process.wait(10)
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{rate:9}{len(bodies):9,}{p50:9.1f}{p99:9.1f}{latencies[-1] * 1000:9.1f}{refused:9}{drained:17.1f}")
    _check(engine, bodies)
    engine.dispose()


def _environment(folder: Path) -> dict[str, str]:
    channels = folder / "channels.yaml"
    connection = {"account": "main", "channel": "shopify", "webhook_secrets": [_SECRET.decode()]}
    channels.write_text(yaml.safe_dump({"connections": [connection]}))
    return {
        **os.environ,
        "OMS_DATABASE_URL": f"sqlite:///{folder / 'oms.db'}",
        "OMS_PRIVACY_PEPPER": "p" * 32,
        "OMS_PRIVACY_LINK_KEY": "l" * 32,
        "OMS_GATEWAY_PORT": str(services.free_port()),
        "OMS_INTAKE_CHANNELS_FILE": str(channels),
    }


def _bodies(count: int) -> list[tuple[dict[str, str], bytes]]:
    found = []
    for one in shopify.deliveries(count // 6 + 1, as_of=datetime.now(UTC) - timedelta(days=1)):
        body = orjson.dumps(one.order)
        signature = base64.b64encode(hmac.digest(_SECRET, body, hashlib.sha256)).decode()
        headers = {"X-Shopify-Topic": one.topic, "X-Shopify-Triggered-At": one.triggered_at.isoformat()}
        found.append(({**headers, "X-Shopify-Hmac-Sha256": signature}, body))
    return found[:count]


async def _push(port: int, bodies: list[tuple[dict[str, str], bytes]], rate: int) -> tuple[list[float], int]:
    """By bare sockets: httpx's pool looks at all waiting requests for each, and would be what is measured."""
    latencies: list[float] = []
    refused = 0
    numbers = iter(range(len(bodies)))
    begin = time.monotonic()

    async def client() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            writer.write(_request(*bodies[number]))
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            await reader.readexactly(int(length[0]) if length else 0)
            latencies.append(time.monotonic() - due)
            refused += not head.startswith(b"HTTP/1.1 2")
        writer.close()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return latencies, refused


def _request(headers: dict[str, str], body: bytes) -> bytes:
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /orders/shopify/main HTTP/1.1\r\n{head}\r\n".encode() + body


def _waiting(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        record = tables.intake_records.c
        return connection.execute(sa.select(sa.func.count()).where(record.state == "pending")).scalar_one()


def _check(engine: sa.Engine, bodies: list[tuple[dict[str, str], bytes]]) -> None:
    """Every order that was pushed is there once, in the newest of its states that was pushed."""
    newest: dict[str, str] = {}
    for _, body in bodies:
        order = orjson.loads(body)
        if order["financial_status"] != "teleported":
            newest[str(order["id"])] = max(newest.get(str(order["id"]), ""), order["updated_at"])
    order_table = tables.orders.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(order_table.external_id, order_table.updated_at)).all()
    assert {row.external_id: row.updated_at for row in rows} == {
        key: datetime.fromisoformat(at) for key, at in newest.items()
    }, "an order is missing, or in an older state"


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the benchmark waited in vain")
        time.sleep(0.05)


if __name__ == "__main__":
    main(*(int(one) for one in (sys.argv[1:] + ["200", "20"][len(sys.argv) - 1 :])))
