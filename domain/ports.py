"""What the engine asks of the outside: tiny, declared here by their consumer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from domain.campaigns import Sender
from domain.delivery import DeliveryEvent, UnreadableEvent
from domain.ledger import Outcome
from domain.routes import Grant
from domain.suppression import Reason, Scope, Stream
from domain.templates import Content


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an ESP can do, as data."""

    batch_size: int
    concurrency: int
    variables_per_recipient: bool
    events: bool
    schedules: bool = False  # takes mail now and lets it go at a time that we name, and can be told to forget it


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
    unsubscribe_urls: Sequence[str]  # of marketing mail; transactional mail has none
    grant: Grant  # by which way it goes
    pool: str | None = None  # of the ESP's own addresses, where it has several
    send_at: datetime | None = None  # when the ESP is to let it go; None: at once
    schedule_id: str | None = None  # the ESP's name for a scheduled batch, by which it can be cancelled

    @property
    def transactional(self) -> bool:
        """Whether the customer waits for it: it bears no way to unsubscribe, and no unsubscribed one is left out."""
        return self.grant.route.stream is Stream.TRANSACTIONAL

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

    def claim(self, run_id: str, *, worker: str) -> Batch | None:
        """Take the next planned batch that may go now, and choose its way, durably, before anything is sent.

        None when there is none.
        """
        ...

    def ask_again_seconds(self) -> float | None:
        """After how long one who found none may find one, as far as that is known; None: nothing says when."""
        ...

    def may_send(self, batch: Batch) -> bool:
        """Whether the lease will outlast a request that begins now: a worker may have slept since the claim."""
        ...

    def record(self, batch: Batch, outcome: Outcome, *, seconds: float) -> None:
        """Write what came of it, and how long the ESP took. Raises LeaseLost, or AllRefused once it is written.

        After the lease only that no request was begun (`Outcome.local`) is still taken.
        """
        ...


class Finding(StrEnum):
    """What an ESP says of an attempt whose outcome is unknown."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"  # proved: it may go again
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class UnknownAttempt:
    """An attempt that nobody knows the outcome of, with what an ESP can be asked by.

    `known_attempt_id`: another attempt of the same run through the same ESP that was accepted after this one began, if
    there is any: an ESP that cannot find that one either is behind, and its silence about this one proves nothing.
    """

    attempt_id: str
    run_id: str
    claimed_at: datetime
    schedule_id: str | None
    send_at: datetime | None
    known_attempt_id: str | None
    # Sooner its record may lack what it has: of campaigns nobody waits; of what a customer waits for, minutes must do.
    look_up_after: timedelta = timedelta(minutes=30)


# An answer of this kind says that the ESP may not be asked anything more for a minute.
PUT_OFF = "put_off"


@dataclass(frozen=True, slots=True)
class Answer:
    """The finding, how it was found (a domain.ledger.ProofKind) and the ESP's raw words without any address.

    Where the ESP cannot tell, `kind` names the way that was tried, or is PUT_OFF.
    """

    finding: Finding
    kind: str
    raw: str


class Inquirer(Protocol):
    """An ESP that can be asked, or told to forget, what became of an attempt. Asking again is always safe."""

    def inquire(self, attempt: UnknownAttempt, *, now: datetime) -> Answer:
        """Never raises for what the wire did: then the ESP cannot tell."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class Scheduler(Protocol):
    """An ESP that lets mail go later, and can be told before then not to."""

    def new_schedule(self) -> str:
        """A name for one scheduled batch, made before the batch is claimed. Raises SchedulingFailed."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class SchedulingFailed(RuntimeError):
    """The ESP gave no name for a schedule; nothing was sent."""


class EventReader(Protocol):
    """An ESP's webhook: two pure functions."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool: ...

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]: ...


@dataclass(frozen=True, slots=True)
class ListedSuppression:
    """One row of an ESP's own suppression list.

    `reason` None: it is evidence and no reason not to mail, such as a block, which was the sender's trouble of that day.
    `listing` is the list in the ESP's words; `expires_at`: when the ESP itself forgets the row; not `dated`: the list does
    not tell since when, and `created_at` is the latest that it can be.
    """

    address: str
    reason: Reason | None
    created_at: datetime
    detail: str
    listing: str = ""
    expires_at: datetime | None = None
    dated: bool = True


class ListsCutShort(RuntimeError):
    """The ESP tells only so many rows, and those were told. The message says how the rest comes."""


class SuppressionSource(Protocol):
    """An ESP's own suppression lists, read by time window."""

    def suppressions(self, since: datetime, until: datetime) -> Iterable[ListedSuppression]:
        """Yield the rows of all lists. Raises ListsCutShort at the end where the ESP tells no more."""
        ...


class SuppressionSink(Protocol):
    """An ESP's own suppression lists, written to, so that mail that goes past us is refused there. Safe to repeat."""

    @property
    def at_once(self) -> int:
        """So many addresses a call of `put`: what is lost of a night that dies is one call."""
        ...

    def list_for(self, scope: Scope) -> str | None:
        """Onto which list a refusal of this scope goes; None where the ESP has none that stops no more than that."""
        ...

    def refusing(self, scope: Scope) -> Sequence[str]:
        """On which lists an address is refused at least as far as this scope says."""
        ...

    def naming(self, reason: Reason) -> Sequence[str]:
        """Which of its lists the ESP itself puts an address on for that reason."""
        ...

    def put(self, listing: str, addresses: Sequence[str]) -> Sequence[str]:
        """Put them on the list; those that the ESP does not take, so that nobody can mail them through it either."""
        ...

    def take_off(self, listing: str, address: str) -> bool:
        """Take it off, where it is on it; False where only the person herself can."""
        ...


class NameServer(Protocol):
    """The DNS, as far as mail needs it."""

    def mail_hosts(self, domain: str) -> tuple[str, ...] | None:
        """Where a domain receives mail, the most preferred first: empty where it receives none. None: cannot tell.

        Never raises, and answers within seconds.
        """
        ...
