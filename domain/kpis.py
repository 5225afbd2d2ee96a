"""The key figures of mail, each defined once: what is counted, divided by what, and what it means to a marketer.

Everything that shows a figure (pages, artifacts, commands, docs/kpis.md) takes it from here. A day's figures are those
of the mail that was handed over on that day, whenever the answers came: a late bounce changes an earlier day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.delivery import BounceClass, Fault
from domain.latencies import Latencies
from domain.rates import Lines, Rate, Verdict

GOOGLE = "Google, support.google.com/a/answer/14229414: keep below 0.1 %, never reach 0.3 %"
OWN_AIM = "this engine's own aim"

_PLAIN = ("accepted", "delivered", "deferred", "dropped", "complained", "unsubscribed")
_REACTED = ("opened_unique", "opened_human", "clicked_unique", "clicked_human")
_BY_CLASS = {f"bounced_{one}": one.value for one in BounceClass}
_BY_FAULT = {f"fault_{one}": one.value for one in Fault}
# Every count by a name of its own: the columns in which they are kept.
COUNTS = (*_PLAIN, *_BY_CLASS, *_BY_FAULT, *_REACTED)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of messages (each counted once, however often an event came), and the rates made of them."""

    accepted: int = 0
    delivered: int = 0
    bounced: dict[str, int] = field(default_factory=dict)  # by bounce class; a late bounce takes its delivery back
    deferred: int = 0  # put off by the mailbox provider, and nothing else known since
    dropped: int = 0
    complained: int = 0
    unsubscribed: int = 0
    opened_unique: int = 0  # with machine opens: prefetching proxies such as Apple's
    opened_human: int = 0
    clicked_unique: int = 0  # with machine clicks: scanners that look behind every link
    clicked_human: int = 0
    faults: dict[str, int] = field(default_factory=dict)  # of the bounced, by whose fault it was

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Figures":
        """Figures out of counts by their names in COUNTS; a name that is missing counts 0."""
        plain = {name: counts.get(name, 0) for name in (*_PLAIN, *_REACTED)}
        return cls(
            **plain,
            bounced={word: count for name, word in _BY_CLASS.items() if (count := counts.get(name, 0))},
            faults={word: count for name, word in _BY_FAULT.items() if (count := counts.get(name, 0))},
        )

    def counts(self) -> dict[str, int]:
        """The inverse of `of`: every count by its name."""
        plain = {name: getattr(self, name) for name in (*_PLAIN, *_REACTED)}
        bounced = {name: self.bounced.get(word, 0) for name, word in _BY_CLASS.items()}
        return plain | bounced | {name: self.faults.get(word, 0) for name, word in _BY_FAULT.items()}

    def __add__(self, other: "Figures") -> "Figures":
        mine, theirs = self.counts(), other.counts()
        return Figures.of({name: mine[name] + theirs[name] for name in COUNTS})

    @property
    def on_its_way(self) -> int:
        """Accepted, and neither delivered nor refused yet: those that were put off are among them."""
        return max(0, self.accepted - self.delivered - sum(self.bounced.values()) - self.dropped)

    @property
    def deliverability(self) -> float | None:
        return DELIVERABILITY.of(self).value

    @property
    def bounce_rate(self) -> float | None:
        return BOUNCE_RATE.of(self).value

    @property
    def complaint_rate(self) -> float | None:
        return COMPLAINT_RATE.of(self).value

    @property
    def unsubscribe_rate(self) -> float | None:
        return UNSUBSCRIBE_RATE.of(self).value

    @property
    def human_open_rate(self) -> float | None:
        return HUMAN_OPEN_RATE.of(self).value

    @property
    def click_rate(self) -> float | None:
        return CLICK_RATE.of(self).value

    @property
    def human_click_rate(self) -> float | None:
        return HUMAN_CLICK_RATE.of(self).value


