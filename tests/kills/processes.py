"""One installation in processes of its own: sandbox ESP, gateway, senders, ingests; each forked after all is imported.

A fork costs a hundredth of a start, so a kill costs tenths of a second. All share one clock, which a round moves: a
lease that ends need not be waited for.
"""

import json
import logging
import mmap
import os
import secrets
import signal
import socket
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import settings
from data import database, events, ledger_sweep
from domain.ledger import BatchState
from gateway.app import create_app
from providers.sandbox.app import create_app as create_sandbox
from providers.sandbox.config import SandboxConfig
from tasks import esps, sending, wiring
from tests.conftest import LINK_KEY, PEPPER
from tests.kills import points
from tests.kills.points import Hooks

KEY = "SG.kills"
LEASE_SECONDS = 120
HOLD_MINUTES = 30
_PATIENCE_SECONDS = 60.0
_PASSES = 3  # of one ingest process, so that it comes by each of its points several times
_BODIES_AT_ONCE = 200
_WAVES = 100
_SHORTEST_WAIT = 5.0

Strike = Callable[[Hooks], None]


class SharedClock:
    """The real time and an offset, which all processes see at once."""

    def __init__(self) -> None:
        self._offset = mmap.mmap(-1, 8)

    def __call__(self) -> datetime:
        (seconds,) = struct.unpack("d", self._offset[:])
        return datetime.now(UTC) + timedelta(seconds=seconds)

    def forward(self, **by: float) -> None:
        (seconds,) = struct.unpack("d", self._offset[:])
        self._offset[:] = struct.pack("d", seconds + timedelta(**by).total_seconds())


@dataclass(slots=True)
class Installation:
    """A store, an ESP, a gateway; senders and ingests are started as they are needed."""

    url: str
    folder: Path
    esp_door: socket.socket
    gateway_door: socket.socket
    clock: SharedClock = field(default_factory=SharedClock)
    public_key: str = ""
    applies: bool = False  # whether the gateway applies what it stores; in the matrix each process has its own work
    gateway: int = 0  # process id
    alive: set[int] = field(default_factory=set)  # process ids that nobody has waited for: they are nobody else's yet

    @property
    def esp_url(self) -> str:
        return f"http://127.0.0.1:{self.esp_door.getsockname()[1]}"

    @property
    def engine(self) -> sa.Engine:
        return database.engine_for(self.url)

    def start(self, work: Callable[[Hooks], None], strike: Strike | None = None) -> int:
        """Fork a process that does the work and ends; its id. Struck as `strike` says."""
        self.engine.dispose()
        child = os.fork()
        if child == 0:
            self._in_child(work, strike)
        self.alive.add(child)
        return child

    def _in_child(self, work: Callable[[Hooks], None], strike: Strike | None) -> None:
        status = 1
        try:
            os.chdir(self.folder)  # no .env of the developer's
            os.environ.update(self._environment())
            settings.load.cache_clear()
            wiring.clock = self.clock
            hooks = Hooks(wiring.engine(), [])
            if strike is not None:
                strike(hooks)
            work(hooks)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, this process ends here and says why
            (self.folder / f"died-{os.getpid()}.txt").write_text(traceback.format_exc())
        finally:
            os._exit(status)

    def _environment(self) -> dict[str, str]:
        return {
            "OMS_ACCOUNT": "shop",
            "OMS_DATABASE_URL": self.url,
            "OMS_GATEWAY_APPLY_EVENTS": json.dumps(self.applies),
            "OMS_PRIVACY_PEPPER": PEPPER,
            "OMS_PRIVACY_LINK_KEY": LINK_KEY,
            "OMS_SANDBOX_PORT": self.esp_url.rpartition(":")[2],
            "OMS_SANDBOX_API_KEY": KEY,
            "OMS_SENDING_CAP_MAILS": "1000000",  # the same few people get run after run
            "OMS_SENDING_LEASE_SECONDS": str(LEASE_SECONDS),
            "OMS_SENDING_HOLD_AFTER_MINUTES": str(HOLD_MINUTES),
            "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS": json.dumps([self.public_key]),
        }

    def ended(self, child: int) -> bool:
        """Wait for a process: True when it did its work, False when it was killed. Raises Died for anything else."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                self.end(child)
                raise Died(f"a process did not end within {_PATIENCE_SECONDS:.0f} s")
            time.sleep(0.002)
        return self._judged(child, os.waitstatus_to_exitcode(found[1]))

    def _judged(self, child: int, status: int) -> bool:
        self.alive.discard(child)
        if status not in {0, -signal.SIGKILL}:
            words = self.folder / f"died-{child}.txt"
            raise Died(words.read_text() if words.exists() else f"a process ended with {status}")
        return status == 0

    def gateway_died(self) -> bool:
        """Whether the gateway was killed since the last time; then it is gone, and another must be opened."""
        found, status = os.waitpid(self.gateway, os.WNOHANG)
        return found != 0 and not self._judged(self.gateway, os.waitstatus_to_exitcode(status))

    def open_gateway(self, strike: Strike | None = None) -> None:
        door = self.gateway_door

        def work(hooks: Hooks) -> None:
            app = create_app(settings.load(), clock=wiring.clock)
            _serve(_telling(app, hooks), door)

        self.gateway = self.start(work, strike)

    def await_gateway(self) -> None:
        """Until it answers."""
        port = self.gateway_door.getsockname()[1]
        httpx.get(f"http://127.0.0.1:{port}/health", timeout=_PATIENCE_SECONDS, trust_env=False)

    def end(self, child: int) -> None:
        """End a process that is no longer needed, asleep or not."""
        if child in self.alive:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self.alive.discard(child)

    def ask_esp(self, path: str, **params: str) -> Any:
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{self.esp_url}{path}"
        return httpx.get(url, params=params, headers=headers, timeout=_PATIENCE_SECONDS, trust_env=False).json()

    def await_events(self, run_id: str, meanwhile: Callable[[], bool] = lambda: False) -> None:
        """Until the ESP had a 2xx for each event of a run, and `meanwhile` has nothing to do. Raises Died."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while meanwhile() or self.ask_esp("/sandbox/summary", run=run_id)["events_due"]:
            if time.monotonic() > deadline:
                raise Died("the ESP's events never came in")
            time.sleep(0.01)

    def turn_esp(self, **knobs: object) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{self.esp_url}/sandbox/faults"
        answer = httpx.put(url, json=knobs, headers=headers, timeout=_PATIENCE_SECONDS, trust_env=False)
        answer.raise_for_status()


