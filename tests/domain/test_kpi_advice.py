"""What is said of figures past their lines: nothing of chance, nothing of mail that may still arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import kpi_advice, kpi_counters, kpis
from domain.delivery import Fault
from domain.kpis import BOUNCE_RATE, COMPLAINT_RATE, COUNTS, DELIVERABILITY, Figures
from domain.rates import Verdict


def test_what_may_still_arrive_is_no_alarm_and_what_never_will_is_one() -> None:
    young = Figures(accepted=10_000, delivered=9_000)
    assert kpi_advice.verdict(DELIVERABILITY, young) is Verdict.NONE
    assert kpi_advice.findings(young) == []
    assert kpi_advice.verdict(DELIVERABILITY, young, may_arrive=0) is Verdict.BAD
    (finding,) = kpi_advice.findings(young, may_arrive=0)
    assert "1,000 of 10,000" in finding.wrong


def test_what_bounced_is_an_alarm_though_the_rest_is_on_its_way() -> None:
    figures = Figures(accepted=10_000, delivered=100, bounced={"hard": 800}, faults={"recipient": 800})
    (finding,) = kpi_advice.findings(figures)
    assert finding.verdict is Verdict.BAD
    assert finding.wrong.startswith("800 of 10,000 mails did not get in; most refusals are of addresses")


@pytest.mark.parametrize(("complained", "stands"), [(1, Verdict.UNSURE), (4, Verdict.UNSURE), (5, Verdict.BAD)])
def test_one_complaint_of_a_few_mails_does_not_shout(complained: int, stands: Verdict) -> None:
    figures = Figures(accepted=77, delivered=77, complained=complained)
    assert kpi_advice.verdict(COMPLAINT_RATE, figures) is stands
    assert bool(kpi_advice.findings(figures)) is (stands is Verdict.BAD)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault.RECIPIENT, "addresses that do not exist"),
        (Fault.SENDER, "reputation"),
        (Fault.CONTENT, "what the mail says"),
        (Fault.PROVIDER, "trouble at the mailbox provider"),
        (Fault.UNKNOWN, "do not say why"),
    ],
)
def test_the_largest_cause_is_named_once(fault: Fault, word: str) -> None:
    other = Fault.SENDER if fault is Fault.RECIPIENT else Fault.RECIPIENT
    figures = Figures(accepted=5_000, delivered=4_000, bounced={"hard": 1_000}, faults={fault: 700, other: 300})
    (finding,) = kpi_advice.findings(figures)
    assert (finding.kpi, finding.verdict) == (DELIVERABILITY, Verdict.BAD)
    assert word in finding.wrong
    assert finding.to_do


def test_full_mailboxes_are_no_dead_addresses_and_a_third_is_not_most() -> None:
    faults = {Fault.RECIPIENT: 51, Fault.SENDER: 24}
    (mixed,) = kpi_advice.findings(
        Figures(accepted=500, delivered=425, bounced={"hard": 27, "soft": 24, "block": 24}, faults=faults)
    )
    assert "27 of 75 refusals are of addresses that do not exist" in mixed.wrong
    (full,) = kpi_advice.findings(
        Figures(accepted=500, delivered=425, bounced={"hard": 1, "soft": 50, "block": 24}, faults=faults)
    )
    assert "most refusals are of mailboxes that take no mail for now: full" in full.wrong
    assert "suppressed already" not in full.to_do
    (unknown,) = kpi_advice.findings(Figures(accepted=500, bounced={"hard": 500}))
    assert "most refusals are in words that do not say why" in unknown.wrong


def test_what_the_sending_service_dropped_is_told_from_bounces() -> None:
    (finding,) = kpi_advice.findings(Figures(accepted=1_000, delivered=900, dropped=100))
    assert "dropped" in finding.wrong
    assert "reconcile" in finding.to_do


def test_without_bounces_nothing_is_said_of_them() -> None:
    assert kpi_advice.verdict(BOUNCE_RATE, Figures()) is Verdict.NONE
    assert kpi_advice.findings(Figures()) == []


def test_gmail_tells_no_complaints() -> None:
    assert "Postmaster" in kpi_advice.note(COMPLAINT_RATE, Figures(), "gmail")
    assert kpi_advice.note(COMPLAINT_RATE, Figures(), "yahoo") == ""


@given(counts=st.dictionaries(st.sampled_from(COUNTS), st.integers(0, 9)))
def test_every_count_of_the_store_is_among_the_counters(counts: dict[str, int]) -> None:
    """Whatever is counted is shown, by its own definition: no counter has numbers of its own."""
    figures = Figures.of(counts)
    shown = [one for some in kpi_counters.counters(figures).values() for one in some]
    assert len({one.label for one in shown}) == len(shown)  # two of one name are not told apart in the table
    named = {kpi.numerator for _, some in kpi_counters._GROUPS.items() for _, kpi in some}
    assert {one for parts in named for one in parts} | {"accepted", "dropped"} == set(COUNTS)
    assert next(one.count for one in shown if one.label == "delivered") == figures.delivered
    assert next(one.count for one in shown if one.label == "bounced") == sum(figures.bounced.values())
    assert len(kpi_counters.markdown(figures).splitlines()) == 2 + len(shown) + len(kpi_counters._GROUPS)
    assert all(kpi in kpis.RATES for some in kpi_counters._GROUPS.values() for _, kpi in some)
