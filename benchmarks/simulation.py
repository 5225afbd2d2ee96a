"""A hundred million recipients over several ESPs and days, by the real rules, without a database and without waiting.

`python -m benchmarks.simulation [--recipients 100000000] [--seed 1] [--days 14] [--calm]`. Routing, breaker, pacing,
concurrency, warm-up and guardrails are those of `domain`; the ESPs and mailbox providers are made up
(benchmarks/simulated_world.py), the paces below are a large sender's and not a promise of any provider. The same seed
gives the same schedule. It fails where a limit was exceeded or somebody was lost or mailed twice.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from rich.console import Console
from rich.table import Table

from benchmarks.simulated_dispatch import Day, Simulation
from benchmarks.simulated_world import BEGINS, Busy, Outage, Scenario, Trouble, Window
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from domain.routes import Pace, Route
from domain.suppression import Stream

HOURS = 24
_GROUPS = {"gmail": 0.38, "microsoft": 0.22, "yahoo": 0.12, "apple": 0.08, "mixed": 0.20}
# Messages a minute that each mailbox group is given through a warm pool; the second ESP's pool gets three fifths.
_RELEASE = {"gmail": 7_000, "microsoft": 3_500, "yahoo": 1_500, "apple": 1_200, "*": 4_000}


def _route(name: str, *, part: float, hand_over: float, **facts: object) -> Route:
    values: dict[str, object] = {
        "account_id": "shop",
        "stream": Stream.MARKETING,
        "provider": name,
        "pool": f"{name}-marketing",
        "domain": "news.shop.example.com",
        "schedules": True,
        "hand_over": Pace(hand_over),
        "release": {group: Pace(rate * part) for group, rate in _RELEASE.items()},
    }
    return Route(name=name, **(values | facts))  # type: ignore[arg-type]


ROUTES = (
    _route("alder", part=1.0, hand_over=30_000, share=5, cost_per_thousand=0.30),
    _route("birch", part=0.6, hand_over=12_000, share=3, cost_per_thousand=0.25, schedules=False),
    _route("cedar", part=0.6, hand_over=12_000, share=1, cost_per_thousand=0.25, warm_up=True),
    _route("dogwood", part=0.2, hand_over=6_000, share=0, priority=2, cost_per_thousand=0.90),
)
OUTAGES = (
    Outage("alder", Window(26, 4), connects=True),
    Outage("birch", Window(28, 1)),
)
BUSY = (Busy("birch", Window(50, 2), 0.3, timedelta(seconds=60)),)
TROUBLES = (
    Trouble("alder-marketing", "yahoo", Window(4, 3), deferred=0.20, blocked=0.25),
    Trouble("birch-marketing", "microsoft", Window(30, 12), deferred=0.30),
)


def scenario(recipients: int, *, days: int, calm: bool) -> Scenario:
    """The large sender above. `calm`: nothing goes wrong."""
    policy = SendingPolicy(quiet_from="22:00", quiet_until="07:00", window_hours=days * HOURS)
    made = Scenario(recipients, _GROUPS, ROUTES, policy, OUTAGES, BUSY, TROUBLES)
    return replace(made, outages=(), busy=(), troubles=()) if calm else made


def show(played: Simulation, console: Console) -> None:
    """Print the schedule, day by day, and what became of everybody."""
    groups = list(played.scenario.groups)
    for number, day in sorted(played.days.items()):
        if day.handed or day.released or day.waited:
            console.print(_table(number, day, played, groups))
            console.print(_limits(day), *(f"  {name}: {n:,}" for name, n in sorted(day.notes.items())), sep="\n")
    last = Table("ended as", "messages")
    for state in BatchState:
        if messages := played.messages(state):
            last.add_row(state, f"{messages:,}")
    console.print(last)


def _table(number: int, day: Day, played: Simulation, groups: list[str]) -> Table:
    begins = BEGINS + timedelta(days=number)
    table = Table("handed over / released", *groups, "all", title=f"Day {number + 1}, from {begins:%a %d %b %H:%M} UTC")
    for provider in played.desk.providers:
        cells = [(day.handed[provider, group], day.released[provider, group]) for group in groups]
        if any(map(any, cells)):
            table.add_row(provider, *map(_pair, [*cells, (sum(a for a, _ in cells), sum(b for _, b in cells))]))
    table.add_row("waiting at its end", *(f"{day.waiting[group]:,}" for group in groups), f"{day.waiting.total():,}")
    return table


def _pair(cell: tuple[int, int]) -> str:
    handed, released = cell
    return f"{handed:,}" if handed == released else f"{handed:,} / {released:,}"


def _limits(day: Day) -> str:
    """What the mailbox groups waited for: hours of all groups together, so five groups wait 120 a day at most."""
    whole = [f"{name} {waited / 3_600_000:,.1f} h" for name, waited in day.waited.most_common(6)]
    return f"  limited by: {'; '.join(whole) or 'nothing'}"


def slowest(played: Simulation) -> Iterable[str]:
    """How long each mailbox group alone takes at the paces of all warm pools: where the limit really is."""
    warm = [route for route in played.scenario.routes if not route.warm_up and route.share > 0]
    quiet = played.scenario.policy.quiet_hours
    minutes = sum(
        not (quiet and quiet.holds(BEGINS + timedelta(minutes=minute), played.scenario.zone))
        for minute in range(HOURS * 60)
    )
    days: Counter[str] = Counter()
    for group, people in played.scenario.people().items():
        paces = [route.release_of(group).per_minute for route in warm]
        if (rate := sum(filter(None, paces))) and None not in paces:
            days[group] = people / rate / minutes  # type: ignore[assignment]
    return [f"{group} {needed:.1f} days" for group, needed in days.most_common()]


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=100_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=14, help="the run's window: what is not sent by then expires")
    parser.add_argument("--calm", action="store_true", help="nothing fails")
    options = parser.parse_args()
    console, began = Console(width=140), time.process_time()
    played = Simulation(scenario(options.recipients, days=options.days, calm=options.calm), options.seed)
    played.run()
    show(played, console)
    console.print(f"At the release paces of the warm pools alone: {', '.join(slowest(played))}.")
    console.print(
        f"{time.process_time() - began:.0f} CPU seconds for {(played.now - BEGINS) / timedelta(days=1):.1f} days."
    )
    breaches = played.breaches()
    if breaches:
        raise SystemExit("\n".join(breaches))
    console.print("No limit was exceeded in any hour; everybody is in one state; nobody was mailed twice.")


if __name__ == "__main__":
    main()
