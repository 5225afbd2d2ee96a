"""An ESP on loopback in a process of its own: the sandbox, or one that accepts everything and looks at nothing.

`python -m benchmarks.esp sandbox|null PORT STORE` serves; `running` starts that and ends it.
"""

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

KEY = "SG.benchmark"
_READY_SECONDS = 30
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: null\r\nContent-Length: 0\r\n\r\n"


class _Null(asyncio.Protocol):
    """What a request costs the client alone shows best where the answer costs nearly nothing."""

    def __init__(self) -> None:
        self._received = bytearray()

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
            del self._received[:end]
            self._transport.write(_ACCEPTED)


async def _serve_null(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Null, "127.0.0.1", port)
    await server.serve_forever()


def _serve_sandbox(port: int, store: str) -> None:
    import uvicorn
    from pydantic import SecretStr

    from providers.sandbox.app import create_app
    from providers.sandbox.config import SandboxConfig

    config = SandboxConfig(port=port, store=store, api_key=SecretStr(KEY), webhook_url=None)
    uvicorn.run(create_app(config), host=config.host, port=port, log_level="warning", timeout_keep_alive=75)


@contextmanager
def running(kind: str, folder: Path) -> Iterator[str]:
    """Start one of the two, yield its base URL, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "benchmarks.esp", kind, str(port), str(folder / "sandbox.db"))
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as process:
        try:
            _await_answer(f"{url}/health", process)
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
    _, kind, port, store = sys.argv
    if kind == "null":
        asyncio.run(_serve_null(int(port)))
    else:
        _serve_sandbox(int(port), store)
