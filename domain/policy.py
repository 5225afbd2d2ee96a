"""The rules of sending that an operator may tune; the defaults are those of a careful small shop."""

from dataclasses import dataclass, replace

from domain import quiet_hours
from domain.accounts import Account
from domain.quiet_hours import QuietHours

_MOST_CANARY_PERCENT = 5.0
_SHORTEST_CALL_BACK, _LONGEST_CALL_BACK = 12, 60


@dataclass(frozen=True)
class SendingPolicy:
    """Limits and times of a campaign run. Raises ValueError, and its kind quiet_hours.InvalidQuietHours."""

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
    canary_percent: float = 2  # so many of a large audience go first, the most engaged, and are watched
    canary_above: int = 25_000  # audiences larger than this have a canary
    canary_minutes: int = 30  # a canary that is not judged by then waits for a person
    start_within_minutes: int = 120  # a scheduled run that begins later than this refuses
    call_back_minutes: int = 15  # two-phase: how long the ESP keeps each batch, so that it can be called back
    release_ahead_minutes: int = 10  # so far ahead may the ESP be told to let mail go; suppressions are read before it
    quiet_from: str = ""  # HH:MM on the customer's clock; from then on marketing mail is held; empty: never
    quiet_until: str = ""  # see quiet_from
    soft_bounces: int = 7  # so many in a row, one a run, and an address that never opened gets no marketing for 90 days
    soft_bounces_active: int = 15  # the same of an address that opened or clicked at any time
    pause_on_anomaly: bool = (
        False  # bounces or complaints that jump pause what the shop is sending, until a person says
    )

    def __post_init__(self) -> None:
        quiet_hours.parse(self.quiet_from, self.quiet_until)
        if not 0 <= self.canary_percent <= _MOST_CANARY_PERCENT:
            raise ValueError(
                f"canary_percent is {self.canary_percent:g}: at most {_MOST_CANARY_PERCENT:g}, or 0 for no canary"
            )
        if not 1 <= self.soft_bounces <= self.soft_bounces_active:
            raise ValueError(
                f"soft_bounces is {self.soft_bounces} and soft_bounces_active {self.soft_bounces_active}: both must be at"
                " least 1, and who opens mail is not given up sooner than who never did"
            )
        # SendGrid promises to forget mail up to ten minutes before it goes; an offer an hour late is another offer.
        if not _SHORTEST_CALL_BACK <= self.call_back_minutes <= _LONGEST_CALL_BACK:
            raise ValueError(
                f"call_back_minutes is {self.call_back_minutes}: it must be {_SHORTEST_CALL_BACK} to"
                f" {_LONGEST_CALL_BACK}, because an ESP forgets mail only up to ten minutes before it goes"
            )

    @property
    def quiet_hours(self) -> QuietHours | None:
        """When nobody is mailed, if there is such a time."""
        return quiet_hours.parse(self.quiet_from, self.quiet_until)


_OF_ACCOUNT = ("cap_mails", "cap_days", "quiet_from", "quiet_until", "soft_bounces", "soft_bounces_active")


def of_account(policy: SendingPolicy, account: Account) -> SendingPolicy:
    """The installation's policy with what this account has of its own."""
    own = {name: value for name in _OF_ACCOUNT if (value := getattr(account, name)) is not None}
    return replace(policy, **own) if own else policy
