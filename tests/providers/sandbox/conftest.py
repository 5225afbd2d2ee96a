"""A real sandbox on loopback, a real receiver of its webhooks, and requests that pass its rules."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn

from providers.sandbox.app import create_app
from providers.sandbox.config import SandboxConfig

KEY = "SG.test-key"


def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return value


class Esp:
    """One sandbox in a thread, and a client that knows its key."""

    def __init__(self, config: SandboxConfig) -> None:
        # Not create_server, whose sockets do not say that they are TCP: asyncio leaves Nagle's algorithm on for those,
        # and with the client's delayed ACK each answer took 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(create_app(config), log_config=None, log_level="error", ws="none"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        eventually(lambda: self._server.started)
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)

    def send(self, payload: dict[str, Any]) -> httpx.Response:
        return self.client.post("/v3/mail/send", json=payload)

    def summary(self, run: str | None = None) -> dict[str, Any]:
        answer = self.client.get("/sandbox/summary", params={} if run is None else {"run": run})
        return answer.raise_for_status().json()

    def story(self, message_id: str) -> dict[str, Any]:
        return self.client.get(f"/sandbox/message/{message_id}").raise_for_status().json()

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()


@dataclass
class Receiver:
    """A webhook endpoint. It answers with the statuses given, one after the other, then always with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes, int]] = field(default_factory=list)

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The events of every post that was answered 2xx."""
        return [event for _, body, status in self.posts if status < 300 for event in orjson.loads(body)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    inbox = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = inbox.statuses.pop(0) if inbox.statuses else 200
            inbox.posts.append((dict(self.headers), body, status))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    inbox.url = f"http://127.0.0.1:{server.server_port}/webhooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield inbox
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Esp]]:
    """Start sandboxes over one store; all that still run are stopped at the end."""
    started: list[Esp] = []

    def begin(**settings: Any) -> Esp:
        defaults = {"api_key": KEY, "store": str(tmp_path / "sandbox.db"), "event_delay_seconds": 0}
        esp = Esp(SandboxConfig.model_validate(defaults | settings))
        started.append(esp)
        return esp

    yield begin
    for esp in started:
        if esp._thread.is_alive():
            esp.stop()


@pytest.fixture
def esp(start: Callable[..., Esp]) -> Esp:
    """A sandbox without a webhook."""
    return start()


def personalization(address: str, message_id: str | None = None) -> dict[str, Any]:
    personalization: dict[str, Any] = {"to": [{"email": address}]}
    if message_id is not None:
        personalization["custom_args"] = {"message_id": message_id, "attempt_id": "attempt-1"}
    return personalization


def mail(*personalizations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A valid request; a change to None takes a field away."""
    payload = {
        "personalizations": list(personalizations) or [personalization("anna@delivered.test", "run.0")],
        "from": {"email": "news@shop.example.com", "name": "The Shop"},
        "subject": "News",
        "content": [
            {"type": "text/plain", "value": "Hello"},
            {"type": "text/html", "value": '<a href="https://shop.example.com/sale">Sale</a>'},
        ],
    }
    return {name: value for name, value in (payload | changes).items() if value is not None}


@pytest.fixture(name="mail")
def _mail() -> Callable[..., dict[str, Any]]:
    return mail


@pytest.fixture(name="personalization")
def _personalization() -> Callable[..., dict[str, Any]]:
    return personalization


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def campaign() -> Callable[..., dict[str, Any]]:
    """A request to `count` people of one domain, with message ids `<run>.<ordinal>`."""

    def build(count: int, *, domain: str = "example.com", run: str = "run", first: int = 0) -> dict[str, Any]:
        ordinals = range(first, first + count)
        return mail(*(personalization(f"p{n}@{domain}", f"{run}.{n}") for n in ordinals), categories=["spring"])

    return build
