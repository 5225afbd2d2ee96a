import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain import breaker as rules
from domain.breaker import Breaker, BreakerState, Leave
from domain.ledger import Outcome, OutcomeKind

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)

ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
REFUSED = Outcome(OutcomeKind.REJECTED, status=400)
BUSY = Outcome(OutcomeKind.NOT_SENT, status=429, detail="HTTP 429")
UNREACHABLE = Outcome(OutcomeKind.NOT_SENT, detail="ConnectError")
BROKEN = Outcome(OutcomeKind.UNKNOWN, status=503, detail="HTTP 503")
TIMED_OUT = Outcome(OutcomeKind.UNKNOWN, detail="ReadTimeout")
UNAUTHORISED = Outcome(OutcomeKind.NOT_SENT, status=401, stop_provider=True, detail="HTTP 401: bad key")
OVERSLEPT = Outcome(OutcomeKind.NOT_SENT, local=True)
UNSENDABLE = Outcome(OutcomeKind.NOT_SENT, stop_provider=True, local=True)
REFUSED_BY_US = Outcome(OutcomeKind.REJECTED, local=True)
EVERY = (
    *(ACCEPTED, REFUSED, BUSY, UNREACHABLE, BROKEN, TIMED_OUT),
    *(UNAUTHORISED, OVERSLEPT, UNSENDABLE, REFUSED_BY_US),
)


def _fed(breaker: Breaker, *outcomes: Outcome, at: datetime = NOW) -> Breaker:
    for outcome in outcomes:
        breaker = rules.after(breaker, outcome, at)
    return breaker


def _opened(openings: int = 1, at: datetime = NOW) -> Breaker:
    return Breaker(BreakerState.OPEN, openings=openings, probe_at=at + rules.cool_down(openings), reason="HTTP 503")


@pytest.mark.parametrize("outcome", [REFUSED, BUSY, OVERSLEPT, UNSENDABLE, REFUSED_BY_US])
def test_a_thousand_of_what_is_not_the_esps_health_leave_it_closed(outcome: Outcome) -> None:
    assert _fed(Breaker(), *[outcome] * 1000) == Breaker()


@pytest.mark.parametrize(
    ("outcome", "times"), [(BROKEN, 3), (TIMED_OUT, 3), (UNREACHABLE, 5), (UNAUTHORISED, 1)], ids=str
)
def test_what_is_its_health_opens_it_at_the_limit_and_not_before(outcome: Outcome, times: int) -> None:
    assert _fed(Breaker(), *[outcome] * (times - 1)).state is BreakerState.CLOSED
    opened = _fed(Breaker(), *[outcome] * times)
    assert opened.state is BreakerState.OPEN
    assert opened.probe_at == NOW + 30 * SECOND
    assert opened.reason is not None
    assert outcome.detail in opened.reason


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED])
def test_an_answer_clears_the_count_and_nothing_else_does(answer: Outcome) -> None:
    almost = _fed(Breaker(), BROKEN, BROKEN, *[UNREACHABLE] * 4, BUSY, OVERSLEPT, REFUSED_BY_US)
    assert (almost.state, almost.unknowns, almost.failures) == (BreakerState.CLOSED, 2, 4)
    assert _fed(almost, answer) == Breaker()


@given(late=st.lists(st.sampled_from(EVERY), max_size=20))
def test_answers_to_requests_from_before_change_nothing_while_it_is_open(late: list[Outcome]) -> None:
    assert _fed(_opened(), *late) == _opened()


def test_one_probe_at_a_time_and_another_when_the_prober_died() -> None:
    due = NOW + 30 * SECOND
    assert rules.leave(_opened(), due - SECOND) is Leave.NO
    assert rules.leave(_opened(), due) is Leave.PROBE
    taken = rules.probing(_opened(), due)
    assert taken.state is BreakerState.HALF_OPEN
    assert rules.leave(taken, due) is Leave.NO
    assert rules.leave(taken, due + 29 * SECOND) is Leave.NO
    assert rules.leave(taken, due + 30 * SECOND) is Leave.PROBE


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED])
def test_a_good_probe_closes(answer: Outcome) -> None:
    closed = _fed(rules.probing(_opened(), NOW), answer)
    assert rules.leave(closed, NOW) is Leave.YES
    assert closed.reason is None


