"""Delivery events in our words, and the lattice that folds them: any order, any repetition, same state."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, IntFlag, StrEnum
from functools import lru_cache
from hashlib import blake2b

from domain.suppression import Reason


class EventKind(StrEnum):
    """What an ESP told us. `dropped`: the ESP took it and then refused to hand it on."""

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENED = "opened"
    CLICKED = "clicked"
    UNKNOWN = "unknown"


class BounceClass(StrEnum):
    """What a refusal means for the address."""

    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"
    UNDETERMINED = "undetermined"


class Fault(StrEnum):
    """Whose fault a refusal is; only the recipient's suppresses a person."""

    RECIPIENT = "recipient"
    SENDER = "sender"
    CONTENT = "content"
    PROVIDER = "provider"
    UNKNOWN = "unknown"


class Severity(IntEnum):
    """Bounce classes as numbers: of two that contradict each other the larger one is kept."""

    NONE = 0
    UNDETERMINED = 1
    SOFT = 2
    BLOCK = 3
    HARD = 4


SEVERITY = {
    None: Severity.NONE,
    BounceClass.UNDETERMINED: Severity.UNDETERMINED,
    BounceClass.SOFT: Severity.SOFT,
    BounceClass.BLOCK: Severity.BLOCK,
    BounceClass.HARD: Severity.HARD,
}


class Seen(IntFlag):
    """One bit a fact; the join of two states is their bitwise or."""

    NOTHING = 0
    PROCESSED = 1
    DEFERRED = 2
    DELIVERED = 4
    BOUNCED = 8
    DROPPED = 16
    COMPLAINED = 32
    UNSUBSCRIBED = 64
    OPENED = 128
    OPENED_HUMAN = 256
    CLICKED = 512


_BIT = {
    EventKind.PROCESSED: Seen.PROCESSED,
    EventKind.DEFERRED: Seen.DEFERRED,
    EventKind.DELIVERED: Seen.DELIVERED,
    EventKind.BOUNCED: Seen.BOUNCED,
    EventKind.DROPPED: Seen.DROPPED,
    EventKind.COMPLAINED: Seen.COMPLAINED,
    EventKind.UNSUBSCRIBED: Seen.UNSUBSCRIBED,
    EventKind.CLICKED: Seen.CLICKED,
}
_KEY_BYTES = 16  # of 2^64 events of one second two would be taken for one
_PLAIN = frozenset({EventKind.PROCESSED, EventKind.DELIVERED})  # two of three events
_OPENED_BY_HUMAN = Seen.OPENED | Seen.OPENED_HUMAN


@lru_cache(maxsize=8)
def _keyed(pepper: str) -> blake2b:
    """To be copied. The key is as long as BLAKE2b takes one, however long the pepper is."""
    return blake2b(key=blake2b(pepper.encode()).digest(), digest_size=_KEY_BYTES)


@lru_cache(maxsize=16_384)  # many events share a second
def _time_of(at: datetime) -> tuple[str, str]:
    """An instant in a dedupe key, the same in whatever zone it is told: its second in hexadecimal digits, and the whole."""
    return f"{int(at.timestamp()) & 0xFFFFFFFF:08x}", at.astimezone(UTC).isoformat()


