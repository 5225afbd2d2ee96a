"""The dispatcher: a process of its own that hands transactional messages over, one after the other, each at once.

Any number of them may run, on any machine. A few threads each take the message whose turn it is, write it, claim it with
its way, send it and record what came of it. Between them they share nothing but the database and which messages and
accounts rest; what a killed process had in hand is unknown when its lease is over, and the sweep decides.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

import settings
from data import database, dispatchers, installation, transactional_mail, transactional_queue, transactional_sweep
from data.config import MessagesConfig
from data.lanes import Stall
from data.transactional_lane import Over
from data.transactional_mail import Letter, Unwritable
from data.transactional_queue import Resting
from domain import ports
from domain.ledger import Outcome, OutcomeKind
from domain.ports import Batch
from tasks import lanes, wiring

_log = logging.getLogger(__name__)
_UPKEEP_SECONDS = 2.0
_TROUBLE_SECONDS = 1.0
_RECORD_AGAIN_SECONDS = 0.2
_LONGEST_REST = timedelta(seconds=2)  # a way that takes nothing is asked again after this, at the latest
_LONGEST_WAIT = timedelta(seconds=10)  # the same of a message that waits alone
_AFTER_A_FAULT = timedelta(seconds=30)
_OVERSLEPT = Outcome(OutcomeKind.NOT_SENT, detail="the worker slept through half of its lease", local=True)


@dataclass
class Dispatcher:
    """One process. `run` ends once `stop` is set and what is under way is recorded."""

    stop: threading.Event = field(default_factory=threading.Event)
    engine: sa.Engine = field(init=False)
    ways: lanes.Ways = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _in_hand: set[str] = field(default_factory=set)
    _resting: dict[str, datetime] = field(default_factory=dict)  # account → until when its ways take nothing
    _after: str = ""
    _more: threading.Event = field(default_factory=threading.Event)  # one was found, so there may be others
    _watch: threading.Lock = field(default_factory=threading.Lock)  # the one idle thread that looks for work

    def __post_init__(self) -> None:
        self.engine = wiring.engine()
        self.ways = lanes.Ways(self.engine)
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def run(self) -> None:
        """Work until told to end. Raises ForeignDatabase where the store belongs to another installation."""
        with database.read(self.engine) as connection:
            installation.check(connection, settings.load().environment, now=wiring.clock())
        config = settings.load().messages
        threads = [
            threading.Thread(target=self._work, args=(number, config), name=f"dispatch-{number}")
            for number in range(config.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._look_after()
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
            self.ways.close()
            with database.write(self.engine, urgent=True) as connection:
                dispatchers.leave(connection, self.name)

    def _look_after(self) -> None:
        """Say that we live, and close what nobody works on, until told to end."""
        started = wiring.clock()
        while not self.stop.is_set():
            with self._troubles():
                with database.write(self.engine, urgent=True) as connection:
                    now = wiring.clock()
                    dispatchers.note(connection, self.name, started_at=started, now=now)
                    swept = transactional_sweep.sweep(connection, now)
                if swept.resent or swept.held:
                    _log.warning("%d messages go a second time, %d are held as possibly sent", swept.resent, swept.held)
                self.ways.refresh()
            self.stop.wait(_UPKEEP_SECONDS)

    def _work(self, number: int, config: MessagesConfig) -> None:
        """Of the idle one watches, and the next when that is over: one look each `poll_seconds`, whatever their number.

        Whoever finds work has the one that watches look at once, as there may be more.
        """
        while not self.stop.is_set():
            with self._troubles():
                if not self.one(f"{self.name}:{number}"):
                    with self._watch:
                        if not self.stop.is_set():
                            self._more.wait(config.poll_seconds)
                            self._more.clear()

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """A store that is away comes back: nothing is lost meanwhile, and the process goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the class only: a text may quote an address
            what = "the store is in trouble" if database.in_trouble(error) else "a fault of ours"
            _log.error("%s (%s); the dispatcher goes on", what, type(error).__name__)
            self.stop.wait(_TROUBLE_SECONDS)

    def one(self, worker: str) -> bool:
        """Hand one message over; False where none is due."""
        with self._next() as row:
            if row is None:
                return False
            try:
                self._handle(row, worker)
            except Exception as error:
                if database.in_trouble(error):
                    raise
                _log.error("message %s could not be handled (%s); it is put off", row.id, type(error).__name__)
                with database.write(self.engine, urgent=True) as connection:
                    transactional_queue.put_off(connection, row.id, wiring.clock() + _AFTER_A_FAULT)
            return True

    @contextmanager
    def _next(self) -> Iterator[Any]:
        """The message whose turn it is, which no other thread of this process has in hand."""
        with self._lock:
            now = wiring.clock()
            resting = [account for account, until in self._resting.items() if until > now]
            row = None if self.stop.is_set() else self._due(now, Resting(resting, tuple(self._in_hand)))
            if row is not None:
                self._in_hand.add(row.id)
                self._after = row.account_id
                self._more.set()
        try:
            yield row
        finally:
            if row is not None:
                with self._lock:
                    self._in_hand.discard(row.id)

    def _due(self, now: datetime, resting: Resting) -> Any:
        with database.read(self.engine) as connection:
            return transactional_queue.next_due(connection, now, after=self._after, resting=resting)

    def _handle(self, row: Any, worker: str) -> None:
        lane = self.ways.lane(row.account_id)
        try:
            with database.read(self.engine) as connection:
                letter = transactional_mail.write(connection, row, lane.account, wiring.own_templates())
        except Unwritable as error:
            with database.write(self.engine, urgent=True) as connection:
                transactional_queue.end(connection, row.id, error.state, str(error), wiring.clock())
            return
        self._hand_over(lane, row, letter, worker)

    def _hand_over(self, lane: lanes.TransactionalLane, row: Any, letter: Letter, worker: str) -> None:
        if self.stop.is_set():
            return  # nothing is begun any more; it stays planned
        found = lane.claim(row, letter, worker=worker)
        if isinstance(found, Stall):
            self._rest(row, found)
        elif not isinstance(found, Over):
            began = time.perf_counter()
            outcome = self._sent(found, lane)
            if not self._recorded(lane, found, outcome, time.perf_counter() - began):
                _log.warning("message %s: the lease was over before its answer was recorded", row.id)

    def _recorded(self, lane: lanes.TransactionalLane, batch: Batch, outcome: Outcome, seconds: float) -> bool:
        """Write what the ESP said, however long the store is away: forgotten, it would be unknown, and she gets it twice.

        A while after the lease the message is another's to decide about, and so this process may end.
        """
        until = batch.lease_expires_at + timedelta(seconds=lane.policy.lease_seconds)
        while True:
            try:
                return lane.record(batch, outcome, seconds=seconds)
            except Exception as error:
                if not database.in_trouble(error) or wiring.clock() > until:
                    raise
                time.sleep(_RECORD_AGAIN_SECONDS)

    def _sent(self, batch: Batch, lane: lanes.TransactionalLane) -> Outcome:
        if batch.lease_expires_at - wiring.clock() < timedelta(seconds=lane.policy.lease_seconds) / 2:
            return _OVERSLEPT
        try:
            return self.ways.mailer(batch.grant.route.provider).send(batch)
        except ports.Unsendable as error:  # this one message's fault: the next one fares better
            return Outcome(OutcomeKind.REJECTED, detail=str(error), local=True)

    def _rest(self, row: Any, stall: Stall) -> None:
        """Nothing of this account can go now, unless it is this message alone that waits.

        It does where it asks for one way only, and where no ESP is to blame: its mailbox provider has its fill, say, and the
        account's other mail would wait behind it.
        """
        seconds = stall.seconds if stall.seconds is not None else _LONGEST_REST.total_seconds()
        wait = timedelta(seconds=max(seconds, 0.02))
        if row.only_route is not None or not stall.by_esp:
            with database.write(self.engine, urgent=True) as connection:
                transactional_queue.put_off(connection, row.id, wiring.clock() + min(wait, _LONGEST_WAIT))
        else:
            with self._lock:
                self._resting[row.account_id] = wiring.clock() + min(wait, _LONGEST_REST)
