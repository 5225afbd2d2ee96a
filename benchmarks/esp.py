"""An ESP on loopback in a process of its own: the sandbox, or one that accepts everything and only counts messages.

`python -m benchmarks.esp sandbox|null PORT STORE LATENCY_MS` serves; `running` starts that and ends it.
"""

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from providers.sandbox.record import SandboxRecord

KEY = "SG.benchmark"
_READY_SECONDS = 30
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MESSAGE = re.compile(rb'"message_id":"([^".]+)\.(\d+)"')
_RECORD = b"GET /accepted/"
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: null\r\nContent-Length: 0\r\n\r\n"


class _Null(asyncio.Protocol):
    """What a request costs the client alone shows best where the answer costs nearly nothing."""

    def __init__(self, latency: float, accepted: dict[bytes, Counter[bytes]]) -> None:
        self._received = bytearray()
        self._latency = latency
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            self._answer(bytes(self._received[:end]))
            del self._received[:end]

    def _answer(self, request: bytes) -> None:
        if request.startswith(_RECORD):
            run_id = request[len(_RECORD) : request.index(b" ", len(_RECORD))]
            times = Counter(self._accepted[run_id].values())
            body = orjson.dumps({str(number): messages for number, messages in times.items()})
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        for run_id, ordinal in _MESSAGE.findall(request):
            self._accepted[run_id][ordinal] += 1
        asyncio.get_running_loop().call_later(self._latency, self._transport.write, _ACCEPTED)


async def _serve_null(port: int, latency_ms: int) -> None:
    accepted: dict[bytes, Counter[bytes]] = defaultdict(Counter)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Null(latency_ms / 1000, accepted), "127.0.0.1", port)
    await server.serve_forever()


def accepted(kind: str, url: str, run_id: str) -> Mapping[int, int]:
    """By the ESP's own count: how many messages of this run it took so many times."""
    if kind == "sandbox":
        return Counter(SandboxRecord(url, KEY).accepted(run_id).values())
    times: dict[str, int] = httpx.get(f"{url}/accepted/{run_id}").json()
    return {int(number): messages for number, messages in times.items()}


def _serve_sandbox(port: int, store: str) -> None:
    import uvicorn
    from pydantic import SecretStr

    from providers.sandbox.app import create_app
    from providers.sandbox.config import SandboxConfig

    config = SandboxConfig(port=port, store=store, api_key=SecretStr(KEY), webhook_url=None)
    uvicorn.run(create_app(config), host=config.host, port=port, log_level="warning", timeout_keep_alive=75)


@contextmanager
def running(kind: str, folder: Path, latency_ms: int = 0) -> Iterator[str]:
    """Start one of the two, whose answers to a send take so long, yield its base URL, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "benchmarks.esp", kind, str(port), str(folder / "sandbox.db"), str(latency_ms))
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as process:
        try:
            _await_answer(f"{url}/health", process)
            if kind == "sandbox" and latency_ms:
                key = {"Authorization": f"Bearer {KEY}"}
                httpx.put(f"{url}/sandbox/faults", json={"latency_ms": latency_ms}, headers=key).raise_for_status()
            yield url
        finally:
            process.terminate()


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=1.0)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the ESP did not start; its own words are above")


if __name__ == "__main__":
    _, kind, port, store, latency_ms = sys.argv
    if kind == "null":
        asyncio.run(_serve_null(int(port), int(latency_ms)))
    else:
        _serve_sandbox(int(port), store)
