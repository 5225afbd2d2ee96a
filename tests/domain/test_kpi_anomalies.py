"""A jump is told, chance and trifles are not."""

from datetime import date, timedelta

import pytest

from domain import kpi_anomalies, kpi_words
from domain.kpis import Figures

TODAY = date(2026, 11, 22)
YESTERDAY = TODAY - timedelta(days=1)
USUAL = Figures(accepted=1000, delivered=990, bounced={"hard": 10}, complained=1, unsubscribed=5)


def jumps(**days: Figures) -> list[tuple[str, str, date]]:
    """Twenty usual days at two providers, and what is given of today and yesterday at `gmail`."""
    usual = {(TODAY - timedelta(days=n), group): USUAL for n in range(2, 22) for group in ("gmail", "yahoo")}
    given = {"today": TODAY, "yesterday": YESTERDAY}
    last = {(given[name], "gmail"): figures for name, figures in days.items()}
    return [(one.group, one.kpi.name, one.day) for one in kpi_anomalies.found(usual | last, TODAY)]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (USUAL, []),
        (Figures(accepted=1000, delivered=940, bounced={"block": 60}), ["bounce_rate"]),
        (Figures(accepted=1000, delivered=970, bounced={"hard": 15}), []),  # within what chance does
        (Figures(accepted=1000, delivered=990, complained=12), ["complaint_rate"]),
        (Figures(accepted=1000, delivered=990, unsubscribed=40), ["unsubscribe_rate"]),
        (Figures(accepted=1000, delivered=0), []),  # on its way
        (Figures(accepted=4, delivered=0, bounced={"block": 4}), []),  # four mails are no jump
        (Figures(), []),
    ],
)
def test_todays_mail_is_judged_by_what_rises(figures: Figures, expected: list[str]) -> None:
    assert jumps(today=figures) == [("gmail", name, TODAY) for name in expected]


def test_deliverability_is_judged_when_the_answers_have_come() -> None:
    lost = Figures(accepted=1000, delivered=900)
    assert jumps(today=lost) == []
    assert jumps(yesterday=lost) == [("gmail", "deliverability", YESTERDAY)]
    assert jumps(yesterday=Figures(accepted=1000, delivered=1000)) == [], "better is no alarm"


def test_of_a_million_mails_a_trifle_is_sure_and_still_no_jump() -> None:
    many = {(TODAY - timedelta(days=2), "gmail"): Figures(accepted=10**6, bounced={"hard": 10_000})}
    slightly = {(TODAY, "gmail"): Figures(accepted=10**6, bounced={"hard": 11_000})}
    assert kpi_anomalies.found(many | slightly, TODAY) == []


def test_who_has_no_history_is_not_compared() -> None:
    bad = {(TODAY, "gmail"): Figures(accepted=1000, bounced={"block": 900})}
    assert kpi_anomalies.found(bad, TODAY) == []


def test_it_is_said_in_figures() -> None:
    (one,) = kpi_anomalies.found(
        {
            (TODAY - timedelta(days=2), "gmail"): USUAL,
            (TODAY, "gmail"): Figures(accepted=1000, bounced={"block": 60}),
        },
        TODAY,
    )
    said = kpi_words.anomaly(one)
    assert "Bounced 6.0 %" in said
    assert "1.0 %" in said
    assert "Gmail" in said
