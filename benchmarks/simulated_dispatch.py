"""A run over simulated days: events in the order of their time, batches by the ledger's rules, nothing by the clock."""

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from benchmarks.simulated_caps import Caps, untiled
from benchmarks.simulated_desk import Desk, Leave
from benchmarks.simulated_watch import Watch
from benchmarks.simulated_world import BEGINS, Scenario, World
from domain import ledger
from domain.ledger import BatchState, Outcome, OutcomeKind

Range = tuple[int, int]
_LOOK = timedelta(minutes=1)  # how often brakes and volumes are judged
_HEARD_AFTER = timedelta(minutes=2)
_CONFIRMED_AFTER = timedelta(minutes=10)  # of a batch without an answer that was taken after all, events come


@dataclass(slots=True)
class Day:
    """What happened on one day; handed over and released by (provider, group)."""

    handed: Counter[tuple[str, str]] = field(default_factory=Counter)
    released: Counter[tuple[str, str]] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    waited: Counter[str] = field(default_factory=Counter)  # seconds, by what was waited for
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Queue:
    """The planned batches of one mailbox group."""

    due: deque[Range]
    later: list[tuple[datetime, int, Range, int]] = field(default_factory=list)  # put off: until, …, attempts
    attempts: dict[int, int] = field(default_factory=dict)  # of a batch that was tried, by its first message
    wakes: datetime = BEGINS
    people: int = 0
    gone: int = 0

    @property
    def part(self) -> float:
        return self.gone / self.people


