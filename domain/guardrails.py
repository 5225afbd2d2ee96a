"""Guardrails: the canary that goes first, the rates that slow or stop a mailbox group, and volumes that follow results.

Whose figures these are. Amazon SES reviews an account at 5 % hard bounces or 0.1 % complaints and pauses it at 10 % or
0.5 %; SendGrid asks for less than 5 % bounces; Gmail wants less than 0.10 % of spam reports and never 0.30 %
(support.google.com/a/answer/81126). We stop before they do: facts/reliability.md, E43.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from functools import reduce
from typing import Any

from domain import proportions
from domain.policy import SendingPolicy


class CanaryState(StrEnum):
    """How the first few of a run fared. Breached: the run waits for a person. Overruled: a person let it go on."""

    WATCHING = "watching"
    PASSED = "passed"
    BREACHED = "breached"
    OVERRULED = "overruled"


@dataclass(frozen=True, slots=True)
class Results:
    """What came back of mail that an ESP accepted; each message counts once in each figure.

    `heard`: of which a mailbox provider's answer or a person's act is known. `blocked`: refused because of us (a block
    bounce, or the ESP dropped it for content or sender). `deferred`: put off, and neither delivered nor refused since.
    """

    accepted: int = 0
    heard: int = 0
    delivered: int = 0
    hard: int = 0
    blocked: int = 0
    deferred: int = 0
    complained: int = 0

    def __add__(self, other: "Results") -> "Results":
        return Results(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def total(results: Iterable[Results]) -> Results:
    """All of them together."""
    return reduce(Results.__add__, results, Results())


@dataclass(frozen=True, slots=True)
class _Measure:
    """One thing that is watched. `fine`, `bad`: shares, of what is counted in `of`; see the tables below."""

    words: str
    bad_ones: tuple[str, ...]
    of: str
    fine: float
    bad: float

    def count(self, results: Results) -> int:
        return sum(getattr(results, name) for name in self.bad_ones)

    def whole(self, results: Results) -> int:
        # A complaint may come of a message whose delivery was never told.
        return max(int(getattr(results, self.of)), self.count(results))

    def share(self, results: Results) -> float:
        whole = self.whole(results)
        return self.count(results) / whole if whole else 0.0

    def said(self, results: Results) -> str:
        """Words and figures, such as: hard bounces 6.00 % (30 of 500)."""
        return f"{self.words} {self.share(results):.2%} ({self.count(results):,} of {self.whole(results):,})"


# --- the canary ------------------------------------------------------------------------------------------------------

# Of a healthy list about 1 % bounces hard; at 5 % SES reviews the sender and SendGrid objects. Up to 2 % of deferrals is
# grey-listing; a tenth put off or blocked means that the mailbox providers do not want this mail. Gmail's 0.1 and 0.3 %.
_BOUNCES = _Measure("hard bounces", ("hard",), "heard", 0.01, 0.05)
_REFUSALS = _Measure("deferrals and blocks", ("deferred", "blocked"), "heard", 0.02, 0.10)
_COMPLAINTS = _Measure("complaints", ("complained",), "delivered", 0.001, 0.003)
_STOPPING_BOUNCES = _Measure("hard bounces", ("hard",), "heard", 0.02, 0.05)  # of a whole run: E43
_CANARY = (_BOUNCES, _REFUSALS, _COMPLAINTS)
# Complaints come hours later: their absence in the first half hour tells nothing, so it is not waited for.
_MUST_BE_FINE = (_BOUNCES, _REFUSALS)
_FALSE_BREACH = 0.01
_FALSE_PASS = 0.05
_BREACH_AT = math.log((1 - _FALSE_PASS) / _FALSE_BREACH)
_FINE_AT = math.log(_FALSE_PASS / (1 - _FALSE_BREACH))
# Of fewer than half nothing follows for the rest: those that are not heard of may be the ones that are in trouble.
_HEARD_ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """What is known of a canary, in words and in figures."""

    state: CanaryState
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)


def canary_size(planned: int, policy: SendingPolicy) -> int:
    """How many go first; 0: everybody at once.

    A small audience has none: of 2 % of a few thousand people nothing could be said within an acceptable error.
    """
    if planned <= policy.canary_above:
        return 0
    return math.ceil(planned * policy.canary_percent / 100)


def judge_canary(results: Results, *, waited: timedelta, policy: SendingPolicy) -> CanaryVerdict:
    """Wald's sequential probability ratio test (A. Wald, Sequential Analysis, 1947) of each measure.

    A measure is bad once ln((1 - beta) / alpha) is reached, fine once ln(beta / (1 - alpha)) is; alpha = 1 % is the
    chance to stop a measure that is as good as `fine`, beta = 5 % to pass one that is as bad as `bad`. One bad measure
    breaches. It passes when bounces and refusals are fine and at least half was heard of. `waited`: since the last of
    it went out. After `canary_minutes` the test is cut short by Wald's rule: what is nearer to bad than to fine is bad.
    Fewer heard of than half by then breaches too: where events do not come, silence proves nothing.
    """
    ratios = {one.words: _ratio(one, results) for one in _CANARY}
    figures = _canary_figures(results, ratios, waited)
    bad = [one for one in _CANARY if ratios[one.words] >= _BREACH_AT]
    if bad:
        return CanaryVerdict(CanaryState.BREACHED, _breach_words(bad, results), figures)
    heard_enough = results.heard >= max(_HEARD_ENOUGH * results.accepted, 1)
    if heard_enough and all(ratios[one.words] <= _FINE_AT for one in _MUST_BE_FINE):
        return CanaryVerdict(CanaryState.PASSED, f"the canary fares well: {_all_said(results)}", figures)
    if waited < timedelta(minutes=policy.canary_minutes):
        heard = f"{results.heard:,} of {results.accepted:,} heard of so far"
        return CanaryVerdict(CanaryState.WATCHING, f"{heard}: {_all_said(results)}", figures)
    if not heard_enough:
        words = (
            f"after {policy.canary_minutes} minutes only {results.heard:,} of the canary's {results.accepted:,} messages"
            " were heard of: either they do not arrive or the ESP's events do not, and silence proves nothing"
        )
        return CanaryVerdict(CanaryState.BREACHED, words, figures)
    nearer_to_bad = [one for one in _CANARY if ratios[one.words] > 0]
    if nearer_to_bad:
        return CanaryVerdict(CanaryState.BREACHED, _breach_words(nearer_to_bad, results), figures)
    return CanaryVerdict(CanaryState.PASSED, f"nothing bad was seen: {_all_said(results)}", figures)


def _ratio(measure: _Measure, results: Results) -> float:
    """The log of how much likelier the count is under `bad` than under `fine`."""
    count, whole = measure.count(results), measure.whole(results)
    of_bad_one = math.log(measure.bad / measure.fine)
    of_good_one = math.log((1 - measure.bad) / (1 - measure.fine))
    return count * of_bad_one + (whole - count) * of_good_one


def _breach_words(bad: Iterable[_Measure], results: Results) -> str:
    return "; ".join(f"{one.said(results)}, where {one.fine:.1%} is usual and {one.bad:.1%} is bad" for one in bad)


def _all_said(results: Results) -> str:
    return ", ".join(one.said(results) for one in _CANARY)


def _canary_figures(results: Results, ratios: dict[str, float], waited: timedelta) -> dict[str, Any]:
    return {
        **asdict(results),
        "waited_minutes": round(waited.total_seconds() / 60, 1),
        "log_ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "breach_at": round(_BREACH_AT, 3),
        "fine_at": round(_FINE_AT, 3),
    }


# --- rates during the run --------------------------------------------------------------------------------------------


class GuardAction(StrEnum):
    """What becomes of a mailbox group of a run."""

    NONE = "none"
    SLOW = "slow"
    PAUSE = "pause"


# What a brake leaves of the pace.
FACTOR = {GuardAction.NONE: 1.0, GuardAction.SLOW: 0.5, GuardAction.PAUSE: 0.0}
# Blocks and deferrals are judged over mail that went out within this time; everything else over all of it as well.
RECENT = timedelta(minutes=15)
# Fewer are no rate (E43).
LEAST_HEARD = 500
# Five complaints among 700 have a lower bound above 0.3 %; at half that rate, looked at every minute, 7 of 1,000
# simulated streams came to that by chance. With eight as the least, none of 3,000 did.
_LEAST_BAD = 8
# So long does Yahoo put a sender off who gets [TSS04] (facts/reliability.md, E45); a block seldom lifts sooner.
_BLOCK_LASTS = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Guard:
    """What to do about a mailbox group. `lasts`: a pause that ends by itself; None: it is for a person to lift."""

    action: GuardAction
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    lasts: timedelta | None = None


_ALL, _RECENT = "of this run", "in 15 minutes"
# Measure (`fine`: from here on slow, `bad`: from here on pause), over what it is judged, and how long a pause lasts.
# Complaints come hours after the mail, so there are none of recent mail. Deferrals alone never pause: the ESP tries
# again for three days, it must only not be given more.
_RATES = (
    (_COMPLAINTS, (_ALL,), None),
    (_STOPPING_BOUNCES, (_ALL, _RECENT), None),
    (_Measure("blocks", ("blocked",), "heard", 0.10, 0.10), (_RECENT,), _BLOCK_LASTS),
    (_Measure("deferrals and blocks", ("deferred", "blocked"), "heard", 0.10, math.inf), (_RECENT,), None),
)


def rate_guard(results: Results, recent: Results) -> Guard:
    """Judge a mailbox group of a run by all of its mail, and by what went out within RECENT; the worst counts.

    Hard bounces from 2 % slow, from 5 % pause; complaints from 0.1 % slow, from 0.3 % pause; blocks from 10 % of the
    recent mail pause, deferrals and blocks from 10 % slow (E43). A rate is reached when the lower bound of its Wilson
    interval is, and never by fewer than 500 messages or 8 bad ones.
    """
    seen = {_ALL: results, _RECENT: recent}
    found = [_judged(measure, lasts, seen[when], when) for measure, over, lasts in _RATES for when in over]
    return min(found, key=lambda one: (FACTOR[one.action], one.lasts is not None))


def _judged(measure: _Measure, lasts: timedelta | None, seen: Results, when: str) -> Guard:
    count, whole = measure.count(seen), measure.whole(seen)
    bound, _ = proportions.bounds(count, whole)
    if whole < LEAST_HEARD or count < _LEAST_BAD or bound < measure.fine:
        return Guard(GuardAction.NONE)
    pauses = bound >= measure.bad
    limit = measure.bad if pauses else measure.fine
    figures = {**asdict(seen), "measure": measure.words, "lower_bound": round(bound, 5), "limit": limit}
    reason = f"{measure.said(seen)} {when}, certainly above {bound:.2%}, where {limit:.1%} is the limit"
    if pauses:
        return Guard(GuardAction.PAUSE, reason, figures, lasts)
    return Guard(GuardAction.SLOW, reason, figures)


# --- volumes that follow results -------------------------------------------------------------------------------------

# Never nothing: of a group that gets no mail nobody would learn that it takes mail again.
_LEAST_VOLUME = 0.1
_FOLLOWED = (_REFUSALS, _STOPPING_BOUNCES, _COMPLAINTS)


def volume_factor(last_days: Results) -> float:
    """What part of its usual pace a mailbox group gets through a pool, by the results of the last seven days.

    1 while every measure is fine, a tenth where one is bad, on a straight line between; by the lower bound of the
    Wilson interval, so that a small number of messages changes nothing.
    """
    if last_days.heard < LEAST_HEARD:
        return 1.0
    return min(_part(one, last_days) for one in _FOLLOWED)


def _part(measure: _Measure, results: Results) -> float:
    bound, _ = proportions.bounds(measure.count(results), measure.whole(results))
    trouble = (bound - measure.fine) / (measure.bad - measure.fine)
    return _LEAST_VOLUME + (1.0 - _LEAST_VOLUME) * (1.0 - min(max(trouble, 0.0), 1.0))
