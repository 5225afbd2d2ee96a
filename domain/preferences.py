"""What a customer may choose about marketing mail beside all or nothing: how often, and about which topics."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.suppression import Reason


class Frequency(StrEnum):
    """At most so much marketing mail, by the customer's own choice: it only ever lowers what the shop's cap allows."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def mails(self) -> int:
        """How many mails within `days`."""
        return 1

    @property
    def days(self) -> int:
        """Within how many days. A month has 30: who is mailed on 31 January is mailed again on 2 March at the latest."""
        return _DAYS[self]

    def since(self, now: datetime) -> datetime:
        """From when on mails count."""
        return now - timedelta(days=self.days)


_DAYS = {Frequency.WEEKLY: 7, Frequency.MONTHLY: 30}


class InvalidTopic(ValueError):
    """No topic can be called so; the message says what to change."""


_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_LONGEST_TITLE = 60


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that marketing mail may be about. Raises InvalidTopic.

    `name` is what campaigns and refusals say, `titles` what customers read, by language (ISO 639-1). `position`: the page
    lists the lowest first.
    """

    name: str
    titles: dict[str, str]
    position: int = 0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidTopic(
                f"a topic's name is lower-case letters, digits and dashes, such as offers: {self.name!r}"
            )
        if not self.titles:
            raise InvalidTopic(f"topic {self.name} needs a title in one language at least, such as en=Offers")
        for language, title in self.titles.items():
            if not _LANGUAGE.fullmatch(language):
                raise InvalidTopic(f"topic {self.name}: a language is two letters, such as en, not {language!r}")
            if not title.strip() or len(title) > _LONGEST_TITLE or not title.isprintable():
                raise InvalidTopic(
                    f"topic {self.name}: the title in {language} must be one line of 1 to {_LONGEST_TITLE} characters"
                )

    def title(self, *languages: str) -> str:
        """What the customer reads: in the first of these languages that it has, else in English, else in any."""
        return self.titles[self.title_language(*languages)]

    def title_language(self, *languages: str) -> str:
        """In which language that is."""
        return next((one for one in (*languages, "en") if one in self.titles), min(self.titles))


class Bar(StrEnum):
    """Why somebody who gets no marketing mail cannot agree to it again on the preference page."""

    ERASED = "erased"
    MOVED = (
        "moved"  # the mail went to another address than the one on record now: whoever reads it may be another person
    )
    COMPLAINT = "complaint"
    MAILBOX = "mailbox"  # mail came back
    MANUAL = "manual"


# An unsubscription is the customer's own word, and her own word takes it back. Nothing else is hers to take back.
BAR_OF = {
    Reason.ERASED: Bar.ERASED,
    Reason.COMPLAINT: Bar.COMPLAINT,
    Reason.HARD_BOUNCE: Bar.MAILBOX,
    Reason.INVALID: Bar.MAILBOX,
    Reason.SOFT_LIMIT: Bar.MAILBOX,
    Reason.MANUAL: Bar.MANUAL,
}
