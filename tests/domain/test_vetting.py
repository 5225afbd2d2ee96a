from typing import Any

import pytest

from domain import vetting
from domain.vetting import Standing

FINE: dict[str, Any] = {
    "domain_authenticated": True,
    "days_of_history": 90,
    "accepted_30d": 20_000,
    "hard_bounce_rate": 0.01,
    "complaint_rate": 0.0005,
}


@pytest.mark.parametrize(
    ("facts", "standing", "reason"),
    [
        ({}, Standing.GOOD, None),
        ({"days_of_history": 30, "accepted_30d": 1000, "hard_bounce_rate": 0.0, "complaint_rate": 0}, "good", None),
        ({"domain_authenticated": False}, Standing.NEW, "a sending domain is not authenticated"),
        ({"days_of_history": 29}, Standing.NEW, "29 days of history, 30 are needed"),
        ({"accepted_30d": 999}, Standing.NEW, "999 mails accepted in 30 days, 1,000 are needed"),
        ({"accepted_30d": 0, "hard_bounce_rate": 0.0, "complaint_rate": 0.0}, Standing.NEW, "0 mails accepted"),
        # At a threshold, but by chance perhaps: not good, and not said to be poor.
        ({"hard_bounce_rate": 0.05}, Standing.NEW, "5.00% hard bounces, fewer than 5.0% are needed"),
        ({"complaint_rate": 0.0011}, Standing.NEW, "0.11% complaints, fewer than 0.1% are needed"),
        ({"accepted_30d": 100, "hard_bounce_rate": 0.3}, Standing.NEW, "30.00% hard bounces"),
        ({"hard_bounce_rate": 0.06}, Standing.POOR, "6.00% hard bounces"),
        ({"complaint_rate": 0.003}, Standing.POOR, "0.30% complaints"),
        ({"complaint_rate": 0.003, "domain_authenticated": False}, Standing.POOR, "0.30% complaints"),
    ],
)
def test_the_standing_and_what_stands_against_a_better_one(
    facts: dict[str, Any], standing: str, reason: str | None
) -> None:
    found = vetting.judge(**(FINE | facts))
    assert found.standing == standing
    assert bool(found.reasons) == (found.standing is not Standing.GOOD)
    assert reason is None or any(reason in one for one in found.reasons)
