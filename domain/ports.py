"""What the engine asks of the outside: tiny, declared here by their consumer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.campaigns import Sender
from domain.delivery import DeliveryEvent, UnreadableEvent
from domain.ledger import Outcome
from domain.suppression import Reason
from domain.templates import Content


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an ESP can do, as data."""

    batch_size: int
    concurrency: int
    variables_per_recipient: bool
    events: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request carries: one content, and N messages as columns of equal length."""

    run_id: str
    batch_id: int
    attempt_id: str
    lease_expires_at: datetime
    campaign: str
    content: Content
    sender: Sender
    message_ids: Sequence[str]
    addresses: Sequence[str]
    variables: Mapping[str, Sequence[str]]
    unsubscribe_urls: Sequence[str]

    def __len__(self) -> int:
        return len(self.message_ids)


class Unsendable(ValueError):
    """The batch cannot become a request: a fault of the campaign or of our program. Nothing was sent."""


class Mailer(Protocol):
    """An ESP that takes one content and up to N personalizations in one request."""

    @property
    def capabilities(self) -> Capabilities: ...

    def send(self, batch: Batch) -> Outcome:
        """Hand over once; never raises for what the wire did, never tries again. Raises Unsendable beforehand."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class Ledger(Protocol):
    """The durable record of who was claimed by whom and what came of it."""

    def claim(self, run_id: str, *, worker: str, provider: str) -> Batch | None:
        """Take the next planned batch, durably, before anything is sent; None when there is none to take now."""
        ...

    def may_send(self, batch: Batch) -> bool:
        """Whether the lease will outlast a request that begins now: a worker may have slept since the claim."""
        ...

    def record(self, batch: Batch, outcome: Outcome) -> None:
        """Write what came of it. Raises LeaseLost, or AllRefused once it is written."""
        ...


class EventReader(Protocol):
    """An ESP's webhook: two pure functions."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool: ...

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]: ...


@dataclass(frozen=True, slots=True)
class ListedSuppression:
    """One row of an ESP's own suppression list."""

    address: str
    reason: Reason
    created_at: datetime
    detail: str


class SuppressionSource(Protocol):
    """An ESP's own suppression lists, read by time window."""

    def suppressions(self, since: datetime, until: datetime) -> Iterable[ListedSuppression]: ...


class AcceptanceRecord(Protocol):
    """An ESP that can be asked what it accepted; not every ESP can."""

    def accepted(self, run_id: str) -> Mapping[str, int]:
        """How many times each message id was accepted."""
        ...
