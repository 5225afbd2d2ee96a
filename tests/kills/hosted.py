"""Deaths of a process that brings a run through a campaign host: at its n-th boundary, whichever that is.

A boundary is the moment before or after a commit, and before the host hears a call or after the effect of one stands. So
nothing is left out, and a step that is added later is killed without anybody's thinking of it.
"""

import itertools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import settings
from data import database
from tasks import esps, wiring
from tests.kills.processes import SharedClock
from tests.tasks.hosted_run import HostedRun
from tests.tasks.stored_host import StoredHost


def life(run: HostedRun) -> None:
    """All of a run's life: what its flow does, then what the minutes do until all is told and cleared away."""
    for _ in range(100):
        if run.wave() is None:
            break
        run.clock.forward(seconds=150)
    for _ in range(2):
        run.minute()
    run.clock.forward(hours=73)  # then it settles
    for _ in range(3):
        run.minute()


class Striker:
    """Counts boundaries, and kills this process at one of them."""

    def __init__(self, at: int | None, told: Path | None = None) -> None:
        self._at, self._told = at, told
        self._numbers = itertools.count(1)

    def __call__(self, where: str) -> None:
        number = next(self._numbers)
        if self._told is not None:
            with self._told.open("a") as file:
                file.write(f"{where} in {_at_work()}\n")
        if number == self._at:
            signal.pthread_kill(threading.get_ident(), signal.SIGKILL)

    def watch(self, engine: sa.Engine) -> None:
        dialect: Any = engine.dialect
        commit = dialect.do_commit

        def watched(connection: Any) -> None:
            self("before a commit")
            commit(connection)
            self("after a commit")

        dialect.do_commit = watched


def _at_work() -> str:
    """The innermost function of ours that has to do with hosts: by it boundaries of one kind are known."""
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("tasks.host", "data.")) and module != "data.database":
            return f"{module}:{frame.f_code.co_qualname}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the flow"


def lived(url: str, folder: Path, clock: SharedClock, run_id: str, *, at: int | None, told: Path | None = None) -> bool:
    """Let a process live that life; False where it was killed at its `at`-th boundary."""
    database.engine_for(url).dispose()
    child = os.fork()
    if child == 0:
        _live(url, folder, clock, run_id, Striker(at, told))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in {0, -signal.SIGKILL}:
        raise AssertionError((folder / f"died-{child}.txt").read_text())
    return status == 0


def _live(url: str, folder: Path, clock: SharedClock, run_id: str, striker: Striker) -> None:
    status = 1
    try:
        engine = database.engine_for(url)
        striker.watch(engine)
        life(hosted(engine, folder, clock, run_id, struck=striker))
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here and says why
        (folder / f"died-{os.getpid()}.txt").write_text(traceback.format_exc())
    finally:
        os._exit(status)


def hosted(
    engine: sa.Engine,
    folder: Path,
    clock: SharedClock,
    run_id: str,
    *,
    struck: Callable[[str], None] = lambda _: None,
) -> HostedRun:
    """The run, with a host whose file all processes share. One thread: of several nobody knows which boundary is next."""
    settings.load.cache_clear()
    wiring.clock = clock
    host = StoredHost(folder / f"{run_id}.db", clock, struck, members_at_once=8, troubles=False)
    esps.campaign_host = lambda _provider: host
    esps.is_host = lambda _provider: True
    return HostedRun(engine, host, clock, run_id)