class Died(RuntimeError):
    """A process ended as none may; its own words."""


@contextmanager
def installed(url: str, folder: Path) -> Iterator[Installation]:
    """Open the ESP and the gateway over a migrated store; both are ended afterwards."""
    with _door() as esp_door, _door() as gateway_door:
        made = Installation(url, folder, esp_door, gateway_door)
        try:
            made.start(lambda _: _serve_esp(made))
            made.public_key = made.ask_esp("/v3/user/webhooks/event/settings/signed")["public_key"]
            made.open_gateway()
            yield made
        finally:
            for child in sorted(made.alive):
                made.end(child)
            made.engine.dispose()


def _door() -> socket.socket:
    """A port that stays open while its server is dead: who connects then waits for the next one."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def _sandbox(made: Installation) -> SandboxConfig:
    return SandboxConfig(
        store=str(made.folder / f"sandbox-{secrets.token_hex(4)}.db"),
        api_key=SecretStr(KEY),
        webhook_url=f"http://127.0.0.1:{made.gateway_door.getsockname()[1]}/webhooks/sendgrid",
        webhook_retry_seconds=0.05,
        event_delay_seconds=0.05,  # a mean: posts of few events, several a run
    )


def _serve_esp(made: Installation) -> None:
    logging.disable(logging.WARNING)  # a gateway that does not answer is what is tested here
    _serve(create_sandbox(_sandbox(made)), made.esp_door)


def _serve(app: ASGIApp | FastAPI, door: socket.socket) -> None:
    config = uvicorn.Config(app, log_config=None, ws="none", timeout_keep_alive=75)
    uvicorn.Server(config).run(sockets=[door])


def _telling(app: ASGIApp, hooks: Hooks) -> ASGIApp:
    """The app, which tells once an answer is with the kernel."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and scope["path"].startswith("/webhooks/"):
                for reached in hooks.answered:
                    reached()

        await app(scope, receive, told)

    return wrapped


def send(run_id: str, *, threads: int = 3) -> Callable[[Hooks], None]:
    """A sender's work: what the flow's dispatch does, without Prefect. It moves the clock instead of waiting."""

    def work(_: Hooks) -> None:
        os.environ["OMS_SENDGRID_CONCURRENCY"] = str(threads)
        settings.load.cache_clear()
        clock = cast("SharedClock", wiring.clock)
        for _ in range(_WAVES):
            done = sending.hand_over(sending.prepared(run_id), lambda _: None)
            if not _planned(run_id):
                return
            # A breaker that opened, the pause after a failure, or the turn that a dead sender took.
            wait = done.stalled.seconds if done.stalled is not None else None
            clock.forward(seconds=max(_SHORTEST_WAIT, wait or 0.0))
        raise Died("a run that nobody disturbs any more does not end")

    return work


def _planned(run_id: str) -> bool:
    with database.read(wiring.engine()) as connection:
        return BatchState.PLANNED in ledger_sweep.progress(connection, run_id).states


def ingest(_: Hooks) -> None:
    """An ingest's work: what the flows process-delivery-events and reconcile do, without Prefect."""
    for _ in range(_PASSES):
        events.process(
            wiring.engine(),
            readers=esps.event_readers(),
            pepper=wiring.pepper(),
            clock=wiring.clock,
            limit=_BODIES_AT_ONCE,
        )
        reconcile()


def reconcile() -> None:
    with database.write(wiring.engine()) as connection:
        ledger_sweep.sweep(connection, policy=settings.load().sending, now=wiring.clock())


def struck(point: points.Point, hit: int, *, by: signal.Signals = signal.SIGKILL) -> Strike | None:
    """How a process is to be struck at its `hit`-th passing of the point."""
    arm = point.arm
    return None if arm is None else lambda hooks: points.strike(hooks, arm, hit, by=by)
