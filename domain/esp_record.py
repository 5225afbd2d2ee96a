"""The ESP's own record of what it did, as the nightly reconciliation asks for it: ports like those of domain/ports.py."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol


class Measure(StrEnum):
    """What an ESP counts by day, in messages."""

    REQUESTED = "requested"
    DELIVERED = "delivered"
    REFUSED = "refused"  # bounces and blocks: ESPs draw the line between the two differently
    DROPPED = "dropped"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENED = "opened"
    CLICKED = "clicked"


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What an ESP counted of one day of its own: under one label, or of the whole account (None)."""

    day: date
    label: str | None
    counts: Mapping[Measure, int]


class SourceFailed(RuntimeError):
    """An ESP gave no usable answer to a question that changes nothing. The message holds no address."""


class NotBought(SourceFailed):
    """The ESP answers such questions only to accounts that bought it, or to keys that may ask; not to this one."""


class AskedTooOften(SourceFailed):
    """The ESP answers no more questions for now; `ActivitySource.wait` says when it will."""


class StatsSource(Protocol):
    """An ESP's own statistics."""

    def label(self, campaign: str) -> str:
        """Under which label the ESP counts a campaign; several may share one."""
        ...

    def by_day(self, labels: Collection[str], first: date, last: date) -> list[DayFigures]:
        """The account's figures of these days, and those of each label. Raises SourceFailed."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class Reached(StrEnum):
    """How far a message came, as an ESP's activity says at a glance."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # bounced, blocked or dropped; which of them, and why, only its story tells


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One message in an ESP's activity. `raw`: its own words, for whoever makes events of them."""

    address: str
    reference: str  # by which its story is asked for
    reached: Reached
    engaged: bool  # opened or clicked
    raw: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Told:
    """A message of ours with what the ESP's activity says of it; `story` is None where it was not asked for."""

    message_id: str
    attempt_id: str
    glimpse: Glimpse
    story: Mapping[str, object] | None = None


class ActivitySource(Protocol):
    """An ESP that can be asked what happened to messages, when its webhooks did not tell."""

    @property
    def reader(self) -> str:
        """Whose event reader understands `body`."""
        ...

    def glimpses(self, attempt_id: str) -> list[Glimpse]:
        """The messages of one attempt. Raises SourceFailed, or NotBought, AskedTooOften."""
        ...

    def story(self, reference: str) -> Mapping[str, object]:
        """Everything that happened to one message. Raises SourceFailed, or NotBought, AskedTooOften."""
        ...

    def wait(self) -> float:
        """So many seconds from now may the next question be asked."""
        ...

    def body(self, told: Sequence[Told]) -> bytes:
        """What is known of these messages as a body of the ESP's webhook, which `reader` parses. Pure."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...
