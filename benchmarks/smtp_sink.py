"""A relay that takes everything and forgets it, in a process of its own: Postfix's smtp-sink, or a small one of ours.

`python -m benchmarks.smtp_sink PORT LATENCY_MS` serves ours. It answers each group of commands after that time, as a
relay does that far away.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READY_SECONDS = 20
_HELLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 20000000\r\n"
_REPLIES = {b"EHLO": _HELLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class _Session(asyncio.Protocol):
    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._kept = bytearray()
        self._in_text = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._answer(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._kept += data
        answers = b""
        while (answer := self._next()) is not None:
            answers += answer
        if answers:
            self._answer(answers)

    def _next(self) -> bytes | None:
        mark = b"\r\n.\r\n" if self._in_text else b"\r\n"
        if (end := self._kept.find(mark)) < 0:
            return None
        verb = bytes(self._kept[:4]).upper()
        del self._kept[: end + len(mark)]
        if self._in_text:
            self._in_text = False
            return b"250 2.0.0 Ok: queued\r\n"
        self._in_text = verb == b"DATA"
        return _REPLIES.get(verb, b"250 2.0.0 Ok\r\n")

    def _answer(self, answers: bytes) -> None:
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, answers)
        else:
            self._transport.write(answers)


async def _serve(port: int, latency_ms: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Session(latency_ms / 1000), "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def running(latency_ms: float) -> Iterator[tuple[int, str]]:
    """Start one, yield its port and its name, and end it. smtp-sink knows no latency below a second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    postfix = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    own = (sys.executable, "-m", "benchmarks.smtp_sink", str(port), str(latency_ms))
    with_postfix = postfix is not None and not latency_ms
    unprivileged = ("-u", "nobody") if os.geteuid() == 0 else ()  # it refuses to run as root
    command = (str(postfix), *unprivileged, f"127.0.0.1:{port}", "200") if with_postfix else own
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as process:
        try:
            _await(port, process)
            yield port, "smtp-sink of Postfix" if with_postfix else "a sink of ours"
        finally:
            process.terminate()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the sink did not start; its own words are above")


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
