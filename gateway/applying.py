"""Webhook bodies are applied seconds after they came: one thread of the gateway, woken by each body that is stored.

The flow process-delivery-events does the same every minute, and heals whatever this thread leaves: a process that dies,
a body that fails (only the flow tries it again, so that three strikes take minutes), a provider that it cannot read.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from data import events
from data.events import ProcessReport
from domain.ports import EventReader

_log = logging.getLogger(__name__)
_BODIES_AT_ONCE = 20  # of up to 1,000 events each: a round takes a second or two
_LOOK_AGAIN_SECONDS = 15.0  # what waits for its message, and what a gateway left that died
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class Applier:
    """From stored bodies to suppressions in force. Any number of processes may do this at once.

    `applied`: told for each body how many seconds after its receipt it was applied.
    """

    engine: sa.Engine
    readers: Mapping[str, EventReader]
    vendors: Mapping[str, str]
    pepper: str
    clock: Callable[[], datetime]
    applied: Callable[[float], None]
    _due: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to apply. The thread begins with the first call and ends with the process."""
        self._due.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="applier", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        pause = 1.0
        while True:
            self._due.wait(_LOOK_AGAIN_SECONDS)
            self._due.clear()
            try:
                self.drain()
                pause = 1.0
            except Exception as error:  # noqa: BLE001 - the bodies are kept; whatever it was, they are tried again
                _log.error("webhook bodies could not be applied just now: %s", type(error).__name__)
                threading.Event().wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                self._due.set()

    def drain(self) -> None:
        """Apply what is pending, in bounded rounds, until nothing is. Raises what the database raises."""
        while True:
            report = self._round()
            now = self.clock()
            for received_at in report.received:
                self.applied((now - received_at).total_seconds())
            if report.bodies + report.failed < _BODIES_AT_ONCE:
                return

    def _round(self) -> ProcessReport:
        return events.process(
            self.engine,
            readers=self.readers,
            vendors=self.vendors,
            pepper=self.pepper,
            now=self.clock(),
            limit=_BODIES_AT_ONCE,
            fresh_only=True,
        )
