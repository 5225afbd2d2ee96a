import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import concurrency
from domain.ledger import Outcome, OutcomeKind

ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
REFUSED = Outcome(OutcomeKind.REJECTED, status=400)
BUSY = Outcome(OutcomeKind.NOT_SENT, status=429)
UNREACHABLE = Outcome(OutcomeKind.NOT_SENT, detail="ConnectError")
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, status=503)
LOCAL = Outcome(OutcomeKind.NOT_SENT, stop_provider=True, local=True)
REFUSED_BY_US = Outcome(OutcomeKind.REJECTED, local=True)
EVERY = (ACCEPTED, REFUSED, BUSY, UNREACHABLE, UNKNOWN, LOCAL, REFUSED_BY_US)
SECONDS = st.floats(0, 120)


@given(
    limit=st.floats(0.01, 100),
    ceiling=st.integers(1, 64),
    answers=st.lists(st.tuples(st.sampled_from(EVERY), SECONDS, st.none() | SECONDS), max_size=50),
)
def test_the_limit_is_between_one_and_the_ceiling_whatever_comes(
    limit: float, ceiling: int, answers: list[tuple[Outcome, float, float | None]]
) -> None:
    for outcome, seconds, usual in answers:
        limit = concurrency.after(limit, ceiling=ceiling, outcome=outcome, seconds=seconds, usual=usual)
        assert 1 <= limit <= ceiling


@pytest.mark.parametrize(
    ("outcome", "seconds", "after"),
    [
        (ACCEPTED, 0.2, 8.125),
        (ACCEPTED, 0.6, 8.125),
        (ACCEPTED, 0.61, 4),  # slow
        (REFUSED, 0.2, 8),
        (REFUSED, 2.0, 4),  # a slow refusal is a slow answer too
        (BUSY, 0.01, 4),
        (UNKNOWN, 0.01, 4),
        (UNREACHABLE, 30.0, 8),  # nobody answered: the breaker's business
        (LOCAL, 30.0, 8),
        (REFUSED_BY_US, 30.0, 8),
    ],
)
def test_what_one_outcome_does(outcome: Outcome, seconds: float, after: float) -> None:
    assert concurrency.after(8.0, ceiling=16, outcome=outcome, seconds=seconds, usual=0.2) == after


def test_without_anything_usual_nothing_is_slow_and_the_quick_never_are() -> None:
    assert concurrency.after(4.0, ceiling=8, outcome=ACCEPTED, seconds=90, usual=None) == 4.25
    assert concurrency.after(4.0, ceiling=8, outcome=ACCEPTED, seconds=0.05, usual=0.001) == 4.25


def _rounds(limit: float, usual: float, seconds: float, answers: int) -> list[tuple[float, float]]:
    """Limit and usual after each of so many accepted answers that took `seconds`."""
    steps = []
    for _ in range(answers):
        limit = concurrency.after(limit, ceiling=8, outcome=ACCEPTED, seconds=seconds, usual=usual)
        usual = concurrency.usual(usual, seconds)
        steps.append((limit, usual))
    return steps


@given(usual=st.floats(0.05, 3))
def test_ten_times_the_latency_halves_it_within_one_answer_and_it_recovers(usual: float) -> None:
    """D39: halved within 30 s, back when the ESP is, and back also when the ESP stays as slow as that."""
    slow = _rounds(8.0, usual, usual * 10, 200)
    assert [limit for limit, _ in slow[:4]] == [4, 2, 1, 1]
    assert 25 <= next(number for number, (limit, _) in enumerate(slow) if number > 3 and limit > 1) <= 35
    assert slow[-1][0] == 8  # slower for good: that is usual now
    back = _rounds(*slow[10], usual, 40)
    assert next(number for number, (limit, _) in enumerate(back, 1) if limit == 8) == 31


@given(st.lists(SECONDS, min_size=1, max_size=50))
def test_what_is_usual_lies_among_what_was(answers: list[float]) -> None:
    usual = None
    for seconds in answers:
        usual = concurrency.usual(usual, seconds)
    assert usual is not None
    assert min(answers) - 1e-9 <= usual <= max(answers) + 1e-9


def test_two_who_share_an_esp_come_to_equal_shares() -> None:
    """The reason for AIMD: an ESP that says 429 above 10 at once, and two programs that begin with 1 and 9."""
    shares = [1.0, 9.0]
    for turn in itertools.count():
        over = sum(shares) > 10
        shares = [
            concurrency.after(one, ceiling=16, outcome=BUSY if over else ACCEPTED, seconds=0.2, usual=0.2)
            for one in shares
        ]
        if abs(shares[0] - shares[1]) < 0.5:
            break
        assert turn < 200
