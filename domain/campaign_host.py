"""A campaign host: an ESP that stores the audience and sends the campaign itself (shared/DESIGN.md section 5).

Every step but the last may be repeated: the host finds what is there by our key, and never makes a second one. The last,
`schedule`, is the request of the ledger: it is claimed and committed before it is made, and is never made twice blindly.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.campaigns import Sender
from domain.delivery import DeliveryEvent
from domain.ledger import Outcome
from domain.suppression import Reason
from domain.templates import Content


class HostUnavailable(RuntimeError):
    """The host gave no usable answer: the step may be repeated later. The message holds its words, and no address."""


class HostRefuses(RuntimeError):
    """The host will not do it, now or later: somebody must mend key, list, content or sender first."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of the audience, as the host is to know her for this run."""

    message_id: str
    address: str
    values: Mapping[str, str]  # of the template's variables, unsubscribe_url among them where the content uses it


@dataclass(frozen=True, slots=True)
class MemberRefusal:
    """A member whom the host does not take. `reason` in its words, without address; `standing`: it says why for good.

    Such as a compliance state: she left, complained or bounced there, and only she can undo it.
    """

    message_id: str
    detail: str
    standing: Reason | None = None


@dataclass(frozen=True, slots=True)
class HostedCampaign:
    """What the host is to send. `key` names the run in the campaign's title, by which it is found again."""

    key: str
    title: str
    content: Content
    sender: Sender


class HostStatus(StrEnum):
    """Where the campaign is, as the host says."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    GONE = "gone"  # there is none of that id any more


class CampaignHost(Protocol):
    """All raise HostUnavailable and HostRefuses, but `goes_at`, and `schedule`, which says its outcome."""

    @property
    def members_at_once(self) -> int:
        """So many of `put_members` in one call."""
        ...

    def prepare(self, key: str, variables: Sequence[str]) -> None:
        """Make what must be there for members' values: fields of this run's own."""
        ...

    def put_members(self, key: str, members: Sequence[Member]) -> Sequence[MemberRefusal]:
        """Store these with their values and put them into the run's segment; who was refused."""
        ...

    def leave_out(self, key: str, addresses: Sequence[str]) -> None:
        """Take these out of the run's segment: they may not be mailed any more."""
        ...

    def members(self, key: str) -> int:
        """How many the run's segment has, as the host counts."""
        ...

    def campaign(self, campaign: HostedCampaign) -> str:
        """Find the campaign of this key, or make it; its id. What a broken answer left twice is deleted as draft."""
        ...

    def fill(self, campaign_id: str, campaign: HostedCampaign) -> None:
        """Give it its content, which may be another than it has."""
        ...

    def faults(self, campaign_id: str) -> Sequence[str]:
        """What the host's own check list holds against sending it; empty: it is ready."""
        ...

    def test(self, campaign_id: str, addresses: Sequence[str]) -> None:
        """Send it to these alone."""
        ...

    def goes_at(self, at: datetime) -> datetime:
        """When it would go if it were scheduled now for `at`: hosts let mail go at times of their own. No request."""
        ...

    def schedule(self, campaign_id: str, at: datetime) -> Outcome:
        """Have it sent at `goes_at(at)`. One request; never raises for the wire."""
        ...

    def unschedule(self, campaign_id: str) -> None:
        """Call it back. Raises HostRefuses where it goes out already."""
        ...

    def discard(self, campaign_id: str) -> None:
        """Delete the draft, so that nobody can send it; safe to repeat. Raises HostRefuses where it is no draft."""
        ...

    def status(self, campaign_id: str) -> HostStatus:
        """Where it is."""
        ...

    def clear(self, key: str) -> None:
        """Take away what only this run needed (fields, segment) once it has settled; the campaign and its report stay."""
        ...

    def events(self, campaign_id: str, *, since: datetime | None) -> Iterable[DeliveryEvent]:
        """What the host tells of its recipients: sent, bounced, opened, clicked, left, complained.

        `since`: of an earlier call that was made when all of it was out already; None: all that is told.
        """
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...
