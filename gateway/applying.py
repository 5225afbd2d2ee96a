"""Bodies are applied seconds after they came: one thread of the gateway, woken by each body that it stores.

What others stored (a gateway that died, the listener for returned mail) it finds by looking every few seconds.

The flow process-delivery-events does the same every minute, and heals whatever this thread leaves: a process that dies,
a body that fails (only the flow tries it again, so that three strikes take minutes), a provider that it cannot read.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from data import database, events, events_ahead, inbox
from data.events import ProcessReport
from data.strays import Origins
from domain.ports import EventReader

_log = logging.getLogger(__name__)
_LOOKS_AHEAD = 10  # for refusals in 20 bodies each, after a round: two seconds, so that the line grows shorter too
_BODIES_AT_ONCE = 20  # of up to 1,000 events each: a round takes a second or two
_LOOK_SECONDS = 3.0  # for what others stored: one step in an index
_LATE_SECONDS = 15.0  # for what waits for its message
_END_SECONDS = 10.0  # a round takes a second or two; what is not done by then is done again by whoever comes next
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class Applier:
    """From stored bodies to suppressions in force. Any number of processes may do this at once.

    `applied`: told for each body how many seconds after its receipt it was applied.
    """

    engine: sa.Engine
    readers: Mapping[str, EventReader]
    origins: Origins
    pepper: str
    clock: Callable[[], datetime]
    applied: Callable[[float], None]
    _due: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _ahead: int = 0  # up to this id of a body all refusals are applied

    def start(self) -> None:
        """Begin with what is there already. Nothing happens where it works already."""
        with self._lock:
            if self._thread is None:
                self._over.clear()
                self._due.set()
                self._thread = threading.Thread(target=self._work, name="applier", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way; it waits some seconds for that and no longer."""
        with self._lock:
            thread, self._thread = self._thread, None
        self._over.set()
        self._due.set()
        if thread is not None:
            thread.join(_END_SECONDS)

    def wake(self) -> None:
        """There is something to apply. It begins to work with that, should nobody have started it."""
        self._due.set()
        if self._thread is None and not self._over.is_set():
            self.start()

    def _work(self) -> None:
        pause, late_at = 1.0, time.monotonic() + _LATE_SECONDS
        while not self._over.is_set():
            woken = self._due.wait(_LOOK_SECONDS)
            self._due.clear()
            try:
                if woken or time.monotonic() >= late_at or self._waits():
                    self.drain()
                    late_at = time.monotonic() + _LATE_SECONDS
                pause = 1.0
            except Exception as error:  # noqa: BLE001 - the bodies are kept; whatever it was, they are tried again
                _log.error("webhook bodies could not be applied just now: %s", type(error).__name__)
                self._over.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                self._due.set()

    def _waits(self) -> bool:
        with database.read(self.engine) as connection:
            return inbox.fresh_waits(connection, self.readers)

    def drain(self) -> None:
        """Apply what is pending, in bounded rounds, until nothing is or it is to end. Raises what the database raises."""
        while not self._over.is_set():
            report = self._round()
            now = self.clock()
            for received_at in report.received:
                self.applied((now - received_at).total_seconds())
            if report.bodies + report.failed < _BODIES_AT_ONCE:
                return
            self._refusals_first()

    def _refusals_first(self) -> None:
        """More waits than one round takes. Who complained is not mailed meanwhile, however long the line is."""
        for _ in range(_LOOKS_AHEAD):
            upto = events_ahead.apply(
                self.engine,
                after=self._ahead,
                readers=self.readers,
                origins=self.origins,
                pepper=self.pepper,
                now=self.clock(),
            )
            if upto == self._ahead or self._over.is_set():
                return
            self._ahead = upto

    def _round(self) -> ProcessReport:
        return events.process(
            self.engine,
            readers=self.readers,
            origins=self.origins,
            pepper=self.pepper,
            clock=self.clock,
            limit=_BODIES_AT_ONCE,
            fresh_only=True,
        )