@dataclass(frozen=True, slots=True)
class Measured:
    """All that is known of a group of mails. `rules`: by which versions people were told from machines."""

    figures: Figures = field(default_factory=Figures)
    to_inbox: Latencies = field(default_factory=Latencies)
    handling: Latencies = field(default_factory=Latencies)
    hand_over_seconds: float = 0.0  # of several runs the sum
    handed_over: int = 0  # the messages that this took
    rules: frozenset[int] = frozenset()

    @property
    def per_second(self) -> float | None:
        """Messages a second; None where no time was measured."""
        return self.handed_over / self.hand_over_seconds if self.hand_over_seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key figure. `numerator` and `denominator` name the counts that are summed; a duration has neither."""

    name: str
    label: str
    over: str  # the numerator, in words
    under: str  # the denominator, in words; empty for a duration
    unit: str
    meaning: str
    source: str  # where the counts come from
    numerator: tuple[str, ...] = ()
    denominator: tuple[str, ...] = ()
    lines: Lines | None = None
    digits: int = 1  # decimals of a percentage that are shown

    def of(self, figures: Figures) -> Rate:
        """The rate in these figures. Raises ValueError for a figure that is no rate."""
        if not self.denominator:
            raise ValueError(f"{self.name} is no rate: it is measured in {self.unit}")
        counts = figures.counts()
        return Rate(sum(counts[one] for one in self.numerator), sum(counts[one] for one in self.denominator))

    def verdict(self, rate: Rate) -> Verdict:
        """How the rate stands to the lines: a warning only where the sample is large enough to be sure of it."""
        return Verdict.NONE if self.lines is None else self.lines.judge(rate)


_EVENTS = "the sending service's events, one state a message (data/deliveries.py)"
_ACCEPTED = "mails that the sending service accepted"
_DELIVERED = "mails delivered and not bounced later"


def _rate(
    name: str, label: str, over: str, counts: str | tuple[str, ...], of: str, meaning: str, **more: object
) -> Kpi:
    """A rate in per cent of the accepted or of the delivered."""
    under = _ACCEPTED if of == "accepted" else _DELIVERED
    numerator = (counts,) if isinstance(counts, str) else counts
    facts = {"source": _EVENTS, "under": under, "numerator": numerator, "denominator": (of,), "unit": "%", **more}
    return Kpi(name=name, label=label, over=over, meaning=meaning, **facts)  # type: ignore[arg-type]


DELIVERABILITY = _rate(
    "deliverability",
    "Deliverability",
    _DELIVERED,
    "delivered",
    "accepted",
    "How much of the mail the mailbox providers took. Delivered is not the same as in the inbox: nobody can see that."
    " Look at it by mailbox provider: trouble nearly always begins at one of them.",
    lines=Lines(0.98, 0.95, OWN_AIM),
)
BOUNCE_RATE = _rate(
    "bounce_rate",
    "Bounced",
    "mails that came back, at once or later",
    tuple(_BY_CLASS),
    "accepted",
    "Mail that a mailbox provider refused. Much of it means old addresses, or a provider that mistrusts the sender:"
    " the rates by class and by fault say which.",
    lines=Lines(0.02, 0.05, OWN_AIM),
)
_CLASS_MEANING = {
    BounceClass.HARD: "The address does not exist or will never take mail. It is suppressed at once.",
    BounceClass.SOFT: "Not now: a full mailbox, a server that is down. It may work the next time.",
    BounceClass.BLOCK: "The provider refused the sender or the mail, not the address. Nobody is suppressed for it.",
    BounceClass.UNDETERMINED: "The answer did not say what it meant.",
}
_FAULT_MEANING = {
    Fault.RECIPIENT: "The address or its mailbox is the reason. Only this suppresses a person.",
    Fault.SENDER: "Our reputation, authentication or speed is the reason: slow down and mend it.",
    Fault.CONTENT: "What the mail says or links to is the reason: change it before it goes on.",
    Fault.PROVIDER: "Trouble at the mailbox provider itself: wait.",
    Fault.UNKNOWN: "Nobody said whose fault it was.",
}
BOUNCES_BY_CLASS = tuple(
    _rate(
        f"bounce_rate_{one}",
        f"Bounced: {one}",
        f"bounced mails whose worst answer was {one}",
        f"bounced_{one}",
        "accepted",
        meaning,
        digits=2,
    )
    for one, meaning in _CLASS_MEANING.items()
)
BOUNCES_BY_FAULT = tuple(
    _rate(
        f"bounce_fault_{one}",
        f"Bounced, fault: {one}",
        f"bounced mails whose fault was {one}",
        f"fault_{one}",
        "accepted",
        meaning,
        digits=2,
    )
    for one, meaning in _FAULT_MEANING.items()
)
PUT_OFF = _rate(
    "put_off",
    "Put off",
    "mails that a mailbox provider put off and of which nothing else is known yet",
    "deferred",
    "accepted",
    "Come again later, a mailbox provider said. It goes down by itself as the mail gets in; where it stays, the provider"
    " finds us too fast or mistrusts us.",
)
COMPLAINT_RATE = _rate(
    "complaint_rate",
    "Complained",
    "people who reported the mail as spam",
    "complained",
    "delivered",
    "Of the mail that reached the inbox, how much was called spam. What lands in the spam folder is not told to senders,"
    " so every delivered mail counts as inboxed; the true rate is then higher, never lower. Gmail names no"
    " complaints: its own rate is in Google's Postmaster Tools.",
    lines=Lines(0.001, 0.003, GOOGLE),
    digits=2,
)
UNSUBSCRIBE_RATE = _rate(
    "unsubscribe_rate",
    "Unsubscribed",
    "people who unsubscribed by this mail",
    "unsubscribed",
    "delivered",
    "People who had enough, and said so the polite way. Better than a complaint.",
    digits=2,
)
OPEN_RATE = _rate(
    "open_rate",
    "Opened, machines included",
    "mails that were opened by anybody or anything",
    "opened_unique",
    "delivered",
    "Every opened mail, each counted once. Apple Mail opens mail before its owner does, so this is far too high;"
    " it is kept to compare with other tools.",
)
HUMAN_OPEN_RATE = _rate(
    "human_open_rate",
    "Opened by a person",
    "mails that were opened by a person, as far as the rules tell (domain/machine_activity.py)",
    "opened_human",
    "delivered",
    "Opens without Apple's privacy opens, scanners and bots. A person whose mail program loads no images opens unseen,"
    " so compare campaigns with it, but do not take it for the number of readers.",
)
CLICK_RATE = _rate(
    "click_rate",
    "Clicked, machines included",
    "mails in which any link was followed by anybody or anything",
    "clicked_unique",
    "delivered",
    "Every mail with a click, each counted once. Security scanners follow links before the mail is shown.",
)
HUMAN_CLICK_RATE = _rate(
    "human_click_rate",
    "Clicked by a person",
    "mails in which a person followed a link, as far as the rules tell (domain/machine_activity.py)",
    "clicked_human",
    "delivered",
    "The best sign of interest: people who wanted more. Links to unsubscribe do not count.",
)
CLICK_TO_OPEN = Kpi(
    name="click_to_open",
    label="Click to open",
    over="mails in which a person followed a link",
    under="mails that were opened by a person",
    unit="%",
    meaning="Of those who opened, how many wanted more: it judges the content, not the subject line. It may exceed 100 %"
    " where people click without loading images.",
    source=_EVENTS,
    numerator=("clicked_human",),
    denominator=("opened_human",),
)
RATES = (
    DELIVERABILITY,
    BOUNCE_RATE,
    *BOUNCES_BY_CLASS,
    *BOUNCES_BY_FAULT,
    PUT_OFF,
    COMPLAINT_RATE,
    UNSUBSCRIBE_RATE,
    OPEN_RATE,
    HUMAN_OPEN_RATE,
    CLICK_RATE,
    HUMAN_CLICK_RATE,
    CLICK_TO_OPEN,
)
TIME_TO_INBOX = Kpi(
    name="time_to_inbox",
    label="Time to inbox",
    over="seconds from the sending service's acceptance (or the time it was told to send at) to the delivery",
    under="",
    unit="seconds (median, 95th percentile)",
    meaning="How long a mail was under way. Minutes are usual; hours mean that a mailbox provider puts us off.",
    source="acceptance in the ledger, first delivery event; counted in classes: at most an eighth too long, never too short",
)
BOUNCE_HANDLING = Kpi(
    name="bounce_handling",
    label="Bounce handling",
    over="seconds from the time of a bounce that suppresses to the suppression in force",
    under="",
    unit="seconds (median, 95th percentile, longest)",
    meaning="How long somebody whose address is dead could still have been mailed. Two hours is the floor, seconds the"
    " aim.",
    source="the event's own time, and the time at which it was applied (data/reactions.py)",
    lines=Lines(60, 7200, "two hours is the floor, a minute is " + OWN_AIM),
)
HAND_OVER = Kpi(
    name="hand_over",
    label="Hand-over",
    over="seconds from the claim of a run's first batch to its last acceptance; of several runs the sum",
    under="",
    unit="seconds; accepted messages a second",
    meaning="How long it took to give the mail to the sending service. Pauses, quiet hours and pace count.",
    source="the ledger: batch_attempts.claimed_at, batches.finished_at",
)
DURATIONS = (TIME_TO_INBOX, BOUNCE_HANDLING, HAND_OVER)
ALL = {one.name: one for one in (*RATES, *DURATIONS)}


class UnknownKpi(LookupError):
    """No key figure has this name; the message lists those there are."""


def named(name: str) -> Kpi:
    """The figure of this name; dashes are as good as underscores. Raises UnknownKpi."""
    found = ALL.get(name.replace("-", "_").lower())
    if found is None:
        raise UnknownKpi(f"there is no figure {name!r}; there are: {', '.join(ALL)}")
    return found