@pytest.mark.parametrize("outcome", [BROKEN, TIMED_OUT, UNREACHABLE, UNAUTHORISED])
def test_a_failed_probe_doubles_the_pause_to_ten_minutes(outcome: Outcome) -> None:
    at, breaker, pauses = NOW, _opened(), []
    for _ in range(8):
        assert breaker.probe_at is not None
        pauses.append((breaker.probe_at - at).total_seconds())
        at = breaker.probe_at
        breaker = rules.after(rules.probing(breaker, at), outcome, at)
    assert pauses == [30, 60, 120, 240, 480, 600, 600, 600]


@pytest.mark.parametrize("outcome", [BUSY, OVERSLEPT, REFUSED_BY_US])
def test_a_probe_that_says_nothing_of_its_health_leaves_it_half_open(outcome: Outcome) -> None:
    half_open = rules.probing(_opened(), NOW)
    assert _fed(half_open, outcome) == half_open


def test_a_relapse_waits_longer_and_a_failure_after_the_trial_is_a_new_spell() -> None:
    closed = _fed(rules.probing(_opened(3), NOW), ACCEPTED)
    relapsed = _fed(closed, ACCEPTED, *[BROKEN] * 3, at=NOW + rules.TRIAL - SECOND)
    assert relapsed.openings == 4
    assert _fed(closed, *[BROKEN] * 3, at=NOW + rules.TRIAL).openings == 1
    assert _fed(closed, ACCEPTED, at=NOW + rules.TRIAL) == Breaker()


@pytest.mark.parametrize("period", [5, 20, 60, 300, 600])
def test_an_esp_that_flaps_for_an_hour_is_probed_seldom_and_harms_little(period: int) -> None:
    """D41. It is well and broken in turns of `period` seconds; a batch leaves each second if it may."""
    breaker, probes, unknown = Breaker(), [], 0
    for second in range(3600):
        at = NOW + second * SECOND
        leave = rules.leave(breaker, at)
        if leave is Leave.NO:
            continue
        if leave is Leave.PROBE:
            probes.append(at)
            breaker = rules.probing(breaker, at)
        well = second // period % 2 == 1
        unknown += not well
        breaker = rules.after(breaker, ACCEPTED if well else BROKEN, at)
    assert all(later - earlier >= rules.PROBE_EVERY for earlier, later in itertools.pairwise(probes))
    assert unknown <= 20


@pytest.mark.parametrize("seed", range(20))
def test_an_esp_half_of_whose_answers_fail_is_cut_off_soon(seed: int) -> None:
    chance = random.Random(seed)
    breaker, unknown = Breaker(), 0
    while breaker.state is BreakerState.CLOSED:
        broken = chance.random() < 0.5
        unknown += broken
        breaker = rules.after(breaker, BROKEN if broken else ACCEPTED, NOW)
    assert unknown <= 30


class Model(RuleBasedStateMachine):
    """Whatever comes in whatever order: what holds of every breaker, and of the leaves that it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.now, self.last_probe = Breaker(), NOW, NOW - timedelta(days=1)

    @rule(seconds=st.floats(0, 700))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(outcome=st.sampled_from(EVERY))
    def something_comes(self, outcome: Outcome) -> None:
        before = self.breaker
        self.breaker = rules.after(before, outcome, self.now)
        if before.state is BreakerState.OPEN:
            assert self.breaker == before
        if before.state is not BreakerState.CLOSED and self.breaker.state is BreakerState.CLOSED:
            assert outcome in {ACCEPTED, REFUSED}

    @rule()
    def somebody_wants_to_send(self) -> None:
        if rules.leave(self.breaker, self.now) is Leave.PROBE:
            assert self.now - self.last_probe >= rules.PROBE_EVERY
            self.last_probe = self.now
            self.breaker = rules.probing(self.breaker, self.now)
            assert rules.leave(self.breaker, self.now) is Leave.NO

    @invariant()
    def it_is_one_of_the_breakers_that_can_be(self) -> None:
        breaker = self.breaker
        if breaker.state is BreakerState.CLOSED:
            assert breaker.unknowns < rules.UNKNOWNS_TO_OPEN
            assert breaker.failures < rules.FAILURES_TO_OPEN
            assert breaker.reason is None
        else:
            assert breaker.probe_at is not None  # nobody is shut out for ever
            assert breaker.probe_at - self.now <= rules.LONGEST_COOL_DOWN
            assert breaker.openings >= 1
            assert breaker.reason is not None


TestModel = Model.TestCase
