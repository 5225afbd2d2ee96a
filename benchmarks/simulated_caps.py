"""What a simulated campaign is checked by: counted again by the clock's hours, without the rules that set the pace."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from domain import pacing, warmup
from domain.routes import Route

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MINUTES = 60


class Caps:
    """Messages by hour: handed over to each ESP, released through each pool to each group, and warm-up's limits."""

    def __init__(self, routes: Sequence[Route], *, batch_size: int) -> None:
        self._routes = {route.name: route for route in routes}
        self._batch = batch_size
        self._handed: Counter[tuple[str, datetime]] = Counter()
        self._released: Counter[tuple[str, str, datetime]] = Counter()
        self._first: dict[tuple[str, str], datetime] = {}
        self._warming: Counter[tuple[str, str, datetime]] = Counter()
        self._most_under_way: Counter[str] = Counter()

    def handed_over(self, route: Route, group: str, messages: int, at: datetime) -> None:
        """A batch left, or came back by a negative number: then it counts in the hour in which it left."""
        self._handed[route.provider, _hour(at)] += messages
        if route.warm_up:
            self._first.setdefault((route.name, group), at)
            self._warming[route.name, group, _hour(at)] += messages

    def released(self, route: Route, group: str, messages: int, at: datetime) -> None:
        self._released[route.name, group, _hour(at)] += messages

    def under_way(self, provider: str, requests: int) -> None:
        self._most_under_way[provider] = max(self._most_under_way[provider], requests)

    def breaches(self) -> list[str]:
        """Every limit that was exceeded in any hour, in words."""
        return [*self._hand_over(), *self._release(), *self._warm_up(), *self._requests()]

    def _hand_over(self) -> Iterable[str]:
        pace = {route.provider: route.hand_over for route in self._routes.values()}
        for (provider, hour), messages in self._handed.items():
            if (rate := pace[provider].per_minute) is not None:
                most = rate * _MINUTES + pacing.size(pace[provider], least=self._batch)
                if messages > most:
                    yield f"{messages:,} handed over to {provider} in the hour of {hour:%d %H:%M}, {most:,.0f} allowed"

    def _release(self) -> Iterable[str]:
        for (name, group, hour), messages in self._released.items():
            pace = self._routes[name].release_of(group)
            if pace.per_minute is not None:
                most = pace.per_minute * _MINUTES + max(pace.burst or pace.per_minute, self._batch)
                if messages > most:
                    yield f"{messages:,} released by {name} to {group} in the hour of {hour:%d %H:%M}, {most:,.0f} allowed"

    def _warm_up(self) -> Iterable[str]:
        """A pool is on its second day no sooner than 24 hours after its first mail, whatever happened between."""
        for (name, group, hour), messages in self._warming.items():
            day = (hour + _HOUR - self._first[name, group]) // _DAY + 1
            most = warmup.hourly_cap(max(1, day))
            if most is not None and messages > most:
                yield f"{messages:,} by the cold pool of {name} to {group} in the hour of {hour:%d %H:%M}, {most:,} allowed"

    def _requests(self) -> Iterable[str]:
        for route in self._routes.values():
            most = max(1, int(route.concurrency * (1 - pacing.RESERVE)))
            if self._most_under_way[route.provider] > most:
                yield f"{self._most_under_way[route.provider]} requests at once to {route.provider}, {most} allowed"


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def untiled(ranges: Iterable[tuple[int, int]], recipients: int) -> tuple[int, int]:
    """How many of 0 … recipients-1 are in no range (inclusive), and how many are in more than one."""
    missing = twice = after = 0
    for first, last in sorted(ranges):
        missing += max(0, first - after)
        twice += max(0, min(after, last + 1) - first)
        after = max(after, last + 1)
    return missing + max(0, recipients - after), twice
