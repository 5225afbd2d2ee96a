"""What a channel adapter is: two pure functions, and where the channel has them, a way to push and a way to pull.

`elements` cuts one delivered document (a webhook's body, a page of an API, a piece of a file) into raw orders;
`order` turns one raw order into the governed model. Apart, so that a raw order which was refused can be kept, patched
and converted again alone. docs/add-a-channel.md tells how to write one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from data.channels.api import Access, Api
from domain.orders import Deletion, Order


class Origin(StrEnum):
    """Which of the three ways in a record took."""

    PUSH = "push"
    PULL = "pull"
    FILE = "file"


class Urgency(StrEnum):
    """In which order records are drained; `now`: somebody may wait for a transactional mail about it."""

    NOW = "0-now"
    USUAL = "1-usual"
    BULK = "2-bulk"


class Unfit(ValueError):
    """The raw order cannot be used. `rule`: a short word such as total_missing; `fields`: the offending ones, as paths.

    The message tells a person what is wrong and what to do, and repeats nothing of the content: no addresses.
    """

    def __init__(self, rule: str, sentence: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.rule = rule
        self.fields = fields


class Unreadable(ValueError):
    """The document as a whole cannot be cut into orders (no JSON, say). The message says what to do."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The payload is sound and is no order of the shop's: a draft, a notice about something else."""

    reason: str


class Element(NamedTuple):
    """One raw order. `position`: its row in the file or place in the document, from 1; `rows`: how many rows it takes.

    `payload` is JSON (dicts, lists, strings, numbers); `fault` says what made cutting it fail, if that did.
    """

    position: int
    payload: Any
    rows: int = 1
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of a document beside its bytes. `zone`: of times that come without one.

    `topic`: the push's own word for what happened. `observed_at`: when the state was seen, where the channel tells.
    `options`: the connection's own, such as where a plugin keeps the consent.
    """

    origin: Origin
    received_at: datetime
    topic: str = ""
    observed_at: datetime | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PushMeta:
    """What a push's headers say. `probe`: no order at all, only a question whether somebody listens."""

    topic: str = ""
    observed_at: datetime | None = None
    delivery_id: str = ""
    urgency: Urgency = Urgency.NOW
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Push:
    """The channel posts to us. `verify` takes lower-case header names, the raw body, one secret and the time.

    It compares in constant time and never raises. `meta` is asked after verification only, except for probes:
    `is_probe` says of an unsigned body that it is the channel's test whether the address answers.
    """

    verify: Callable[[Mapping[str, str], bytes, str, datetime], bool]
    meta: Callable[[Mapping[str, str], bytes, datetime], PushMeta]
    is_probe: Callable[[Mapping[str, str], bytes], bool] = lambda _headers, _body: False


class Page(NamedTuple):
    """One page of a channel's API, as it came. `until`: all that changed before it is in this page or an earlier one."""

    body: bytes
    observed_at: datetime
    until: datetime | None = None
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Pull:
    """We ask the channel. `pages` yields all orders changed in [since, until), through a rate-limited Api.

    `overlap`: how far before its cursor each pull begins, as channels index late. `subscription` tells the state of
    our webhook there ("active", "disabled", "none"), where the channel has one.
    """

    open: Callable[[Access], Api]
    pages: Callable[[Api, Access, datetime, datetime], Iterator[Page]]
    overlap: timedelta = timedelta(minutes=5)
    first_days: int = 60  # how far back the first pull reaches unless the connection says otherwise
    subscription: Callable[[Api, Access], str] | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """One adapter. `own_numbers`: customer numbers are the channel's own, and mean nothing elsewhere.

    `mails_customers`: it mails its customers itself, and wants nobody else to.
    """

    name: str
    title: str
    elements: Callable[[bytes, Delivery], Iterator[Element]]
    order: Callable[[Any, Delivery], Order | Deletion | Ignored]
    own_numbers: bool = True
    push: Push | None = None
    pull: Pull | None = None
    mails_customers: bool = False


def utc(moment: datetime) -> datetime:
    """The same instant in UTC."""
    return moment.astimezone(UTC)
