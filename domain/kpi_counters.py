"""The counters of one run, as the campaign page and the artifact show them while events come in.

Each is a figure of domain.kpis under a shorter name: its numerator is the count, its rate the share.
"""

from dataclasses import dataclass
from datetime import timedelta

from domain import kpi_advice, kpi_words, kpis
from domain.kpis import Figures, Kpi
from domain.rates import Verdict

_GROUPS: dict[str, tuple[tuple[str, Kpi], ...]] = {
    "Arrived": (("delivered", kpis.DELIVERABILITY), ("put off", kpis.PUT_OFF)),
    "Came back": (
        ("bounced", kpis.BOUNCE_RATE),
        *((kpi.label.removeprefix("Bounced: "), kpi) for kpi in kpis.BOUNCES_BY_CLASS),
    ),
    "Whose fault": tuple((kpi.label.removeprefix("Bounced, fault: "), kpi) for kpi in kpis.BOUNCES_BY_FAULT),
    "People": (
        ("opened", kpis.HUMAN_OPEN_RATE),
        ("opened, with machines", kpis.OPEN_RATE),
        ("clicked", kpis.HUMAN_CLICK_RATE),
        ("clicked, with machines", kpis.CLICK_RATE),
        ("complained", kpis.COMPLAINT_RATE),
        ("unsubscribed", kpis.UNSUBSCRIBE_RATE),
    ),
}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Counter:
    """One count; `share` is empty where there is no rate."""

    label: str
    count: int
    share: str
    verdict: Verdict
    meaning: str


def counters(figures: Figures) -> dict[str, list[Counter]]:
    """All counters by their heading, always the same and in the same order: whoever looks again finds them again."""
    found = {name: [_counter(label, kpi, figures) for label, kpi in some] for name, some in _GROUPS.items()}
    plain = (
        ("accepted", figures.accepted, "Mails that the sending service accepted."),
        (
            "no answer yet",
            figures.on_its_way,
            "Neither delivered nor refused yet; those put off are among them.",
        ),
        ("dropped", figures.dropped, "Dropped by the sending service, mostly as it knows the address as bad."),
    )
    arrived = {label: Counter(label, count, "", Verdict.NONE, meaning) for label, count, meaning in plain}
    found["Arrived"].insert(0, arrived["accepted"])
    found["Arrived"][2:2] = [arrived["no answer yet"]]
    found["Arrived"].append(arrived["dropped"])
    return found


def _counter(label: str, kpi: Kpi, figures: Figures) -> Counter:
    rate = kpi.of(figures)
    share = "" if rate.value is None else f"{100 * rate.value:.{kpi.digits}f} %"
    stands = kpi_advice.verdict(kpi, figures)
    return Counter(label, rate.part, share, stands, f"{kpi.over} ÷ {kpi.under}")


def behind(*, bodies: int, oldest: timedelta | None, batches: int, events: int) -> str:
    """How far the counters are behind what the sending services told.

    `bodies` wait to be read, `oldest` since so long; `batches` are not counted yet; `events` wait for their message.
    """
    parts = ["Every webhook that came was read."]
    if bodies and oldest is not None:
        noun = "webhook waits" if bodies == 1 else "webhooks wait"
        parts = [f"{bodies:,} {noun} to be read, the oldest for {span(oldest)}."]
    if batches:
        parts.append(f"What came of {batches:,} batches is counted within minutes.")
    if events:
        noun = "event waits until its message is" if events == 1 else "events wait until their message is"
        parts.append(f"{events:,} {noun} known.")
    return " ".join(parts)


def span(time: timedelta) -> str:
    """A length of time in one unit."""
    seconds = max(0, round(time.total_seconds()))
    return next((f"{seconds // unit} {name}" for unit, name in _UNITS if seconds >= unit), f"{seconds} s")


def markdown(figures: Figures) -> str:
    """The same as a table for an artifact."""
    rows = ["| | Messages | Share |", "|:--|--:|--:|"]
    for heading, some in counters(figures).items():
        rows.append(f"| **{heading}** | | |")
        rows += [f"| {one.label} | {one.count:,} | {one.share}{kpi_words.sign(one.verdict)} |" for one in some]
    return "\n".join(rows)
