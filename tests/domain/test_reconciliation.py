"""Every difference has exactly one explanation, the portions of a gap add up to it, and outages are told from slow mail."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import reconciliation, reconciliation_counts
from domain.esp_record import Measure
from domain.reconciliation import Accepted, Difference, Explanation, Kind, Strays
from domain.reconciliation_counts import Circumstances

NOW = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)
ONE = timedelta(days=1)
BEFORE = NOW - timedelta(hours=6)
SENT = Accepted("esp", "shop", "r1", "news", "a1", NOW - timedelta(hours=20), 100, 0, 0)
KNOWN = Circumstances("esp", NOW, False, {}, frozenset(), {}, {}, {}, {})


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.sampled_from([one for one in Explanation if one != "unexplained"]), st.integers(-5, 500))),
)
def test_portions_add_up_and_none_is_larger_than_its_reason(
    gap: int, allowances: list[tuple[Explanation, int]]
) -> None:
    parts = reconciliation.portions(gap, allowances)
    assert sum(count for _, count in parts) == gap
    assert all(count > 0 for _, count in parts)
    left = gap - sum(max(most, 0) for _, most in allowances)
    unexplained = sum(count for why, count in parts if why is Explanation.UNEXPLAINED)
    assert unexplained == max(left, 0)


@given(st.dictionaries(st.integers(0, 9).map(lambda n: DAY + n * ONE), st.integers(-50, 50)))
def test_an_edge_is_never_more_than_the_neighbours_have(gaps: dict[date, int]) -> None:
    edges = reconciliation_counts.day_edges(gaps)
    for day, size in edges.items():
        assert 0 <= size <= abs(gaps[day])
        others = (gaps.get(day - ONE, 0), gaps.get(day + ONE, 0))
        assert size <= sum(abs(one) for one in others if one * gaps[day] < 0)


def _explained(one: Accepted, *others: Accepted) -> Explanation:
    out = reconciliation.outages([one, *others], ended_before=BEFORE)
    return reconciliation.why_missing(one, out, NOW)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"silent": 95}, Explanation.OUTAGE),
        ({"silent": 40, "unfinished": 55}, Explanation.OUTAGE),
        ({"silent": 80}, Explanation.ON_ITS_WAY),
        ({"silent": 8, "messages": 8}, Explanation.ON_ITS_WAY),  # too few to say so
        ({"silent": 1, "went_at": NOW - timedelta(hours=73)}, Explanation.UNEXPLAINED),
        ({"silent": 100, "went_at": NOW + timedelta(hours=1)}, Explanation.SCHEDULED),
        ({"silent": 100, "checked_only": True}, Explanation.TEST),
    ],
)
def test_why_nothing_is_known(facts: dict[str, object], expected: Explanation) -> None:
    assert _explained(replace(SENT, **facts)) is expected  # type: ignore[arg-type]


def test_of_an_hour_most_must_be_missing() -> None:
    silent = replace(SENT, silent=100)
    assert _explained(silent) is Explanation.OUTAGE
    assert _explained(silent, replace(SENT, attempt_id="a2", messages=50)) is Explanation.ON_ITS_WAY
    assert _explained(silent, replace(SENT, provider="other")) is Explanation.OUTAGE


def test_what_was_repaired_is_told_and_young_mail_says_nothing() -> None:
    before = [replace(SENT, silent=60, unfinished=5), replace(SENT, attempt_id="young", silent=9, went_at=NOW)]
    after = {"a1": replace(SENT, silent=10, unfinished=20)}
    found = reconciliation.missing(before, after, frozenset(), silent_before=BEFORE, now=NOW)
    assert {(one.kind, one.count, one.repaired) for one in found} == {(Kind.SILENT, 60, 50), (Kind.UNFINISHED, 5, 0)}


def _counts(here: int, there: int, measure: Measure = Measure.DELIVERED, **known: object) -> dict[Explanation, int]:
    place = (DAY, "news", measure)
    found = reconciliation_counts.counts({place: here}, {place: there}, [DAY], replace(KNOWN, **known))  # type: ignore[arg-type]
    assert all((one.here, one.there) == (here, there) for one in found)
    return {one.explanation: one.count for one in found}


def test_counts_that_differ() -> None:
    place, yesterday = (DAY, "news"), replace(KNOWN, now=NOW - ONE)
    assert _counts(5, 5) == {}
    assert _counts(90, 100) == {Explanation.UNEXPLAINED: 10}
    assert _counts(100, 90) == {Explanation.UNEXPLAINED: 10}
    assert _counts(90, 100, missing={"news": 4}) == {Explanation.OUTAGE: 4, Explanation.UNEXPLAINED: 6}
    assert _counts(90, 100, unknown={place: 50}) == {Explanation.WAITING: 10}
    assert _counts(90, 100, Measure.REQUESTED, cancelled={place: 50}) == {Explanation.CANCELLED: 10}
    assert _counts(90, 100, cancelled={place: 50}) == {Explanation.UNEXPLAINED: 10}
    assert _counts(100, 90, checked_only={place: 50}) == {Explanation.TEST: 10}
    assert _counts(90, 100, pending_events=True) == {Explanation.LATE_EVENTS: 10}
    assert _counts(90, 100, now=yesterday.now) == {Explanation.LATE_EVENTS: 10}
    assert _counts(100, 90, now=yesterday.now) == {Explanation.FIGURES_BEHIND: 10}
    assert _counts(100, 60, Measure.OPENED, machines={place: 30}) == {Explanation.MACHINES: 30, Explanation.RULES: 10}
    assert _counts(10, 100, Measure.CLICKED) == {Explanation.RULES: 10, Explanation.UNEXPLAINED: 80}
    assert _counts(0, 9, Measure.COMPLAINED, outage_days=frozenset({DAY})) == {Explanation.OUTAGE: 9}


def test_a_message_that_an_outage_hid_explains_one_end_on_one_day() -> None:
    days = [DAY - ONE, DAY]
    there = {(day, "news", one): 4 for day in days for one in (Measure.DELIVERED, Measure.REFUSED, Measure.COMPLAINED)}
    found = reconciliation_counts.counts({}, there, days, replace(KNOWN, missing={"news": 6}))
    assert [(one.measure, one.explanation, one.count) for one in found] == [
        ("complained", Explanation.OUTAGE, 4),
        ("complained", Explanation.OUTAGE, 2),
        ("complained", Explanation.UNEXPLAINED, 2),
        ("delivered", Explanation.OUTAGE, 4),
        ("delivered", Explanation.OUTAGE, 2),
        ("delivered", Explanation.UNEXPLAINED, 2),
        ("refused", Explanation.UNEXPLAINED, 4),
        ("refused", Explanation.UNEXPLAINED, 4),
    ]


def test_a_day_of_another_zone() -> None:
    here = {(DAY, "news", Measure.DELIVERED): 100}
    there = {(DAY - ONE, "news", Measure.DELIVERED): 30, (DAY, "news", Measure.DELIVERED): 70}
    found = reconciliation_counts.counts(here, there, [DAY], KNOWN)
    assert [(one.explanation, one.count) for one in found] == [(Explanation.DAY_EDGE, 30)]


def test_what_the_esp_counts_besides_us() -> None:
    place = (DAY, Measure.REQUESTED)
    found = reconciliation_counts.past_us(
        {place: 110}, {(DAY, "news", Measure.REQUESTED): 100}, {place: 3}, [DAY], "esp"
    )
    assert {one.explanation: one.count for one in found} == {Explanation.SEEDS: 3, Explanation.PAST_US: 7}


def test_strays() -> None:
    events = [Strays("esp", DAY, "bounced", 2), Strays("esp", DAY, "delivered", 9)]
    found = reconciliation.strays(events, seeds={DAY: 5}, foreign=False)
    told = [(one.measure, one.explanation, one.count) for one in found]
    assert told == [
        ("bounced", Explanation.SEEDS, 2),
        ("delivered", Explanation.SEEDS, 3),
        ("delivered", Explanation.UNEXPLAINED, 6),
    ]
    assert reconciliation.unexplained(found) == 6
    assert reconciliation.strays(events[1:], seeds={}, foreign=True)[0].explanation is Explanation.PAST_US


def test_what_tells_of_no_mail_is_no_mail_that_nobody_knows() -> None:
    """Mailchimp posts who joined a list or changed a profile, and SendGrid that an account was suspended."""
    events = [
        Strays("esp", DAY, "unknown", 90),
        Strays("esp", DAY, "unsubscribed", 20),
        Strays("esp", DAY, "opened", 3),
    ]
    told = {foreign: reconciliation.strays(events, seeds={}, foreign=foreign) for foreign in (False, True)}
    assert [one.explanation for one in told[False]] == [
        Explanation.OF_NO_MAIL,
        Explanation.OF_NO_MAIL,
        Explanation.UNEXPLAINED,
    ]
    assert [one.explanation for one in told[True]] == [
        Explanation.OF_NO_MAIL,
        Explanation.PAST_US,
        Explanation.PAST_US,
    ]


def test_what_a_person_must_do_is_said_of_what_is_left() -> None:
    one = Difference(Kind.SILENT, "esp", DAY, 5, Explanation.OUTAGE)
    assert one.to_do is not None
    assert replace(one, repaired=5).to_do is None
    assert replace(one, explanation=Explanation.ON_ITS_WAY).to_do is None
