"""One round: a run is sent, its events come and are read, somebody dies on the way, and the ESP is asked."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from data import database, tables
from domain.ledger import OutcomeKind
from tests.kills import oracle, processes, shop
from tests.kills.oracle import Verdict
from tests.kills.points import Hooks, Point, Victim
from tests.kills.processes import Installation, Strike

Strategy = Callable[[Hooks, str], None]


@dataclass(slots=True)
class Round:
    """What happened: at which passings of its point the victim died, how long until all was well again, the verdict."""

    verdict: Verdict = field(default_factory=Verdict)
    kills: int = 0
    not_reached: int = 0
    recoveries: list[float] = field(default_factory=list)  # seconds at work; the lease's end was not waited for


class _Player:
    """Plays one round."""

    def __init__(
        self, made: Installation, point: Point, hits: Sequence[int], seed: int, strategy: Strategy | None
    ) -> None:
        self._made = made
        self._point = point
        self._hits = list(hits)
        self._seed = seed
        self._strategy = strategy
        self._round = Round()
        self._struck_at: list[float] = []

    def play(self) -> Round:
        made, point = self._made, self._point
        run = shop.open_run(made.engine, made.clock())
        made.turn_esp(**point.faults, seed=self._seed)
        if point.victim is Victim.GATEWAY:
            self._reopen_gateway()
        self._to_its_end(Victim.SENDER, self._sender(run.id))
        self._await_events(run.id)
        made.turn_esp()
        for wait in ({}, {"seconds": processes.LEASE_SECONDS + 1}, {"minutes": processes.HOLD_MINUTES + 1}):
            made.clock.forward(**wait)
            late = "minutes" in wait
            self._to_its_end(Victim.INGEST, processes.ingest, spared=point.late and not late)
        self._judge(run.id)
        return self._round

    def _sender(self, run_id: str) -> Callable[[Hooks], None]:
        work, strategy = processes.send(run_id), self._strategy
        if strategy is None:
            return work

        def naive(hooks: Hooks) -> None:
            strategy(hooks, run_id)
            work(hooks)

        return naive

    def _to_its_end(self, who: Victim, work: Callable[[Hooks], None], *, spared: bool = False) -> None:
        """Start a process, and again whenever it was killed, past the leases that it leaves behind."""
        mine = who is self._point.victim and not spared
        while True:
            strike = self._next_strike() if mine else None
            if self._made.ended(self._made.start(work, strike)):
                return
            self._killed()
            self._made.clock.forward(seconds=processes.LEASE_SECONDS + 1)

    def _next_strike(self) -> Strike | None:
        return processes.struck(self._point, self._hits[0]) if self._hits else None

    def _killed(self) -> None:
        self._hits.pop(0)
        self._round.kills += 1
        self._struck_at.append(time.monotonic())

    def _reopen_gateway(self) -> None:
        self._made.end(self._made.gateway)
        self._made.open_gateway(self._next_strike())
        self._made.await_gateway()  # else all events come in one post, and its second point is never reached

    def _await_events(self, run_id: str) -> None:
        """Until the ESP had a 2xx for each event; whenever the gateway dies, another is opened."""
        self._made.await_events(run_id, self._dead_gateway_replaced)
        if self._point.victim is Victim.GATEWAY and self._hits:
            self._made.end(self._made.gateway)  # what was not reached must not strike in the next round
            self._made.open_gateway()

    def _dead_gateway_replaced(self) -> bool:
        if not self._made.gateway_died():
            return False
        self._killed()
        self._made.open_gateway(self._next_strike())
        return True

    def _judge(self, run_id: str) -> None:
        done, made = time.monotonic(), self._made
        self._round.verdict = oracle.judge(made.engine, run_id, made.ask_esp("/sandbox/accepted", run=run_id))
        self._round.not_reached = len(self._hits) if self._point.arm else 0
        self._round.recoveries = [done - at for at in self._struck_at]
        if self._point.arm is None:
            self._round.kills = _unanswered(made, run_id)


def _unanswered(made: Installation, run_id: str) -> int:
    """Requests of which the sender never learnt what became: what C7 has in place of kills."""
    batch, attempt = tables.batches.c, tables.batch_attempts.c
    query = sa.select(sa.func.count()).where(
        batch.run_id == run_id, attempt.batch_id == batch.id, attempt.outcome == OutcomeKind.UNKNOWN
    )
    with database.read(made.engine) as connection:
        return connection.execute(query).scalar_one()


def play(
    made: Installation, point: Point, hits: Sequence[int], *, seed: int = 1, strategy: Strategy | None = None
) -> Round:
    """Play one round. The point's victim dies at its `hits`, one after the other, each in a process of its own.

    `seed` draws the ESP's faults; `strategy` bends the sender. Raises processes.Died.
    """
    return _Player(made, point, hits, seed, strategy).play()
