"""Canary and rate guards: the error rates that they promise, over seeded streams, and what they do at the edges."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import guardrails
from domain.guardrails import CanaryState, GuardAction, Results
from domain.policy import SendingPolicy

POLICY = SendingPolicy(canary_percent=2, canary_above=25_000, canary_minutes=30)
NOW, LATE = timedelta(0), timedelta(minutes=30)
FINE = {"hard": 0.01, "deferred": 0.02, "complained": 0.001}
_STREAMS = 1000
_LOOKS = 50


def results(heard: int, **bad: int) -> Results:
    """All of it heard of; what is not bad was delivered."""
    refused = sum(bad.get(name, 0) for name in ("hard", "blocked", "deferred"))
    return Results(accepted=heard, heard=heard, delivered=heard - refused, **bad)


def drawn(random: np.random.Generator, heard: int, shares: dict[str, float]) -> Results:
    return results(heard, **{name: int(random.binomial(heard, share)) for name, share in shares.items()})


# --- the canary ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planned", "percent", "size"),
    [(25_000, 2, 0), (25_001, 2, 501), (1_000_000, 1, 10_000), (1_000_000, 5, 50_000), (1_000_000, 0, 0), (0, 2, 0)],
)
def test_a_large_audience_has_a_canary_of_one_to_five_percent(planned: int, percent: float, size: int) -> None:
    assert guardrails.canary_size(planned, replace(POLICY, canary_percent=percent)) == size


@pytest.mark.parametrize("percent", [-1, 5.1, 50])
def test_another_size_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="at most 5"):
        guardrails.canary_size(100, replace(POLICY, canary_percent=percent))


def judged(random: np.random.Generator, shares: dict[str, float]) -> CanaryState:
    """One canary of 2,000 whose events come in ten parts; it is judged after each."""
    seen = Results()
    for part in range(10):
        seen += drawn(random, 200, shares)
        waited = LATE if part == 9 else NOW
        state = guardrails.judge_canary(replace(seen, accepted=2000), waited=waited, policy=POLICY).state
        if state is not CanaryState.WATCHING:
            return state
    raise AssertionError("a canary that nobody judges")


@pytest.mark.parametrize(
    ("shares", "verdict", "at_least"),
    [
        (FINE, CanaryState.PASSED, 0.97),  # three measures, each with 1 %
        ({name: share / 2 for name, share in FINE.items()}, CanaryState.PASSED, 0.999),
        (FINE | {"hard": 0.05}, CanaryState.BREACHED, 0.95),
        (FINE | {"deferred": 0.10}, CanaryState.BREACHED, 0.95),
        (FINE | {"hard": 0.10}, CanaryState.BREACHED, 0.999),
        (FINE | {"complained": 0.02}, CanaryState.BREACHED, 0.95),
    ],
)
def test_canaries_are_judged_within_the_promised_errors(
    shares: dict[str, float], verdict: CanaryState, at_least: float
) -> None:
    random = np.random.default_rng(20261122)
    found = [judged(random, shares) for _ in range(_STREAMS)]
    assert found.count(verdict) / _STREAMS >= at_least


@pytest.mark.parametrize(
    ("seen", "waited", "state", "words"),
    [
        (replace(results(80), accepted=1000), NOW, CanaryState.WATCHING, "80 of 1,000 heard of"),
        (replace(results(499), accepted=1000), LATE, CanaryState.BREACHED, "silence proves nothing"),
        (replace(results(500), accepted=1000), NOW, CanaryState.PASSED, "fares well"),
        (Results(accepted=1000), LATE, CanaryState.BREACHED, "only 0 of the canary's 1,000"),
        (Results(), LATE, CanaryState.BREACHED, "silence proves nothing"),
        # Bad is bad at once, however few were heard of: ten of eighty.
        (replace(results(80, hard=10), accepted=1000), NOW, CanaryState.BREACHED, "hard bounces 12.50% (10 of 80)"),
        (results(500, complained=8), NOW, CanaryState.BREACHED, "complaints"),
        # Undecided (3 % of 100): watched, and cut short by what it is nearer to.
        (results(100, hard=3), NOW, CanaryState.WATCHING, "100 of 100"),
        (results(100, hard=3), LATE, CanaryState.BREACHED, "hard bounces 3.00%"),
        (results(100, hard=2), LATE, CanaryState.PASSED, "nothing bad"),
        (results(20), LATE, CanaryState.PASSED, "nothing bad"),
    ],
)
def test_what_is_said_of_a_canary(seen: Results, waited: timedelta, state: CanaryState, words: str) -> None:
    verdict = guardrails.judge_canary(seen, waited=waited, policy=POLICY)
    assert verdict.state is state
    assert words in verdict.reason
    assert verdict.figures["heard"] == seen.heard


# --- rates -----------------------------------------------------------------------------------------------------------


def stream(
    random: np.random.Generator, measure: str, shares: list[float], per_minute: int
) -> Iterator[tuple[Results, Results]]:
    """A stream minute by minute, as a guard sees it: all of it, and its last 15 minutes."""
    whole, last = Results(), deque[Results](maxlen=15)
    for share in shares:
        last.append(drawn(random, per_minute, {measure: share}))
        whole += last[-1]
        yield whole, guardrails.total(last)


LIMITS = {"hard": 0.05, "complained": 0.003, "blocked": 0.10}


@pytest.mark.parametrize(
    ("measure", "per_minute"), [("hard", 100), ("blocked", 100), ("complained", 100), ("complained", 1000)]
)
def test_half_of_the_threshold_pauses_fewer_than_one_stream_in_a_hundred(measure: str, per_minute: int) -> None:
    random = np.random.default_rng(7)
    paused = 0
    for _ in range(_STREAMS // 3):
        looks = stream(random, measure, [LIMITS[measure] / 2] * _LOOKS, per_minute)
        paused += any(guardrails.rate_guard(*look).action is GuardAction.PAUSE for look in looks)
    assert paused / (_STREAMS // 3) < 0.01


@pytest.mark.parametrize("measure", LIMITS)
@pytest.mark.parametrize("good_minutes", [0, 30])
def test_a_stream_is_paused_within_two_minutes_of_crossing(measure: str, good_minutes: int) -> None:
    """Crossing: the rate that is measured, of all or of the last 15 minutes, reaches the threshold."""
    random = np.random.default_rng(8)
    limit, late = LIMITS[measure], 0
    for _ in range(50):
        shares = [limit / 10] * good_minutes + [limit * 6] * 30
        crossed: int | None = None
        for minute, (whole, recent) in enumerate(stream(random, measure, shares, 1000)):
            over = {"hard": (whole, recent), "complained": (whole,), "blocked": (recent,)}[measure]
            rates = [getattr(seen, measure) / seen.heard for seen in over]
            if crossed is None and max(rates) >= limit:
                crossed = minute
            if guardrails.rate_guard(whole, recent).action is GuardAction.PAUSE:
                late += minute - (minute if crossed is None else crossed) > 2
                break
        else:
            raise AssertionError("never paused")
    assert late == 0


@pytest.mark.parametrize(
    ("seen", "action", "words"),
    [
        (results(1000, hard=30), GuardAction.SLOW, "hard bounces 3.00%"),
        (results(1000, hard=20), GuardAction.NONE, ""),  # the rate is there, and it may be chance
        (results(1000, hard=70), GuardAction.PAUSE, "5.0% is the limit"),
        (results(10_000, complained=20), GuardAction.SLOW, "complaints 0.20%"),
        (results(10_000, complained=50), GuardAction.PAUSE, "complaints"),
        (results(499, hard=499), GuardAction.NONE, ""),
        (results(500, complained=7), GuardAction.NONE, ""),
        (results(500, complained=8), GuardAction.PAUSE, "complaints"),
        (Results(), GuardAction.NONE, ""),
    ],
)
def test_what_a_guard_does(seen: Results, action: GuardAction, words: str) -> None:
    guard = guardrails.rate_guard(seen, Results())
    assert guard.action is action
    assert words in guard.reason
    assert guard.lasts is None


def test_blocks_count_while_they_are_new_and_pause_for_two_hours() -> None:
    blocked = results(1000, blocked=200)
    assert guardrails.rate_guard(blocked, Results()).action is GuardAction.NONE
    guard = guardrails.rate_guard(results(100_000, blocked=200), blocked)
    assert (guard.action, guard.lasts) == (GuardAction.PAUSE, timedelta(hours=2))
    assert "blocks 20.00% (200 of 1,000) in 15 minutes" in guard.reason


def test_of_two_pauses_the_one_that_a_person_lifts_is_told() -> None:
    both = results(1000, blocked=200, hard=200)
    assert guardrails.rate_guard(both, both).lasts is None


def test_deferrals_slow_and_never_pause() -> None:
    assert guardrails.rate_guard(Results(), results(1000, deferred=1000)).action is GuardAction.SLOW


COUNTS = st.integers(0, 600)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(["hard", "blocked", "deferred", "complained"]))
def test_more_trouble_never_means_more_mail(hard: int, blocked: int, deferred: int, complained: int, more: str) -> None:
    seen = results(2500, hard=hard, blocked=blocked, deferred=deferred, complained=complained)
    worse = replace(seen, **{more: getattr(seen, more) + 50})
    factor = {one: guardrails.FACTOR[guardrails.rate_guard(one, one).action] for one in (seen, worse)}
    assert factor[worse] <= factor[seen]
    assert 0 < guardrails.volume_factor(worse) <= guardrails.volume_factor(seen) <= 1


@pytest.mark.parametrize(
    ("seen", "low", "high"),
    [
        (results(10_000, hard=100, deferred=150, complained=5), 1, 1),
        (results(400, hard=400), 1, 1),  # too few to say anything
        (results(10_000, deferred=600), 0.5, 0.8),
        (results(10_000, blocked=1500), 0.1, 0.1),
    ],
)
def test_volumes_follow_results(seen: Results, low: float, high: float) -> None:
    assert low <= guardrails.volume_factor(seen) <= high
