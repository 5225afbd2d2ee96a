"""Vetting: what an account's own record says of it, and so whether it may send through pools that it shares.

Thresholds: Amazon SES reviews a sender at 5 % hard bounces or 0.1 % complaints, SendGrid asks for less than 5 %, Gmail
for less than 0.1 % complaints and never 0.3 (facts/reliability.md E43, facts/sender-rules.md).
"""

from dataclasses import dataclass
from enum import StrEnum

from domain import proportions

HARD_BOUNCES = 0.05
COMPLAINTS = 0.001
# Mailbox providers form their opinion over about a month of regular mail; warm-up plans last as long.
LEAST_DAYS = 30
# Of fewer mails one complaint is more than a thousandth: no record could be good, or said to be bad.
LEAST_ACCEPTED = 1000


class Standing(StrEnum):
    """How an account is thought of. Only a good one may use a pool that others send through too."""

    NEW = "new"  # no record that says enough, for good or bad
    GOOD = "good"
    POOR = "poor"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The standing, and each thing that stands against a better one."""

    standing: Standing
    reasons: tuple[str, ...] = ()


def judge(
    *,
    domain_authenticated: bool,
    days_of_history: int,
    accepted_30d: int,
    hard_bounce_rate: float,
    complaint_rate: float,
) -> Verdict:
    """Judge by 30 days; the rates are shares (0.05 is 5 %) of what ESPs accepted in them.

    Poor is who certainly reaches a threshold (Wilson's lower bound), good who is below both and has a record at all.
    """
    lacking = []
    if not domain_authenticated:
        lacking.append("a sending domain is not authenticated")
    if days_of_history < LEAST_DAYS:
        lacking.append(f"{days_of_history} days of history, {LEAST_DAYS} are needed")
    if accepted_30d < LEAST_ACCEPTED:
        lacking.append(f"{accepted_30d:,} mails accepted in 30 days, {LEAST_ACCEPTED:,} are needed")
    rates = (("hard bounces", hard_bounce_rate, HARD_BOUNCES), ("complaints", complaint_rate, COMPLAINTS))
    reached = [(name, rate, limit) for name, rate, limit in rates if rate >= limit]
    told = (*lacking, *(f"{rate:.2%} {name}, fewer than {limit:.1%} are needed" for name, rate, limit in reached))
    if any(_certain(rate, accepted_30d, limit) for _, rate, limit in reached):
        return Verdict(Standing.POOR, told)
    return Verdict(Standing.NEW if told else Standing.GOOD, told)


def _certain(rate: float, of: int, limit: float) -> bool:
    return of >= LEAST_ACCEPTED and proportions.bounds(round(rate * of), of)[0] >= limit
