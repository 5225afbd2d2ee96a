"""What the ESP says against what we hold: differences, and the one explanation of each.

Pure. A gap is cut into portions, each with exactly one explanation, taken in the order of how well each is founded; what
no explanation covers is `unexplained`, and more of that than the alarm allows fails the night.

Sources of the times: SendGrid retries mail for 72 hours and webhooks for 24 (facts/esp-contracts.md 4.1, 4.2).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

ON_ITS_WAY_FOR = timedelta(hours=72)
WEBHOOKS_RETRIED_FOR = timedelta(hours=24)
# Of an hour's mail through one ESP: so many messages, and so large a share of them without an end, is an outage of its
# webhooks. Mail alone is never as slow as that: nine tenths of it ends within minutes.
_OUTAGE_LEAST = 10
_OUTAGE_SHARE = 0.9


class Kind(StrEnum):
    """What differs."""

    SILENT = "accepted, no event"
    UNFINISHED = "accepted, no end"
    STRAY = "event without message"
    COUNT = "count of a day"
    SUPPRESSION = "suppression"
    UNKNOWN = "unknown batch"
    HELD = "held batch"


class Explanation(StrEnum):
    """Why it differs."""

    OUTAGE = "webhook outage"
    ON_ITS_WAY = "still on its way"
    SCHEDULED = "scheduled for later"
    TEST = "test: the ESP checked it and sent nothing"
    PAST_US = "sent past us"
    DAY_EDGE = "edge of the ESP's day"
    LATE_EVENTS = "events still come"
    FIGURES_BEHIND = "the ESP's figures are behind"
    RULES = "the ESP's own rules for opens and clicks"
    MACHINES = "opens by machines, which the ESP leaves out"
    SEEDS = "seed messages"
    CANCELLED = "a schedule was cancelled"
    WAITING = "unknown, waits for a proof"
    HELD = "held: possibly sent"
    NO_ID = "bounce without an id"
    OF_NO_MAIL = "tells of a list or an account, and of no mail"
    LISTED = "on the ESP's list"
    NOT_TAKEN = "a refusal of ours that the ESP does not take"
    LIFTED = "lifted here, and still on the ESP's list"
    UNEXPLAINED = "unexplained"


# What a person must do about what was not repaired; of all others nothing.
TO_DO: Mapping[Explanation, str] = {
    Explanation.OUTAGE: "See that the ESP's webhook reaches the gateway. What the look-up could not bring back stays open.",
    Explanation.PAST_US: "Find out who sends by this ESP account without the engine: suppressions and caps do not hold there.",
    Explanation.TEST: "Switch the ESP's sandbox mode off: this mail never went out.",
    Explanation.HELD: "Nothing is sent again. If the campaign must reach them, decide it by hand: `campaigns explain`.",
    Explanation.LIFTED: "Take her off there, too (`campaigns suppressions remove --at-esp`): until then the ESP drops her mail.",
    Explanation.UNEXPLAINED: "Look into it: docs/reconciliation.md says how.",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """`count` messages, events, addresses or batches that differ for one reason; `repaired` of them were put right.

    `here` and `there`: the two figures that were compared, where there are two.
    """

    kind: Kind
    provider: str
    day: date
    count: int
    explanation: Explanation
    account_id: str | None = None
    run_id: str | None = None
    campaign: str | None = None
    measure: str | None = None
    here: int | None = None
    there: int | None = None
    repaired: int = 0
    detail: str = ""

    @property
    def left(self) -> int:
        return self.count - self.repaired

    @property
    def to_do(self) -> str | None:
        """What a person must do, if anything."""
        return TO_DO.get(self.explanation) if self.left else None


@dataclass(frozen=True, slots=True)
class Accepted:
    """One attempt that the ESP accepted, and what is known of its messages."""

    provider: str
    account_id: str
    run_id: str
    campaign: str
    attempt_id: str
    went_at: datetime  # when the ESP took it, or was to let it go
    messages: int
    silent: int  # no event at all
    unfinished: int  # events, but neither delivered nor bounced nor dropped
    checked_only: bool = False  # the ESP's sandbox mode: it never went out

    @property
    def missing(self) -> int:
        return self.silent + self.unfinished


def outages(accepted: Iterable[Accepted], *, ended_before: datetime) -> frozenset[tuple[str, datetime]]:
    """The hours (provider, beginning) whose mail almost all is without an end: nobody told us."""
    messages: dict[tuple[str, datetime], int] = {}
    missing: dict[tuple[str, datetime], int] = {}
    for one in accepted:
        if one.went_at > ended_before or one.checked_only:
            continue
        hour = (one.provider, hour_of(one.went_at))
        messages[hour] = messages.get(hour, 0) + one.messages
        missing[hour] = missing.get(hour, 0) + one.missing
    return frozenset(
        hour
        for hour, count in messages.items()
        if missing[hour] >= _OUTAGE_LEAST and missing[hour] >= _OUTAGE_SHARE * count
    )


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour."""
    return at.replace(minute=0, second=0, microsecond=0)


