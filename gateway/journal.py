"""A journal: bodies of many requests in one commit, and nobody is answered before it.

A commit of its own for each body costs a turn in the line of writers, which on SQLite is one for all: beside a load of
orders the door took ten a second then. Here all that wait share the next turn.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from data import database

_log = logging.getLogger(__name__)
_MOST = 500
_Body = TypeVar("_Body")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[_Body]):
    """A body until it is written. Who was put off gets its memory back at once, however long the store hangs."""

    body: _Body | None
    kept: "Future[bool]" = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.kept.add_done_callback(self._forget)

    def _forget(self, kept: "Future[bool]") -> None:
        if kept.cancelled():
            self.body = None


class _Due(NamedTuple, Generic[_Body]):
    """One that is written now, and that nobody can call off any more."""

    body: _Body
    kept: "Future[bool]"


class Journal(Generic[_Body]):
    """One thread that writes. It begins with the first body and ends with the process; what it kept is committed.

    `store` writes one body and says whether it is new; `kept` is called after each commit.
    """

    def __init__(
        self,
        engine: sa.Engine,
        store: Callable[[sa.Connection, _Body], bool],
        *,
        name: str,
        kept: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._name = name
        self._kept = kept
        self._queue: queue.SimpleQueue[_Waiting[_Body]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._writing_since: float | None = None

    @property
    def behind(self) -> float:
        """Seconds since what is being written began to be; 0.0 where nothing is. Who comes now waits longer."""
        since = self._writing_since
        return 0.0 if since is None else time.monotonic() - since

    def keep(self, body: _Body) -> "Future[bool]":
        """Done when the body is committed: True when it is new. Raises what the database raises."""
        waiting = _Waiting(body)
        self._queue.put(waiting)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name=self._name, daemon=True)
                self._thread.start()
        return waiting.kept

    def _write(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _MOST and not self._queue.empty():
                batch.append(self._queue.get())
            if due := list(_called(batch)):
                self._writing_since = time.monotonic()
                self._commit(due)
                self._writing_since = None

    def _commit(self, batch: list[_Due[_Body]]) -> None:
        """All in one transaction; when that fails each alone, so that one bad body takes no other with it."""
        try:
            with database.write(self._engine) as connection:
                new = [self._store(connection, one.body) for one in batch]
        except Exception as error:  # noqa: BLE001 - each request is told, and the thread goes on
            if len(batch) == 1:
                _log.error("a body of the %s could not be stored: %s", self._name, type(error).__name__)
                batch[0].kept.set_exception(error)
                return
            for one in batch:
                self._commit([one])
            return
        for one, is_new in zip(batch, new, strict=True):
            one.kept.set_result(is_new)
        self._kept()


def _called(batch: list[_Waiting[_Body]]) -> Iterator[_Due[_Body]]:
    """Without those that were put off meanwhile (a store that hung): who sent them sends them again."""
    for one in batch:
        if one.kept.set_running_or_notify_cancel() and one.body is not None:
            yield _Due(one.body, one.kept)