@dataclass(slots=True, unsafe_hash=True)
class DeliveryEvent:
    """One normalised fact. `address` is used to correlate and suppress, and is never stored with the event.

    Nobody changes one. It is not frozen, because making one costs three times as much then, for each of millions.
    """

    provider: str
    kind: EventKind
    occurred_at: datetime
    message_id: str | None = None
    attempt_id: str | None = None
    address: str | None = None
    provider_event_id: str | None = None
    provider_message_id: str | None = None
    bounce_class: BounceClass | None = None
    fault: Fault | None = None
    detail: str | None = None
    machine: bool = False
    url: str | None = None
    client: str | None = None  # user agent and ip, to tell two opens of one second apart
    suppresses: str | None = None  # a suppression reason that the ESP states by this event
    cause: str | None = None  # why it was refused, more exactly than by `fault`, where the table of bounces says so

    def dedupe_key(self, pepper: str) -> str:
        """The same for every repetition, also where the ESP changed its own event id (seen at SendGrid).

        Keyed, as it is stored: an event without a message id is known by its address and the ESP's own name of what
        was mailed, and anybody could guess that out of a plain hash. It begins with the second at which it happened,
        so that new keys come to lie side by side in the index: else each event of millions costs a page of its own.
        """
        who = self.message_id or self.address or self.provider_event_id or ""
        if self.message_id is None and self.provider_message_id is not None:
            who = f"{who}\0{self.provider_message_id}"
        second, at = _time_of(self.occurred_at)
        parts = (self.provider, who, self.kind, at, self.url or "", self.client or "")
        # A keyed BLAKE2b (RFC 7693): an HMAC of OpenSSL 3 costs four times as much, and here it is made for each event.
        secret = _keyed(pepper).copy()
        secret.update("\0".join(parts).encode())
        return second + secret.hexdigest()


def standing_refusal(event: DeliveryEvent) -> Reason | None:
    """The suppression that this event calls for.

    Of bounces only a hard one does: a full mailbox empties again, and a block is the sender's trouble.
    """
    if event.suppresses is None or (event.kind is EventKind.BOUNCED and event.bounce_class is not BounceClass.HARD):
        return None
    return Reason(event.suppresses)


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """An element that is no event; `reason` holds no address."""

    position: int
    reason: str


@dataclass(slots=True, unsafe_hash=True)
class DeliveryState:
    """What happened to one message: flags, worst bounce, and the first time of each thing that is reported.

    Nobody changes one; not frozen for the same reason as an event.
    """

    seen: Seen = Seen.NOTHING
    severity: Severity = Severity.NONE
    fault: Fault | None = None
    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    opened_at: datetime | None = None
    human_opened_at: datetime | None = None
    clicked_at: datetime | None = None
    complained_at: datetime | None = None
    unsubscribed_at: datetime | None = None


def state_of(event: DeliveryEvent) -> DeliveryState:
    """The state that one event alone proves."""
    at, kind = event.occurred_at, event.kind
    if kind is EventKind.OPENED:
        if event.machine:
            return DeliveryState(seen=Seen.OPENED, opened_at=at)
        return DeliveryState(seen=_OPENED_BY_HUMAN, opened_at=at, human_opened_at=at)
    seen = _BIT.get(kind, Seen.NOTHING)
    if event.fault is None and kind in _PLAIN:
        return DeliveryState(seen, delivered_at=at if kind is EventKind.DELIVERED else None)
    failed = kind is EventKind.BOUNCED or kind is EventKind.DROPPED
    return DeliveryState(
        seen=seen,
        severity=SEVERITY[event.bounce_class] if failed else Severity.NONE,
        fault=event.fault,
        delivered_at=at if kind is EventKind.DELIVERED else None,
        bounced_at=at if failed else None,
        clicked_at=at if kind is EventKind.CLICKED else None,
        complained_at=at if kind is EventKind.COMPLAINED else None,
        unsubscribed_at=at if kind is EventKind.UNSUBSCRIBED else None,
    )


def join(a: DeliveryState, b: DeliveryState) -> DeliveryState:
    """Least upper bound: commutative, associative, idempotent."""
    worse = a if (a.severity, a.fault or "") >= (b.severity, b.fault or "") else b
    return DeliveryState(
        seen=a.seen | b.seen,
        severity=worse.severity,
        fault=worse.fault,
        delivered_at=_first(a.delivered_at, b.delivered_at),
        bounced_at=_first(a.bounced_at, b.bounced_at),
        opened_at=_first(a.opened_at, b.opened_at),
        human_opened_at=_first(a.human_opened_at, b.human_opened_at),
        clicked_at=_first(a.clicked_at, b.clicked_at),
        complained_at=_first(a.complained_at, b.complained_at),
        unsubscribed_at=_first(a.unsubscribed_at, b.unsubscribed_at),
    )


def _first(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return a or b
    return min(a, b)
