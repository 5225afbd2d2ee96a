"""The rules of sending that an operator may tune; the defaults are those of a careful small shop."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SendingPolicy:
    """Limits and times of a campaign run."""

    approval_above: int = 500  # audiences larger than this wait for a person's yes
    batch_size: int = 1000  # messages in one request; never above what the ESP allows
    lease_seconds: int = 120  # how long a claim holds without a result; longer than any request may take
    hold_after_minutes: int = 180  # an unknown batch without proof by then is held
    window_hours: int = 24  # a batch not sent by then expires: an offer a day late is worse than none
    settle_after_hours: int = 72  # ESPs retry deferrals for 72 hours; then a run is settled
    cap_mails: int = 4  # marketing mails to one person within cap_days
    cap_days: int = 7  # see cap_mails
    newest_order_days: int = 14  # no order newer than this means that intake is broken: the gate stops the run
    shrink_percent: int = 50  # an audience this much smaller or larger than the last run's stops the run
