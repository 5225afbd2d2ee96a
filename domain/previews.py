"""What is known of a selection before anything is sent: counts, money and a masked sample; nobody is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from domain.audience import SENTENCE, SkipReason
from domain.reports import Step


@dataclass(frozen=True, slots=True)
class Size:
    """How many there were as of an instant."""

    as_of: datetime
    members: int


@dataclass(frozen=True, slots=True)
class Money:
    """Net revenue in the account's currency: of the members, and of all customers."""

    members: Decimal
    customers: Decimal

    @property
    def share(self) -> float | None:
        """The members' part of all revenue; None where there is none."""
        return float(self.members / self.customers) if self.customers > 0 else None

    def average(self, members: int) -> Decimal | None:
        """Per member; None where there are no members."""
        return self.members / members if members else None


@dataclass(frozen=True, slots=True)
class Part:
    """So many of the members, and so many of all customers, have one thing in common."""

    label: str
    members: int
    customers: int


@dataclass(frozen=True, slots=True)
class Split:
    """The members by one property. `several`: a person may be in more than one part, so the parts sum to more."""

    name: str
    parts: tuple[Part, ...]
    several: bool = False


@dataclass(frozen=True, slots=True)
class Overlap:
    """`shared` of the members are also in another segment, which has `size` members in all."""

    segment: str
    description: str
    shared: int
    size: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """A live campaign that was sent before: it planned `planned` people, `shared` of whom are members now."""

    run_id: str
    campaign: str
    at: datetime
    shared: int
    planned: int


@dataclass(frozen=True, slots=True)
class Held:
    """So many of those who would get it wait in their zone for the end of quiet hours (UTC)."""

    zone: str
    people: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """One member whom nobody can recognise: first letters, and a few facts."""

    name: str
    country: str
    orders: int
    last_order: date
    net_revenue: Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who would get it if it were sent at that moment: members = planned + all who are left out, each for one reason.

    `skipped`: SkipReason → people, in the order of the reasons.
    """

    planned: int
    skipped: Mapping[str, int]
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """A segment that was asked for: its first sentence, and the arguments in force in words, defaults too."""

    name: str
    description: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: a segment or an expression of segments, in words, and the segments that are left out.

    `segments`: what each segment is that was named, those that are left out at the end.
    """

    segment: str
    sentences: tuple[str, ...]
    without: tuple[str, ...]
    definition_hash: str
    limit: int | None = None
    holdout_percent: int = 0
    segments: tuple[Described, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """A selection before anything is sent.

    `as_of`: the instant of the customers' figures; `made_at`: of the verdict. `trend`: oldest first, this one last.
    `unknown`: what could not be found out, as sentences. `warnings`: what was hardly meant so, such as a category that no
    order names; of an empty selection at least one sentence that says why it may be.
    """

    id: str
    account_id: str
    account_name: str
    currency: str
    question: Question
    as_of: datetime
    made_at: datetime
    members: int
    customers: int
    trend: tuple[Size, ...]
    lifetime: Money
    last_year: Money
    splits: tuple[Split, ...]
    sample: tuple[Sample, ...]
    overlaps: tuple[Overlap, ...]
    earlier: tuple[Earlier, ...]
    verdict: Verdict
    unknown: tuple[str, ...] = ()
    run_id: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """The members' part of all customers; None where there are none."""
        return self.members / self.customers if self.customers else None

    @property
    def change(self) -> int | None:
        """How many more there are than the time before; None where there was none."""
        return self.trend[-1].members - self.trend[-2].members if len(self.trend) > 1 else None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The waterfall: the members, everyone who is left out by reason, and who would get it."""
        left_out = ((SkipReason(code), people) for code, people in self.verdict.skipped.items())
        return (
            Step("members", "in the selection", self.members),
            *(Step(reason, SENTENCE[reason], people) for reason, people in left_out),
            Step("planned", "would get it", self.verdict.planned),
        )


UNKNOWN = "not known"
MAILBOX = "Mailbox provider"  # the split by it
_OTHERS = "all others"
_MOST_PARTS = 10
# Bounds in days, and what those up to there are called.
ENGAGED = ((30, "in the last 30 days"), (90, "30 to 90 days ago"), (365, "90 to 365 days ago"))
ENGAGED_LONG_AGO = "longer ago than a year"
NEVER_ENGAGED = "never, mailed in 90 days"
NOT_MAILED = "never, no mail in 90 days"


def largest(counts: Mapping[str | None, tuple[int, int]]) -> tuple[Part, ...]:
    """The ten largest by members; the rest as one, then those of whom it is not known. Empty parts are left out."""
    unknown = counts.get(None, (0, 0))
    known = sorted(
        ((label, *count) for label, count in counts.items() if label is not None),
        key=lambda one: (-one[1], -one[2], one[0]),
    )
    rest = known[_MOST_PARTS:]
    rows = [*known[:_MOST_PARTS], (_OTHERS, sum(one[1] for one in rest), sum(one[2] for one in rest))]
    rows.append((UNKNOWN, *unknown))
    return tuple(Part(*one) for one in rows if one[1] or one[2])
