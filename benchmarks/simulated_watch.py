"""The flows that watch a run: rate guards by mailbox group, and volumes that follow a pool's results."""

from collections import deque
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timedelta

from benchmarks.simulated_desk import Desk
from benchmarks.simulated_world import Scenario
from domain import guardrails
from domain.guardrails import FACTOR, Guard, GuardAction, Results

_FOLLOWED = timedelta(days=7)
_FOLLOW_EVERY = timedelta(minutes=10)


class _Heard:
    """All results so far, and those since some time."""

    def __init__(self, every: timedelta, longest: timedelta) -> None:
        self.all = Results()
        self._every, self._longest = every, longest
        self._marks: deque[tuple[datetime, Results]] = deque()

    def since(self, now: datetime) -> Results:
        """Those within the longest time, as exactly as they are marked."""
        if not self._marks or now - self._marks[-1][0] >= self._every:
            self._marks.append((now, self.all))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._longest:
            self._marks.popleft()
        then = self._marks[0][1] if self._marks[0][0] <= now - self._longest else Results()
        return Results(*(getattr(self.all, one.name) - getattr(then, one.name) for one in fields(Results)))


class Watch:
    """Sets the desk's brakes and factors, as data.guards and data.volumes do over a database."""

    def __init__(self, scenario: Scenario, desk: Desk) -> None:
        self._scenario, self._desk = scenario, desk
        minute = timedelta(minutes=1)
        self._groups = {group: _Heard(minute, guardrails.RECENT) for group in scenario.groups}
        self._pools = {
            (route.pool, group): _Heard(_FOLLOW_EVERY, _FOLLOWED)
            for route in scenario.routes
            for group in scenario.groups
        }
        self._until: dict[str, datetime] = {}
        self._followed_at: datetime | None = None

    def heard(self, pool: str, group: str, results: Results) -> None:
        self._groups[group].all += results
        self._pools[pool, group].all += results

    def look(self, now: datetime) -> Iterator[str]:
        """Judge every group; what was braked, in words."""
        if self._followed_at is None or now - self._followed_at >= _FOLLOW_EVERY:
            self._follow(now)
        for group, heard in self._groups.items():
            recent = heard.since(now)
            if self._until.get(group, now) > now:
                continue
            guard = guardrails.rate_guard(heard.all, recent)
            before, after = self._desk.brakes.get(group, 1.0), FACTOR[guard.action]
            self._desk.brakes[group] = after
            if guard.action is GuardAction.PAUSE:
                self._until[group] = now + self._lasts(guard)
                self._desk.trouble(group, now)
            if after < before:
                yield f"{guard.action} of {group} for {guard.figures['measure']}"

    def _lasts(self, guard: Guard) -> timedelta:
        return guard.lasts if guard.lasts is not None else self._scenario.person_returns

    def _follow(self, now: datetime) -> None:
        """How each pool fares with each group: for routing and for the pace."""
        self._followed_at = now
        for key, heard in self._pools.items():
            week = heard.since(now)
            self._desk.factors[key] = guardrails.volume_factor(week)
            self._desk.results[key] = (week.delivered, week.blocked + week.deferred)
