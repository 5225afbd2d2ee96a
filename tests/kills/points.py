"""The points at which a process dies, by the numbers of the reliability programme; one entry a point.

Nothing of the product is changed for it: commits and statements are watched where SQLAlchemy hands them to the driver,
told apart by the functions that are at work then; bytes where httpcore hands them to the socket; the gateway's answers
by an ASGI wrapper. A point whose function was renamed is never reached, and the matrix says so.
"""

import itertools
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from httpcore._backends import sync as wire

Reached = Callable[[], None]


class Victim(StrEnum):
    """Which process dies."""

    SENDER = "sender"
    GATEWAY = "gateway"
    INGEST = "ingest"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What of a process can be watched besides the wire."""

    engine: sa.Engine
    answered: list[Reached]  # called after each answer of the gateway has left


Arm = Callable[[Hooks, Reached], None]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a process dies. `late`: not before the clock is past the time when unproved batches are held."""

    code: str
    meaning: str
    victim: Victim
    arm: Arm | None  # None: nobody dies, the ESP's `faults` are all that happens
    faults: Mapping[str, float] = field(default_factory=dict)
    late: bool = False


def at_work(*functions: str) -> bool:
    """Whether each of these functions (`module:qualified.name`) is on this thread's stack."""
    missing = set(functions)
    frame = sys._getframe(1)
    while frame is not None and missing:
        missing.discard(f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}")
        frame = frame.f_back  # type: ignore[assignment]
    return not missing


_WRITE = "data.database:write"


def before_commit(function: str) -> Arm:
    """When all of a transaction is written and nothing of it stands yet."""
    return _around_commit(function, before=True)


def after_commit(function: str) -> Arm:
    """When the transaction stands and nobody has been told yet."""
    return _around_commit(function, before=False)


def _around_commit(function: str, *, before: bool) -> Arm:
    def arm(hooks: Hooks, reached: Reached) -> None:
        dialect: Any = hooks.engine.dialect
        commit = dialect.do_commit

        def watched(connection: Any) -> None:
            meant = at_work(function, _WRITE)
            if meant and before:
                reached()
            commit(connection)
            if meant and not before:
                reached()

        dialect.do_commit = watched

    return arm


def before_statement(function: str) -> Arm:
    """When a transaction is under way, and this function's next statement is about to be executed."""

    def arm(hooks: Hooks, reached: Reached) -> None:
        def watched(*_: object) -> None:
            if at_work(function):
                reached()

        sa.event.listen(hooks.engine, "before_cursor_execute", watched)

    return arm


def before_connect(_: Hooks, reached: Reached) -> None:
    backend: Any = wire.SyncBackend
    connect = backend.connect_tcp

    def watched(*given: Any, **named: Any) -> Any:
        reached()
        return connect(*given, **named)

    backend.connect_tcp = watched


def _writing(moment: Callable[[Callable[[bytes], None], bytes, Reached], None]) -> Arm:
    """Watch the write of each request's body; its head, which begins with POST, is a write of its own."""

    def arm(_: Hooks, reached: Reached) -> None:
        stream: Any = wire.SyncStream
        write = stream.write

        def watched(self: Any, buffer: bytes, timeout: float | None = None) -> None:
            if not buffer or buffer.startswith(b"POST "):
                write(self, buffer, timeout)
            else:
                moment(lambda part: write(self, part, timeout), buffer, reached)

        stream.write = watched

    return arm


def _before(write: Callable[[bytes], None], body: bytes, reached: Reached) -> None:
    reached()
    write(body)


def _half(write: Callable[[bytes], None], body: bytes, reached: Reached) -> None:
    write(body[: len(body) // 2])
    reached()
    write(body[len(body) // 2 :])


def _after(write: Callable[[bytes], None], body: bytes, reached: Reached) -> None:
    write(body)
    reached()


writing_half, writing_after = _writing(_half), _writing(_after)


def reply_read(_: Hooks, reached: Reached) -> None:
    stream: Any = wire.SyncStream
    read = stream.read

    def watched(*given: Any, **named: Any) -> bytes:
        answer: bytes = read(*given, **named)
        if answer:
            reached()
        return answer

    stream.read = watched


def answered(hooks: Hooks, reached: Reached) -> None:
    hooks.answered.append(reached)


_CUT_AFTER = {"drop_after_accept": 0.3}
_CUT_BOTH = {"drop_after_accept": 0.3, "drop_before_accept": 0.3}
_CLAIM, _RECORD = "data.ledger:SqlLedger._claimed", "data.ledger:SqlLedger._record"
_RECEIVE = "gateway.journal:Journal._commit"

_TURN, _TOLD = "data.traffic:Traffic.next", "data.lanes:Lane.told"

POINTS = (
    Point("T1", "before the turn's commit", Victim.SENDER, before_commit(_TURN)),
    Point("T2", "after the turn's commit, before the claim", Victim.SENDER, after_commit(_TURN)),
    Point("C1", "before the claim's commit", Victim.SENDER, before_commit(_CLAIM)),
    Point("C2", "after the claim's commit", Victim.SENDER, after_commit(_CLAIM)),
    Point("C3", "before the connect", Victim.SENDER, before_connect),
    Point("C4", "before the body", Victim.SENDER, _writing(_before)),
    Point("C5", "in mid-body", Victim.SENDER, writing_half),
    Point("C6", "body written", Victim.SENDER, writing_after),
    Point("C7", "accepted, and no reply (a cut line; nobody dies)", Victim.SENDER, None, _CUT_AFTER),
    Point("C8", "reply read", Victim.SENDER, reply_read),
    Point("C9", "before the result's commit", Victim.SENDER, before_commit(_RECORD)),
    Point("C10", "after the result's commit", Victim.SENDER, after_commit(_RECORD)),
    Point("T3", "before the wire's answer is told to breaker and pace", Victim.SENDER, before_commit(_TOLD)),
    Point("C11", "receiver, before the inbox's commit", Victim.GATEWAY, before_commit(_RECEIVE), _CUT_AFTER),
    Point("C12", "receiver, after the commit, before its 2xx", Victim.GATEWAY, after_commit(_RECEIVE), _CUT_AFTER),
    Point("C13", "receiver, after its 2xx", Victim.GATEWAY, answered, _CUT_AFTER),
    Point("C14", "in mid-ingest", Victim.INGEST, before_statement("data.deliveries:join"), _CUT_AFTER),
    Point("C15", "after a body's ingest", Victim.INGEST, after_commit("data.events:process"), _CUT_AFTER),
    Point("C16", "before an unknown is resolved", Victim.INGEST, before_statement("data.proofs:confirm"), _CUT_AFTER),
    Point(
        "C17",
        "before an unproved batch is held",
        Victim.INGEST,
        before_statement("data.ledger_sweep:_moved"),
        _CUT_BOTH,
        late=True,
    ),
    Point("C18", "after the reconciliation", Victim.INGEST, after_commit("tests.kills.processes:reconcile"), _CUT_BOTH),
)
BY_CODE = {point.code: point for point in POINTS}


def strike(hooks: Hooks, arm: Arm, hit: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Make this process send itself a signal when it reaches the point for the `hit`-th time (from 1)."""
    seen = itertools.count(1)  # its next() is atomic: several threads of a sender pass here

    def reached() -> None:
        if next(seen) == hit:
            # To this thread, which stops here then: a signal to the process lets it run on for some microseconds.
            signal.pthread_kill(threading.get_ident(), by)

    arm(hooks, reached)
