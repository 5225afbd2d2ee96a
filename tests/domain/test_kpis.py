"""Key figures: their arithmetic, their lines, their words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import kpi_words, kpis, latencies
from domain.kpi_tables import MEANING
from domain.kpis import COUNTS, Figures, Kpi, Measured
from domain.latencies import Latencies
from domain.rates import Rate, Verdict

_COUNTS = st.builds(Figures.of, st.dictionaries(st.sampled_from(COUNTS), st.integers(0, 9)))
_SECONDS = st.dictionaries(st.integers(-5, 10**6), st.integers(1, 9), max_size=20)


def test_the_page_is_written_out_of_the_definitions() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "kpis.md"
    assert page.read_text("utf-8") == kpi_words.page(MEANING), (
        "write docs/kpis.md anew out of domain.kpi_words.page(MEANING)"
    )


@given(one=_COUNTS, other=_COUNTS)
def test_figures_add_up_count_by_count(one: Figures, other: Figures) -> None:
    mine, theirs = one.counts(), other.counts()
    assert (one + other).counts() == {name: mine[name] + theirs[name] for name in COUNTS}
    assert Figures.of(one.counts()) == one


def test_every_rate_divides_counts_that_exist() -> None:
    for kpi in kpis.RATES:
        assert {*kpi.numerator, *kpi.denominator} <= set(COUNTS)
        assert kpi.of(Figures()).value is None


def test_a_duration_is_no_rate() -> None:
    with pytest.raises(ValueError, match="seconds"):
        kpis.HAND_OVER.of(Figures())


@pytest.mark.parametrize(
    ("kpi", "part", "whole", "verdict"),
    [
        (kpis.DELIVERABILITY, 0, 0, Verdict.NONE),
        (kpis.DELIVERABILITY, 98, 100, Verdict.GOOD),
        (kpis.DELIVERABILITY, 9, 10, Verdict.UNSURE),
        (kpis.DELIVERABILITY, 9_700, 10_000, Verdict.WARN),
        (kpis.DELIVERABILITY, 9_000, 10_000, Verdict.BAD),
        (kpis.COMPLAINT_RATE, 0, 10, Verdict.GOOD),
        (kpis.COMPLAINT_RATE, 1, 10, Verdict.UNSURE),  # surely past it, and yet one person
        (kpis.COMPLAINT_RATE, 1, 145, Verdict.UNSURE),
        (kpis.COMPLAINT_RATE, 4, 145, Verdict.UNSURE),
        (kpis.COMPLAINT_RATE, 5, 145, Verdict.BAD),
        (kpis.DELIVERABILITY, 0, 4, Verdict.UNSURE),
        (kpis.COMPLAINT_RATE, 1, 900, Verdict.UNSURE),
        (kpis.COMPLAINT_RATE, 200, 100_000, Verdict.WARN),
        (kpis.COMPLAINT_RATE, 400, 100_000, Verdict.BAD),
        (kpis.OPEN_RATE, 1, 100, Verdict.NONE),
    ],
)
def test_a_warning_is_given_where_the_sample_is_sure(kpi: Kpi, part: int, whole: int, verdict: Verdict) -> None:
    assert kpi.verdict(Rate(part, whole)) is verdict


def test_words() -> None:
    assert kpi_words.rate(kpis.DELIVERABILITY, Rate(0, 0)) == "not enough data"
    assert kpi_words.rate(kpis.DELIVERABILITY, Rate(9_700, 10_000)) == "97.0 % ⚠"
    assert kpi_words.rate(kpis.COMPLAINT_RATE, Rate(1, 145)).endswith(" ?")
    assert kpi_words.rate(kpis.DELIVERABILITY, Rate(9, 10)) == "90.0 % (59.6–98.2) ?"
    found = Measured(handling=Latencies.of({4: 3, 41: 1}), hand_over_seconds=10, handed_over=500)
    assert kpi_words.handling(found) == (
        "median 4 s, 95 % within 41 s, longest 41 s: 1 h 59 min below the floor of 2 h 0 min"
    )
    assert kpi_words.hand_over(found) == "10 s for 500 mails, 50 a second"
    assert "1 h 0 min ABOVE" in kpi_words.handling(Measured(handling=Latencies.of({3 * 3600: 1})))


def test_chance_is_no_trend() -> None:
    assert kpi_words.trend(kpis.DELIVERABILITY, Rate(96, 100), Rate(98, 100)) == "as before"
    assert kpi_words.trend(kpis.DELIVERABILITY, Rate(9_600, 10_000), Rate(9_800, 10_000)) == "worse"
    assert kpi_words.trend(kpis.COMPLAINT_RATE, Rate(0, 10_000), Rate(90, 10_000)) == "better"
    assert kpi_words.trend(kpis.OPEN_RATE, Rate(900, 1000), Rate(100, 1000)) == "higher"
    assert kpi_words.trend(kpis.OPEN_RATE, Rate(0, 0), Rate(1, 2)) == "no trend yet"


@given(st.integers(0, 10**7))
def test_a_duration_is_told_at_most_an_eighth_too_long(seconds: int) -> None:
    low, high = latencies.bounds(latencies.bucket(seconds))
    assert low <= seconds <= high
    assert high - seconds <= seconds / 8


@given(one=_SECONDS, other=_SECONDS)
def test_durations_of_two_groups_add_up_exactly(one: dict[int, int], other: dict[int, int]) -> None:
    together = {second: one.get(second, 0) + other.get(second, 0) for second in {*one, *other}}
    assert Latencies.of(one) + Latencies.of(other) == Latencies.of(together)


def test_quantiles() -> None:
    found = Latencies.of({1: 50, 2: 45, 600: 5})
    assert (found.quantile(0.5), found.quantile(0.95), found.longest) == (1, 2, 600)
    assert Latencies().quantile(0.5) is None


def test_more_clicks_than_opens_are_shown_and_not_stumbled_over() -> None:
    found = kpis.CLICK_TO_OPEN.of(Figures(accepted=9, delivered=9, opened_human=1, clicked_human=3))
    assert kpi_words.rate(kpis.CLICK_TO_OPEN, found).startswith("300.0 %")
    assert kpis.COMPLAINT_RATE.verdict(Rate(5, 1)) is Verdict.BAD