def why_missing(one: Accepted, out: Collection[tuple[str, datetime]], now: datetime) -> Explanation:
    """Why nothing, or no end, is known of messages of an attempt."""
    if one.checked_only:
        return Explanation.TEST
    if one.went_at > now:
        return Explanation.SCHEDULED
    if (one.provider, hour_of(one.went_at)) in out:
        return Explanation.OUTAGE
    return Explanation.ON_ITS_WAY if now - one.went_at < ON_ITS_WAY_FOR else Explanation.UNEXPLAINED


def missing(
    before: Sequence[Accepted],
    after: Mapping[str, Accepted],
    out: Collection[tuple[str, datetime]],
    *,
    silent_before: datetime,
    now: datetime,
) -> list[Difference]:
    """One difference a run, hour, kind and explanation. `after`: the same attempts by id, as they are once repaired.

    Mail younger than `silent_before` says nothing yet.
    """
    found: dict[tuple[object, ...], Difference] = {}
    for one in before:
        if not one.missing or (one.went_at > silent_before and not one.checked_only):
            continue
        now_known = after.get(one.attempt_id, one)
        explanation = why_missing(one, out, now)
        for kind, was, left in (
            (Kind.SILENT, one.silent, min(one.silent, now_known.silent)),
            # What was silent and has now an event but no end is unfinished: of these no more count as repaired.
            (Kind.UNFINISHED, one.unfinished, min(one.unfinished, now_known.unfinished)),
        ):
            if was:
                key = (kind, one.provider, one.run_id, hour_of(one.went_at), explanation)
                _add(found, key, _of(one, kind, was, was - left, explanation))
    return list(found.values())


def _of(one: Accepted, kind: Kind, count: int, repaired: int, explanation: Explanation) -> Difference:
    return Difference(
        kind,
        one.provider,
        one.went_at.date(),
        count,
        explanation,
        account_id=one.account_id,
        run_id=one.run_id,
        campaign=one.campaign,
        repaired=repaired,
        detail=f"accepted in the hour from {hour_of(one.went_at):%H:%M} UTC",
    )


def _add(found: dict[tuple[object, ...], Difference], key: tuple[object, ...], one: Difference) -> None:
    known = found.get(key)
    total = (0, 0) if known is None else (known.count, known.repaired)
    found[key] = replace(one, count=total[0] + one.count, repaired=total[1] + one.repaired)


def portions(gap: int, allowances: Iterable[tuple[Explanation, int]]) -> list[tuple[Explanation, int]]:
    """Cut a gap (0 or more) into parts, each with one explanation; they add up to the gap."""
    parts: list[tuple[Explanation, int]] = []
    for explanation, most in allowances:
        part = min(gap, max(most, 0))
        if part:
            parts.append((explanation, part))
            gap -= part
    return [*parts, (Explanation.UNEXPLAINED, gap)] if gap else parts


@dataclass(frozen=True, slots=True)
class Strays:
    """Events of one day and kind that tell of no message of ours."""

    provider: str
    day: date
    kind: str
    events: int


def strays(found: Iterable[Strays], *, seeds: Mapping[date, int], foreign: bool) -> list[Difference]:
    """`seeds`: how many events the seed messages of a day may have made. `foreign`: the ESP counts mail past us."""
    left = dict(seeds)
    differences = []
    for one in found:
        of_seeds = min(one.events, left.get(one.day, 0))
        left[one.day] = left.get(one.day, 0) - of_seeds
        allowances = [
            (Explanation.SEEDS, of_seeds),
            (Explanation.NO_ID, one.events if one.kind == "bounced" else 0),
            (Explanation.OF_NO_MAIL, one.events if one.kind == "unknown" else 0),
            (Explanation.PAST_US, one.events if foreign else 0),
            # Whoever leaves by a page of the ESP's own, or is taken off its list there, left no mail.
            (Explanation.OF_NO_MAIL, one.events if one.kind == "unsubscribed" else 0),
        ]
        differences += [
            Difference(Kind.STRAY, one.provider, one.day, part, why, measure=one.kind)
            for why, part in portions(one.events, allowances)
        ]
    return differences


def unexplained(differences: Iterable[Difference]) -> int:
    """How much is left that nobody can explain."""
    return sum(one.left for one in differences if one.explanation is Explanation.UNEXPLAINED)
