"""What is reported of a campaign run: figures with stated formulas, and the views a marketer reads."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.campaigns import Run


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of messages (each counted once, however often an event came), and the rates made of them."""

    accepted: int = 0
    delivered: int = 0
    bounced: dict[str, int] = field(default_factory=dict)  # by bounce class; a late bounce takes its delivery back
    dropped: int = 0
    complained: int = 0
    unsubscribed: int = 0
    opened_unique: int = 0  # with machine opens: prefetching proxies such as Apple's
    opened_human: int = 0
    clicked_unique: int = 0

    @property
    def deliverability(self) -> float | None:
        """Delivered and not bounced later, divided by accepted. Delivered is not inboxed: nobody can see that."""
        return _ratio(self.delivered, self.accepted)

    @property
    def bounce_rate(self) -> float | None:
        return _ratio(sum(self.bounced.values()), self.accepted)

    @property
    def complaint_rate(self) -> float | None:
        """Complaints divided by delivered, as mailbox providers reckon it: keep below 0.1 %, never reach 0.3 %."""
        return _ratio(self.complained, self.delivered)

    @property
    def human_open_rate(self) -> float | None:
        return _ratio(self.opened_human, self.delivered)

    @property
    def click_rate(self) -> float | None:
        return _ratio(self.clicked_unique, self.delivered)

    def lines(self) -> list[tuple[str, int, str]]:
        """What happened after acceptance, to be read by people: label, count, rate (empty where there is none)."""
        return [
            ("delivered", self.delivered, percent(self.deliverability)),
            *((f"bounced: {name}", count, "") for name, count in sorted(self.bounced.items())),
            ("dropped by the ESP", self.dropped, ""),
            ("complained", self.complained, percent(self.complaint_rate, digits=2)),
            ("unsubscribed", self.unsubscribed, ""),
            ("opened, machines included", self.opened_unique, ""),
            ("opened by a person", self.opened_human, percent(self.human_open_rate)),
            ("clicked", self.clicked_unique, percent(self.click_rate)),
        ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


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
    """One line of the list of runs. Of a settled run the figures are those stored last."""

    run: Run
    total: Figures
