"""An account: the shop or brand that everything belongs to."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from domain import money


class InvalidAccount(ValueError):
    """The account's data cannot be right; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who sends, in which zone its day begins, in which currency it reckons. Raises InvalidAccount."""

    id: str
    name: str
    currency: str
    timezone: str
    postal_address: str
    sender_email: str
    sender_name: str

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
