"""The three million events of a campaign of a million: received, applied, counted, and what became of a refusal in time.

`python -m benchmarks.events [--part receive|apply|kpis|latency] [--recipients 1000000] [--database sqlite|postgresql]
[--rates 0.5,8,80] [--seconds 20]`. Without `--part` all of them. Each part measures its floor or the obvious way in the
same run; only ratios of one run mean something. `kpis` takes ten events for each three of the others; `latency` takes
a fiftieth of the recipients, for whom the flood (bodies of 1,000 events a second) is made anew.
"""

import argparse
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import events_apply, events_kpis, events_latency, events_receive

_PARTS = ("receive", "apply", "kpis", "latency")
_RECEIVED_SHARE, _COUNTED_TIMES, _FLOODED_SHARE = 5, 10 / 3, 50


def receive(options: argparse.Namespace) -> Table:
    """CPU seconds of the servers' processes."""
    rows = events_receive.run(options.recipients // _RECEIVED_SHARE)
    table = Table("server", "events", "CPU s a million", "to the bare socket", "seconds", title="Receiving")
    for row in rows:
        ratio = f"{row.a_million / rows[-1].a_million:.1f} x"
        table.add_row(row.name, f"{row.events:,}", f"{row.a_million:.2f}", ratio, f"{row.wall:.1f}")
    return table


def apply(options: argparse.Namespace) -> Table:
    """CPU seconds here and in the database's server."""
    (obvious, ours), memory, report = events_apply.run(options.database, options.recipients)
    title = f"Applying, {options.database}: {report.events:,} events, {report.duplicates:,} repetitions"
    table = Table("way", "events", "CPU s a million", "of it in the server", "seconds", title=title)
    for row in (ours, obvious):
        server = f"{row.server / row.events * 1e6:.1f}"
        table.add_row(row.name, f"{row.events:,}", f"{row.a_million:.1f}", server, f"{row.cost.wall:.1f}")
    ratio = obvious.a_million / ours.a_million
    table.caption = f"{ratio:.0f} times cheaper; memory {memory.before:.0f} → {memory.highest:.0f} MiB"
    return table


def kpis(options: argparse.Namespace) -> Table:
    """Also that what is kept up to date equals what is reckoned anew."""
    events, messages, costs = events_kpis.run(int(options.recipients * _COUNTED_TIMES))
    table = Table("work", "CPU s", "seconds", title=f"Key figures: {events:,} events of {messages:,} messages, SQLite")
    for name, cost in costs.items():
        table.add_row(name, f"{cost.cpu:.2f}", f"{cost.wall:.2f}")
    return table


def latency(options: argparse.Namespace) -> Table:
    """Seconds on the clock; of the flood from when a post was due, of a refusal from when it was posted."""
    rates = [float(rate) for rate in options.rates.split(",")]
    table = Table(
        "bodies a second", "answers", "p50", "p99", "bounce: p50", "p99", "complaint: p50", "p99", "sent again"
    )
    for phase in events_latency.run(max(1000, options.recipients // _FLOODED_SHARE), rates, options.seconds):
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(phase.statuses.items()))
        times = [
            f"{_share(some, part):.2f}" for some in (phase.answers, *phase.in_force.values()) for part in (0.5, 0.99)
        ]
        table.add_row(f"{phase.rate:g}", statuses, *times, str(phase.sent_again))
    table.title = "From a refusal posted to its suppression in force, SQLite; seconds"
    return table


def _share(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)] if values else float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=_PARTS, default=None)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rates", default="0.5,8,80", help="of the flood, in bodies a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each flood lasts")
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[argparse.Namespace], Table]]
    parts = {"receive": receive, "apply": apply, "kpis": kpis, "latency": latency}
    for name in [options.part] if options.part else _PARTS:
        Console(width=140).print(parts[name](options))


if __name__ == "__main__":
    main()
