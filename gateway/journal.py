"""The journal: bodies of many requests in one commit, and nobody is answered before it.

A commit of its own for each pushed order costs a turn in the line of writers, which on SQLite is one for all: beside a load
of orders the door took ten a second then. Here all that wait share the next turn.
"""

import logging
import queue
import threading
from concurrent.futures import Future
from typing import NamedTuple

import sqlalchemy as sa

from data import database
from data.intake import records
from data.intake.records import Incoming

_log = logging.getLogger(__name__)
_MOST = 500


class _Waiting(NamedTuple):
    account_id: str
    channel: str
    incoming: Incoming
    kept: "Future[bool]"


class Journal:
    """One thread that writes. It begins with the first body and ends with the process; what it kept is committed."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep(self, account_id: str, channel: str, incoming: Incoming) -> "Future[bool]":
        """Done when the body is committed: True when it is new. Raises what the database raises."""
        waiting = _Waiting(account_id, channel, incoming, Future())
        self._queue.put(waiting)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
                self._thread.start()
        return waiting.kept

    def _write(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _MOST and not self._queue.empty():
                batch.append(self._queue.get())
            # Who was put off meanwhile (a store that hung) sends it again; from here on nobody can call it off.
            if batch := [one for one in batch if one.kept.set_running_or_notify_cancel()]:
                self._commit(batch)

    def _commit(self, batch: list[_Waiting]) -> None:
        """All in one transaction; when that fails each alone, so that one bad body takes no other with it."""
        try:
            with database.write(self._engine) as connection:
                new = [records.store(connection, one.account_id, one.channel, [one.incoming]) == 1 for one in batch]
        except Exception as error:  # noqa: BLE001 - each request is told, and the thread goes on
            if len(batch) == 1:
                _log.error("a pushed body could not be stored: %s", type(error).__name__)
                batch[0].kept.set_exception(error)
                return
            for one in batch:
                self._commit([one])
            return
        for one, is_new in zip(batch, new, strict=True):
            one.kept.set_result(is_new)
