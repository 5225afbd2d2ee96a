"""Dispatcher processes that are killed: messages asked for, handed over, told of by events, and held against the ESP."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa

from data import database, inbox, tables, transactional
from domain.ledger import BatchState
from domain.transactional import OPEN, RESEND_AFTER, Urgency, new_id
from tasks import wiring
from tasks.dispatcher import Dispatcher
from tests.data import transactional_store
from tests.kills import points, processes
from tests.kills.points import Arm, Hooks
from tests.kills.processes import Died, Installation, SharedClock, Strike

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_LONG_IDLE = 4  # looks without progress, until the clock is moved instead of waiting: a breaker opened, a pause
_STEP_SECONDS = 15.0
_USEFUL = timedelta(days=3)
_CLAIM, _RECORD = "data.transactional_lane:TransactionalLane.claim", "data.transactional_lane:TransactionalLane.record"
_SWEPT_AFTER = max(processes.LEASE_SECONDS, RESEND_AFTER.total_seconds()) + 1
_SWEEP = "tasks.dispatcher:Dispatcher._look_after"

LATE = ("C17", "C18")
# Where a dispatcher dies; the numbers are those of facts/reliability.md section 2.
POINTS: dict[str, Arm] = {
    "C1 before the claim's commit": points.before_commit(_CLAIM),
    "C2 after the claim's commit": points.after_commit(_CLAIM),
    "C3 before the connect": points.before_connect,
    "C5 in mid-body": points.writing_half,
    "C6 body written": points.writing_after,
    "C8 reply read": points.reply_read,
    "C9 before the result's commit": points.before_commit(_RECORD),
    "C10 after the result's commit": points.after_commit(_RECORD),
    "C17 before the sweep's commit": points.before_commit(_SWEEP),
    "C18 after the sweep's commit": points.after_commit(_SWEEP),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Messages: how many; accepted that the ESP never took; taken again without a flag; any other disagreement."""

    asked: int
    lost: int
    twice: int
    wrong: int
    held: int
    resent: int

    @property
    def sound(self) -> bool:
        return not (self.lost or self.twice or self.wrong)


def ask(made: Installation, count: int, **facts: Any) -> list[str]:
    """So many messages to customers whom the sandbox delivers everything to, each of an order of its own."""
    facts = {"urgency": Urgency.SECURITY, "account_id": "shop"} | facts
    variables = {"first_name": "Jo", "reset_url": "https://shop.test/s3cret", "valid_minutes": 30}
    wanted = [transactional_store.wanted(number, _USEFUL, nth=number, **facts) for number in range(count)]
    wanted = [transactional_store.renamed(one, new_id(), variables) for one in wanted]
    with database.write(made.engine) as connection:
        return transactional.ask(connection, wanted, now=made.clock())


def states(engine: sa.Engine) -> Counter[str]:
    table = tables.transactional_messages.c
    with database.read(engine) as connection:
        query = sa.select(table.state, sa.func.count()).group_by(table.state)
        return Counter({row[0]: row[1] for row in connection.execute(query)})


def work_off(_: Hooks) -> None:
    """A dispatcher's work until nothing is planned or under way. It moves the clock instead of waiting."""
    until_told(_idle)


def until_told(told: Callable[[Dispatcher], None]) -> None:
    """A dispatcher's work until SIGTERM, or until this says so."""
    one = Dispatcher()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=one.stop.set).start())
    threading.Thread(target=told, args=(one,), daemon=True).start()
    one.run()


def _idle(one: Dispatcher) -> None:
    clock, before, idle = cast("SharedClock", wiring.clock), Counter[str](), 0
    while not one.stop.wait(_LOOK_SECONDS):
        if not _swept(one):
            continue
        now = states(one.engine)
        if not now[BatchState.PLANNED] and not now[BatchState.INFLIGHT]:
            one.stop.set()
        idle = idle + 1 if now == before else 0
        before = now
        if idle and idle % _LONG_IDLE == 0:
            clock.forward(seconds=_STEP_SECONDS)


def _swept(one: Dispatcher) -> bool:
    table = tables.dispatchers.c
    with database.read(one.engine) as connection:
        return connection.scalar(sa.select(table.id).where(table.id == one.name)) is not None


def run(made: Installation, arm: Arm | None, hits: Sequence[int], *, late: bool = False) -> int:
    """Work all off, killed at these passings of the point, each in a process of its own; how many were.

    `late`: not before there is something to sweep.
    """
    kills = 0
    if late:
        made.ended(made.start(work_off))
        made.clock.forward(seconds=_SWEPT_AFTER)
    for hit in hits if arm is not None else ():
        strike: Strike = lambda hooks, hit=hit: points.strike(hooks, arm, hit)  # type: ignore[misc]  # noqa: E731
        if made.ended(made.start(work_off, strike)):
            break
        kills += 1
        made.clock.forward(seconds=1)
    settle(made)
    return kills


def settle(made: Installation) -> None:
    """Let the events come in, and time pass until all is over: what is released by silence goes once more."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if not made.ended(made.start(work_off)):
            raise Died("a dispatcher was killed that nobody struck")
        await_events(made)
        if not OPEN & set(states(made.engine)):
            return
        if time.monotonic() > deadline:
            raise Died(f"messages never came to an end: {dict(states(made.engine))}")
        made.clock.forward(seconds=_SWEPT_AFTER)


def await_events(made: Installation) -> None:
    """Until the ESP had a 2xx for each event, and the gateway has applied what it took."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if made.gateway_died():
            made.open_gateway()
        with database.read(made.engine) as connection:
            waiting = inbox.backlog(connection)
        if not made.ask_esp("/sandbox/summary")["events_due"] and not waiting:
            return
        if time.monotonic() > deadline:
            raise Died("the ESP's events never came in")
        time.sleep(0.02)


def judge(made: Installation, messages: Sequence[str]) -> Verdict:
    """By the ESP's own record."""
    table = tables.transactional_messages
    with database.read(made.engine) as connection:
        rows = connection.execute(sa.select(table).where(table.c.id.in_(messages))).all()
    took = {one: sum(made.ask_esp("/sandbox/accepted", run=one).values()) for one in messages}
    lost = sum(row.state == BatchState.ACCEPTED and not took[row.id] for row in rows)
    twice = sum(took[row.id] > (2 if row.resent else 1) for row in rows)
    over = (BatchState.ACCEPTED, BatchState.HELD)  # every address here takes mail, and nobody complains
    wrong = len(messages) - len(rows) + sum(row.state not in over for row in rows)
    wrong += sum(row.state == BatchState.HELD and bool(took[row.id]) for row in rows)  # its events have come
    wrong += sum(row.variables is not None or row.email is not None for row in rows)
    held = sum(row.state == BatchState.HELD for row in rows)
    return Verdict(len(messages), lost, twice, wrong, held, sum(row.resent for row in rows))
