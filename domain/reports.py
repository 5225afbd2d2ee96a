"""What is reported of a campaign run: the views a marketer reads. What a figure means is said in domain.kpis."""

from dataclasses import dataclass
from datetime import datetime

from domain.campaigns import Run
from domain.kpis import Figures


def lines(figures: Figures) -> list[tuple[str, int, str]]:
    """What happened after acceptance, to be read by people: label, count, rate (empty where there is none)."""
    return [
        ("delivered", figures.delivered, percent(figures.deliverability)),
        *((f"bounced: {name}", count, "") for name, count in sorted(figures.bounced.items())),
        *([("put off, still on its way", figures.deferred, "")] if figures.deferred else []),
        ("dropped by the ESP", figures.dropped, ""),
        ("complained", figures.complained, percent(figures.complaint_rate, digits=2)),
        ("unsubscribed", figures.unsubscribed, ""),
        ("opened, machines included", figures.opened_unique, ""),
        ("opened by a person", figures.opened_human, percent(figures.human_open_rate)),
        ("clicked, machines included", figures.clicked_unique, ""),
        ("clicked by a person", figures.clicked_human, percent(figures.human_click_rate)),
    ]


def percent(ratio: float | None, *, digits: int = 1) -> str:
    """A ratio for people; a dash where there was nothing to divide by."""
    return "–" if ratio is None else f"{100 * ratio:.{digits}f} %"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the waterfall from segment to accepted. `code` is a SkipReason, a message state or a total."""

    code: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Moment:
    """How many messages were first delivered, bounced, opened by a human and clicked within one slice of time."""

    at: datetime
    delivered: int = 0
    bounced: int = 0
    opened_human: int = 0
    clicked: int = 0


@dataclass(frozen=True, slots=True)
class Audit:
    """Does the ledger add up? `duplicates` and `missing` are None where the ESP keeps no record that we can read."""

    members: int
    planned: int
    skipped: dict[str, int]
    states: dict[str, int]  # accepted, rejected, suppressed, expired, cancelled, held, open
    duplicates: int | None
    missing: int | None
    complaints: tuple[str, ...]  # sentences; empty when all is well

    @property
    def balanced(self) -> bool:
        return not self.complaints


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that the campaign page shows."""

    run: Run
    account_name: str
    waterfall: tuple[Step, ...]
    total: Figures
    by_mailbox_provider: dict[str, Figures]
    timeline: tuple[Moment, ...]
    last_accepted_at: datetime | None

    @property
    def seconds_to_accept(self) -> float | None:
        """From the run's start to the ESP's last acceptance."""
        if self.last_accepted_at is None:
            return None
        return (self.last_accepted_at - self.run.created_at).total_seconds()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of the list of runs."""

    run: Run
    total: Figures
