"""The circuit breaker of one ESP and stream: is it well enough to be given more mail?

It judges the ESP's health and nothing else (facts D34, D41). What the ESP refuses (400), how fast it wants its mail
(429, the buckets' business) and whatever we ended ourselves say nothing of that. The state is a value: the ledger's
database keeps it, so that all workers share one breaker and a restart forgets nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.ledger import Outcome, OutcomeKind

# SendGrid lets at most 10 batches be cancelled at a time, and each unknown one of a two-phase run needs that. Three,
# and those that were under way when the third came (8 requests at once), stay about within it.
UNKNOWNS_TO_OPEN = 3
# Nothing was sent, so nothing is lost by a little patience: a resolver or a load balancer that hiccups is no outage.
FAILURES_TO_OPEN = 5
PROBE_EVERY = timedelta(seconds=30)  # at most one probe in this time, however the ESP flaps (D41)
LONGEST_COOL_DOWN = timedelta(minutes=10)


class BreakerState(StrEnum):
    """CLOSED: mail goes. OPEN: none goes. HALF_OPEN: one batch is out to see whether it goes again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Leave(StrEnum):
    """Whether a batch may go this way now. PROBE: one small one may, for whoever takes it by `probing`."""

    YES = "yes"
    PROBE = "probe"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Breaker:
    """How an ESP fares. A new one is closed.

    `failures`: requests that reached nobody since the last answer; `unknowns`: those without a clear answer since
    then; `openings`: how often it opened in this spell of trouble. `probe_at`: when it may be tried (again); while
    closed, the end of the spell: opening before that waits longer than the time before. `reason`: why it opened, for
    people.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    unknowns: int = 0
    openings: int = 0
    probe_at: datetime | None = None
    reason: str | None = None


def leave(breaker: Breaker, now: datetime) -> Leave:
    """Say whether a batch may go. A half-open breaker is tried again after a while: the prober may have died."""
    if breaker.state is BreakerState.CLOSED:
        return Leave.YES
    return Leave.PROBE if breaker.probe_at is None or breaker.probe_at <= now else Leave.NO


def probing(breaker: Breaker, now: datetime) -> Breaker:
    """Somebody took the probe: nobody else does for PROBE_EVERY."""
    return replace(breaker, state=BreakerState.HALF_OPEN, probe_at=now + PROBE_EVERY)


def after(breaker: Breaker, outcome: Outcome, now: datetime) -> Breaker:
    """Return the breaker as it is after one outcome.

    While it is open, what comes are the last requests from before: they neither open it again nor close it. While it
    is half open, a late failure from before counts as the probe's: that errs on the side of one more pause.
    """
    if breaker.state is BreakerState.OPEN or outcome.local:
        return breaker
    if outcome.stop_provider:
        return _opened(breaker, "the ESP refuses us altogether", outcome, now)
    if outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.REJECTED}:
        return _answered(breaker, now)
    if outcome.kind is OutcomeKind.UNKNOWN:
        counted = replace(breaker, unknowns=breaker.unknowns + 1)
    elif outcome.status is None:
        counted = replace(breaker, failures=breaker.failures + 1)
    else:
        return breaker  # 429: it is well, only busy; no proof of health for a half-open breaker either
    return _judged(counted, outcome, now)


def _judged(breaker: Breaker, outcome: Outcome, now: datetime) -> Breaker:
    if breaker.state is BreakerState.HALF_OPEN:
        return _opened(breaker, "the probe failed", outcome, now)
    if breaker.unknowns >= UNKNOWNS_TO_OPEN:
        return _opened(breaker, f"{breaker.unknowns} requests without a clear answer", outcome, now)
    if breaker.failures >= FAILURES_TO_OPEN:
        return _opened(breaker, f"{breaker.failures} requests reached nobody", outcome, now)
    return breaker


def _answered(breaker: Breaker, now: datetime) -> Breaker:
    """It answers, so it is well; an ESP that had to be probed is on trial for as long as its pause was."""
    if breaker.state is BreakerState.HALF_OPEN:
        return Breaker(openings=breaker.openings, probe_at=now + cool_down(breaker.openings))
    on_trial = breaker.probe_at is not None and now < breaker.probe_at
    return replace(breaker, failures=0, unknowns=0) if on_trial else Breaker()


def _opened(breaker: Breaker, why: str, outcome: Outcome, now: datetime) -> Breaker:
    on_trial = breaker.probe_at is not None and now < breaker.probe_at
    openings = breaker.openings + 1 if breaker.state is BreakerState.HALF_OPEN or on_trial else 1
    return Breaker(
        BreakerState.OPEN,
        openings=openings,
        probe_at=now + cool_down(openings),
        reason=f"{why}: {outcome.detail}" if outcome.detail else why,
    )


def cool_down(openings: int) -> timedelta:
    """How long it stays open: 30 s after the first opening of a spell, doubled with each, at most 10 minutes."""
    return min(PROBE_EVERY * (1 << min(max(openings - 1, 0), 10)), LONGEST_COOL_DOWN)
