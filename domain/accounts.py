"""An account: the shop or brand that everything belongs to."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from domain import money, quiet_hours


class InvalidAccount(ValueError):
    """The account's data cannot be right; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who sends, in which zone its day begins, in which currency it reckons. Raises InvalidAccount.

    `cap_mails` to `quiet_until` are its own rules of sending (domain.policy); None stands for the installation's.
    """

    id: str
    name: str
    currency: str
    timezone: str
    postal_address: str
    sender_email: str
    sender_name: str
    cap_mails: int | None = None  # marketing mails to one person within cap_days
    cap_days: int | None = None
    quiet_from: str | None = None  # HH:MM on the customer's clock; both empty: this account has no quiet hours
    quiet_until: str | None = None
    soft_bounces: int | None = None  # in a row, before an address gets no marketing: of who never opened
    soft_bounces_active: int | None = None  # and of who did
    language: str | None = None  # two letters, such as de: of the pages for customers whose own is not known

    def __post_init__(self) -> None:
        try:
            known = money.check_currency(self.currency) == self.currency
            ZoneInfo(self.timezone)
        except money.InvalidAmount:
            known = False
        except (LookupError, OSError, ValueError) as error:  # ZoneInfo: no such name, a directory, a path
            raise InvalidAccount(f"account {self.id}: the time zone needs a name such as Europe/Berlin") from error
        if not known:
            raise InvalidAccount(f"account {self.id}: the currency needs a code such as EUR")
        self._check_limits()

    def _check_limits(self) -> None:
        if any(limit is not None and limit < 1 for limit in (self.cap_mails, self.cap_days)):
            raise InvalidAccount(f"account {self.id}: the frequency cap needs at least 1 mail and 1 day")
        if (self.soft_bounces is None) is not (self.soft_bounces_active is None):
            raise InvalidAccount(f"account {self.id}: soft bounces need both limits, or neither")
        if self.soft_bounces is not None and not 1 <= self.soft_bounces <= (self.soft_bounces_active or 0):
            raise InvalidAccount(f"account {self.id}: the limits of soft bounces are at least 1, the second no smaller")
        if (self.quiet_from is None) is not (self.quiet_until is None):
            raise InvalidAccount(f"account {self.id}: quiet hours need both a beginning and an end, or neither")
        try:
            quiet_hours.parse(self.quiet_from or "", self.quiet_until or "")
        except quiet_hours.InvalidQuietHours as error:
            raise InvalidAccount(f"account {self.id}: {error}") from error
