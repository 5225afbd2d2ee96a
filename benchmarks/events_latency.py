"""From a refusal posted to its suppression in force, at the real gateway, while a flood of events is posted to it.

Refusals are posted alone, each on time whatever became of the one before; in force is what `data/eligibility.py` says
no by. The flood is posted at a rate (open loop), and its answers are timed from when each post was due.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path

import sqlalchemy as sa

from benchmarks import events_apply, events_receive, events_traffic, shop
from data import database, eligibility, tables
from providers.sandbox.signing import SigningKey

_CONNECTIONS = 64
_A_SECOND = 2  # refusals
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 300.0
_MAX_BACKLOG = 1000  # bodies


@dataclass(slots=True)
class Phase:
    """What was seen at one rate of bodies a second. Times are seconds."""

    rate: float
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[float] = field(default_factory=list)
    in_force: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})  # True: complaints
    sent_again: int = 0  # refusals that were answered 503 or not at all, and sent again a second later


def run(recipients: int, rates: Sequence[float], seconds: float) -> list[Phase]:
    """One phase a rate, each when all of the one before is applied."""
    began, key = datetime.now(UTC) - timedelta(hours=12), SigningKey.new()
    options = {"OMS_GATEWAY_APPLY_EVENTS": "true", "OMS_GATEWAY_MAX_BACKLOG": str(_MAX_BACKLOG)}
    phases = []
    with (
        tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder,
        events_receive.gateway(Path(folder), key, **options) as (port, _, engine),
    ):
        sent, people = events_apply.campaign(engine, recipients, began)
        others = recipients - recipients // 50  # the flood is about these
        flood = (
            events_receive.signed(key, body)
            for seed in count(1)
            for body in events_traffic.bodies(sent.id, people[:others], began + timedelta(seconds=seed), seed=seed)
        )
        whom = iter(range(others, recipients))
        for rate in rates:
            some = list(islice(flood, int(rate * seconds)))
            asked = list(islice(whom, int(seconds * _A_SECOND)))
            phases.append(asyncio.run(_Scene(port, engine, key, sent.id, people).played(rate, some, asked)))
            _until_quiet(engine)
    return phases


@dataclass(slots=True)
class _Scene:
    port: int
    engine: sa.Engine
    key: SigningKey
    run_id: str
    people: Sequence[int]

    async def played(self, rate: float, flood: Sequence[bytes], asked: Sequence[int]) -> Phase:
        phase = Phase(rate)
        begins = time.monotonic() + 0.5
        numbers = iter(range(len(flood)))
        clients = [self._client(phase, flood, numbers, begins) for _ in range(_CONNECTIONS)]
        probes = [self._probe(phase, number, one, begins) for number, one in enumerate(asked)]
        await asyncio.gather(*clients, *probes)
        return phase

    async def _client(self, phase: Phase, flood: Sequence[bytes], numbers: Iterator[int], begins: float) -> None:
        for number in numbers:
            due = begins + number / phase.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            phase.statuses[await self._status(flood[number])] += 1
            phase.answers.append(time.monotonic() - due)

    async def _probe(self, phase: Phase, number: int, ordinal: int, begins: float) -> None:
        """Post one refusal and look until it is in force."""
        complaint, party_id = number % 2 == 1, self.people[ordinal]
        await asyncio.sleep(max(0.0, begins + number / _A_SECOND - time.monotonic()))
        assert not await asyncio.to_thread(self._refused, party_id)
        posted = time.monotonic()
        body = events_traffic.refusal(self.run_id, ordinal, self.people, datetime.now(UTC), complaint=complaint)
        request = events_receive.signed(self.key, body)
        while await self._status(request) not in {200, 204}:
            phase.sent_again += 1
            await asyncio.sleep(1)
        while not await asyncio.to_thread(self._refused, party_id):
            if time.monotonic() - posted > _PATIENCE_SECONDS:
                raise TimeoutError("a refusal did not come into force")
            await asyncio.sleep(_LOOK_SECONDS)
        phase.in_force[complaint].append(time.monotonic() - posted)

    async def _status(self, request: bytes) -> int:
        """Over a connection of its own: one that is refused before its body was read is closed. 0: cut off unanswered."""
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            return await events_receive.asked(reader, writer, request)
        except (OSError, asyncio.IncompleteReadError):
            return 0
        finally:
            if writer is not None:
                writer.close()

    def _refused(self, party_id: int) -> bool:
        now = datetime.now(UTC)
        with database.read(self.engine) as connection:
            among = sa.select(sa.literal(party_id).label("party_id")).subquery("among")
            judged = eligibility.select(
                connection, shop.ACCOUNT, run_id=self.run_id, among=among, policy=shop.POLICY, now=now
            )
            return connection.execute(judged).one().reason is not None


def _until_quiet(engine: sa.Engine) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    waiting = sa.select(sa.func.count()).where(tables.webhook_inbox.c.state == "pending")
    while time.monotonic() < deadline:
        with database.read(engine) as connection:
            if not connection.scalar(waiting):
                return
        time.sleep(0.2)
    raise TimeoutError("the flood was not applied")
