"""The door for events: the real gateway over HTTP on loopback, beside servers that verify a body and throw it away.

`python -m benchmarks.events_receive bare|fastapi PORT KEY` serves such a floor; `run` starts all and measures them. The
bare one has no web framework at all: the least that reading and verifying can cost here.
"""

import asyncio
import base64
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks import events_traffic, measure
from cli import services
from data import database, migrate, tables
from providers.sandbox.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, SigningKey

PATH = "/webhooks/sendgrid"
_CLIENTS = 8  # connections
_WARM = 20  # posts before the clock runs
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """What a server's process spent on so many events, on the clock and in CPU seconds."""

    name: str
    events: int
    wall: float
    cpu: float

    @property
    def a_million(self) -> float:
        return self.cpu / self.events * 1e6


def run(recipients: int) -> list[Served]:
    """The gateway and both floors, each with the same signed bodies."""
    key = SigningKey.new()
    began = datetime.now(UTC) - timedelta(hours=12)
    people = range(1, recipients + 1)
    bodies = [signed(key, one) for one in events_traffic.bodies("r1", people, began)][:-1]  # the last is not full
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder,
        gateway(Path(folder), key) as (port, pid, engine),
    ):
        found.append(_measured("the gateway: verify, store, commit, answer", port, pid, bodies))
        with database.read(engine) as connection:
            kept = connection.execute(sa.select(sa.func.count()).select_from(tables.webhook_inbox)).scalar_one()
        assert kept == len(bodies), f"{len(bodies)} were answered 2xx, {kept} are kept"
    for kind, name in (
        ("fastapi", "the same server: verify, throw away"),
        ("bare", "a bare socket: verify, throw away"),
    ):
        with floor(kind, key) as (port, pid):
            found.append(_measured(name, port, pid, bodies))
    return found


def _measured(name: str, port: int, pid: int, bodies: Sequence[bytes]) -> Served:
    assert set(asyncio.run(post(port, bodies[:_WARM]))) <= {200, 204}
    wall, cpu = time.perf_counter(), measure.cpu_of(pid)
    statuses = asyncio.run(post(port, bodies[_WARM:]))
    wall, cpu = time.perf_counter() - wall, max(measure.cpu_of(pid) - cpu, measure.TICK)
    assert set(statuses) <= {200, 204}, set(statuses)
    return Served(name, len(statuses) * events_traffic.BODY, wall, cpu)


def signed(key: SigningKey, body: bytes) -> bytes:
    """The whole request as it goes over the wire."""
    headers = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= key.headers(body, timestamp=int(time.time()))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {PATH} HTTP/1.1\r\n{head}\r\n".encode() + body


async def post(port: int, requests: Sequence[bytes]) -> list[int]:
    """Post all over a few connections; the answers' statuses."""
    rest, statuses = iter(requests), []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in rest:
            status = await asked(reader, writer, request)
            statuses.append(status)
        writer.close()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return statuses


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """The answer's status to one request."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(b" ", 2)[1])


# --- servers ---------------------------------------------------------------------------------------------------------


@contextmanager
def gateway(folder: Path, key: SigningKey, **more: str) -> Iterator[tuple[int, int, sa.Engine]]:
    """The real one on a store of its own: its port, its process and the store. `more`: of its environment."""
    port = services.free_port()
    environment = {
        **os.environ,
        "OMS_DATABASE_URL": f"sqlite:///{folder / 'oms.db'}",
        "OMS_PRIVACY_PEPPER": "p" * 32,
        "OMS_PRIVACY_LINK_KEY": "l" * 32,
        "OMS_GATEWAY_PORT": str(port),
        "OMS_GATEWAY_APPLY_EVENTS": "false",
        "OMS_GATEWAY_MAX_BACKLOG": "1000000",
        "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS": f'["{key.public_key}"]',
        **more,
    }
    engine = database.engine_for(environment["OMS_DATABASE_URL"])
    migrate.upgrade(engine)
    try:
        with _child([sys.executable, "-m", "cli.serve", "gateway"], port, environment) as pid:
            yield port, pid, engine
    finally:
        engine.dispose()


@contextmanager
def floor(kind: str, key: SigningKey) -> Iterator[tuple[int, int]]:
    """One that throws away: its port and its process."""
    port = services.free_port()
    command = [sys.executable, "-m", "benchmarks.events_receive", kind, str(port), key.public_key]
    with _child(command, port, dict(os.environ)) as pid:
        yield port, pid


@contextmanager
def _child(command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[int]:
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, cwd=Path(__file__).parent.parent
    ) as child:
        try:
            deadline = time.monotonic() + _READY_SECONDS
            while not services.answers(f"http://127.0.0.1:{port}/health"):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the server did not start; its own words are above")
                time.sleep(0.05)
            yield child.pid
        finally:
            child.terminate()


class _Bare(asyncio.Protocol):
    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        self._received = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._received and len(self._received) >= self._needed:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._received, 0, head)
            self._needed = head + 4 + (int(length[1]) if length else 0)
            if len(self._received) < self._needed:
                return
            request = bytes(self._received[: self._needed])
            del self._received[: self._needed]
            self._needed = 0
            headers = dict(line.split(": ", 1) for line in request[:head].decode().split("\r\n")[1:])
            good = request.startswith(b"GET") or verified(self._key, headers, request[head + 4 :])
            self._transport.write(b"HTTP/1.1 %d OK\r\nContent-Length: 0\r\n\r\n" % (200 if good else 401))


def verified(key: ec.EllipticCurvePublicKey, headers: Mapping[str, str], body: bytes) -> bool:
    """The signature and nothing else."""
    try:
        signature = base64.b64decode(headers[SIGNATURE_HEADER])
        key.verify(signature, headers[TIMESTAMP_HEADER].encode() + body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


async def _serve_bare(port: int, key: ec.EllipticCurvePublicKey) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Bare(key), "127.0.0.1", port)
    await server.serve_forever()


def _serve_fastapi(port: int, key: ec.EllipticCurvePublicKey) -> None:
    import uvicorn
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    async def receive(request: Request) -> Response:
        return Response(status_code=204 if verified(key, request.headers, await request.body()) else 401)

    def health() -> dict[str, Any]:
        return {}

    app.post(PATH)(receive)
    app.get("/health")(health)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    _, kind, port, public = sys.argv
    loaded = serialization.load_der_public_key(base64.b64decode(public))
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    if kind == "bare":
        asyncio.run(_serve_bare(int(port), loaded))
    else:
        _serve_fastapi(int(port), loaded)