class Simulation:
    """One run. `run` plays it to its end; then days, states, notes and breaches can be read."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.world = scenario, World(scenario, seed)
        self.desk = Desk(scenario)
        self.caps = Caps(scenario.routes, batch_size=scenario.policy.batch_size)
        self.watch = Watch(scenario, self.desk)
        self.now = BEGINS
        self.expires = BEGINS + timedelta(hours=scenario.policy.window_hours)
        self.days: dict[int, Day] = {}
        self.released_in_quiet = 0
        self.states: dict[BatchState, list[Range]] = {state: [] for state in BatchState}
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number, self._in_flight = count(), 0
        self._tried: dict[int, str] = {}
        self._queues = dict(self._planned())

    def _planned(self) -> list[tuple[str, _Queue]]:
        found, first = [], 0
        for group, people in self.scenario.people().items():
            ranges = ledger.ranges(people, self.scenario.policy.batch_size)
            found.append((group, _Queue(deque((first + a, first + b) for a, b in ranges), people=people)))
            first += people
        return found

    @property
    def day(self) -> Day:
        return self.days.setdefault((self.now - BEGINS).days, Day())

    def run(self) -> None:
        """Play until nothing is left to do."""
        self._at(BEGINS, self._look)
        while self._events:
            at = self._events[0][0]
            if at.date() > self.now.date() or (at - BEGINS).days > (self.now - BEGINS).days:
                self._close_day()
            self.now = at
            while self._events and self._events[0][0] == at:
                heapq.heappop(self._events)[2]()
            self._hand_over()
        self._close_day()

    def _close_day(self) -> None:
        self.day.waiting = Counter({group: queue.people - queue.gone for group, queue in self._queues.items()})

    def _at(self, at: datetime, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._number), what))

    def _look(self) -> None:
        """Once a minute, as the flows do: brakes, volumes, and what the window has closed."""
        for note in self.watch.look(self.now):
            self.day.notes[note] += 1
        if self.now >= self.expires:
            self._expire()
        if self._in_flight or any(queue.due or queue.later for queue in self._queues.values()):
            self._at(self.now + _LOOK, self._look)

    def _expire(self) -> None:
        for queue in self._queues.values():
            self.states[BatchState.EXPIRED] += [*queue.due, *(one[2] for one in queue.later)]
            queue.due.clear()
            queue.later.clear()

    # --- handing over ---------------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Batch after batch of whichever group is furthest behind, until every group waits for something."""
        while (group := self._next()) is not None:
            queue, quiet = self._queues[group], self.scenario.policy.quiet_hours
            until = quiet.until(self.now, self.scenario.zone) if quiet else None
            if until is not None:
                self._wait(group, until - self.now, "quiet hours")
                continue
            if self.desk.brakes.get(group) == 0:
                self._wait(group, _LOOK, f"brake on {group}")
                continue
            first, last = queue.due[0]
            found = self.desk.ask(group, last - first + 1, self.now)
            if isinstance(found, Leave):
                queue.due.popleft()
                self._send(group, found, first, last)
            else:
                self._wait(group, timedelta(seconds=max(found.seconds, 0.2)), found.limit)

    def _next(self) -> str | None:
        """The group whose first due batch comes first, as ordinals are shuffled over all groups."""
        found = None
        for group, queue in self._queues.items():
            if queue.wakes > self.now:
                continue
            while queue.later and queue.later[0][0] <= self.now:
                _, _, messages, attempts = heapq.heappop(queue.later)
                queue.attempts[messages[0]] = attempts
                queue.due.appendleft(messages)
            if queue.due and (found is None or queue.part < self._queues[found].part):
                found = group
        return found

    def _wait(self, group: str, wait: timedelta, limit: str) -> None:
        self.day.waited[limit] += int(wait.total_seconds() * 1000)
        self._queues[group].wakes = self.now + wait
        self._at(self.now + wait, _nothing)

    def _send(self, group: str, leave: Leave, first: int, last: int) -> None:
        """The claim: the batch is cut to what was granted, and the rest stays planned."""
        queue, route, messages = self._queues[group], leave.route, (first, first + leave.messages - 1)
        if messages[1] < last:
            queue.due.appendleft((messages[1] + 1, last))
        queue.gone += leave.messages
        self._in_flight += 1
        self.caps.handed_over(route, group, leave.messages, self.now)
        self.caps.under_way(route.provider, self.desk.providers[route.provider].under_way)
        if leave.probe:
            self.day.notes[f"probes of {route.provider}"] += 1
        outcome, seconds, took = self.world.answer(route.provider, messages, self.now)
        sent_at = self.now
        self._at(
            self.now + timedelta(seconds=seconds),
            lambda: self._told(group, leave, messages, outcome, seconds, sent_at, took=took),
        )

    # --- what came of it ------------------------------------------------------------------------------------------

    def _told(
        self,
        group: str,
        leave: Leave,
        messages: Range,
        outcome: Outcome,
        seconds: float,
        sent_at: datetime,
        *,
        took: bool,
    ) -> None:
        self._in_flight -= 1
        self.desk.told(leave, group, outcome, seconds, self.now)
        provider = leave.route.provider
        state = ledger.state_after(outcome.kind, leave.messages)
        if outcome.kind is OutcomeKind.NOT_SENT:
            self.caps.handed_over(leave.route, group, -leave.messages, sent_at)
            self._again(group, leave, messages, outcome)
            return
        self.day.handed[provider, group] += leave.messages
        if self._tried.get(messages[0], provider) != provider:
            self.day.notes["messages moved to another ESP, certainly not sent before"] += leave.messages
        if took:
            # What was scheduled ahead cannot be released before the ESP has it.
            self._at(max(leave.release, self.now), lambda: self._released(group, leave))
        if state is BatchState.UNKNOWN:
            self.day.notes[f"batches without an answer from {provider}"] += 1
            after = _CONFIRMED_AFTER if took else timedelta(minutes=self.scenario.policy.hold_after_minutes)
            end = BatchState.ACCEPTED if took else BatchState.HELD
            self._at(self.now + after, lambda: self._resolved(messages, end))
        else:
            self.states[state].append(messages)

    def _again(self, group: str, leave: Leave, messages: Range, outcome: Outcome) -> None:
        """It was certainly not sent: planned again, by whatever way, once its time has come."""
        queue = self._queues[group]
        attempts = queue.attempts.pop(messages[0], 0) + 1
        self._tried[messages[0]] = leave.route.provider
        self.day.notes[f"batches that {leave.route.provider} did not take ({outcome.detail})"] += 1
        queue.gone -= leave.messages
        at = ledger.retry_at(self.now, attempts, outcome.retry_after)
        if self.now >= self.expires:
            self.states[BatchState.EXPIRED].append(messages)
            return
        heapq.heappush(queue.later, (at, next(self._number), messages, attempts))
        self._at(at, _nothing)

    def _resolved(self, messages: Range, state: BatchState) -> None:
        """An event proved it, or nothing did in time: then it is held, and never sent again."""
        assert state in ledger.NEXT[BatchState.UNKNOWN]
        told = "proved by events after all" if state is BatchState.ACCEPTED else "held: nobody knows whether they went"
        self.day.notes[f"messages {told}"] += messages[1] - messages[0] + 1
        self.states[state].append(messages)

    def _released(self, group: str, leave: Leave) -> None:
        route, at = leave.route, self.now
        self.day.released[route.provider, group] += leave.messages
        self.caps.released(route, group, leave.messages, at)
        quiet = self.scenario.policy.quiet_hours
        if quiet is not None and quiet.holds(leave.release, self.scenario.zone):
            self.released_in_quiet += leave.messages
        results = self.world.results(route.pool, group, leave.messages, at)
        self._at(at + _HEARD_AFTER, lambda: self.watch.heard(route.pool, group, results))

    # --- the end --------------------------------------------------------------------------------------------------

    def messages(self, state: BatchState) -> int:
        """How many ended so."""
        return sum(last - first + 1 for first, last in self.states[state])

    def breaches(self) -> list[str]:
        """All that may never be, in words: a limit exceeded, somebody lost, mailed twice or wrongly counted."""
        found = self.caps.breaches()
        ended = [one for ranges in self.states.values() for one in ranges]
        missing, twice = untiled(ended, self.scenario.recipients)
        if missing or twice:
            found.append(f"{missing:,} recipients are in no state, {twice:,} in more than one")
        if self.released_in_quiet:
            found.append(f"{self.released_in_quiet:,} messages were released in the quiet hours")
        _, sent_twice = untiled(self.world.took, self.scenario.recipients)
        if sent_twice:
            found.append(f"the ESPs accepted {sent_twice:,} messages more than once")
        if sorted(self.world.took) != sorted(self.states[BatchState.ACCEPTED]):
            found.append("what the ESPs accepted is not what the ledger counts as accepted")
        return found


def _nothing() -> None:
    """A time at which to look again."""
