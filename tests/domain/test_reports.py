from domain.kpis import Figures
from domain.reports import Audit


def test_rates_say_what_their_formulas_say() -> None:
    figures = Figures(
        accepted=1000,
        delivered=980,
        bounced={"hard": 10, "soft": 5, "block": 5},
        complained=1,
        opened_human=98,
        clicked_unique=49,
    )
    assert figures.deliverability == 0.98
    assert figures.bounce_rate == 0.02
    assert figures.complaint_rate == 1 / 980
    assert figures.human_open_rate == 0.1
    assert figures.click_rate == 0.05


def test_nothing_divided_by_nothing_is_no_rate() -> None:
    empty = Figures()
    rates = (empty.deliverability, empty.bounce_rate, empty.complaint_rate, empty.human_open_rate, empty.click_rate)
    assert rates == (None,) * 5


def test_an_audit_balances_when_it_has_nothing_to_complain_of() -> None:
    assert Audit(1, 1, {}, {}, None, None, ()).balanced
    assert not Audit(1, 1, {}, {}, None, None, ("one is missing",)).balanced
