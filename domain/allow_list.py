"""Whom an installation may mail at all: outside production only its own people, whatever a run says.

A copy of the shop's database holds real customers. `guarded` stands around a Mailer (and `guarded_host` around a
CampaignHost) so that nothing above it, a flow, a task or a typing mistake, can reach them: whoever opens one wraps it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain import addresses
from domain.campaign_host import CampaignHost, HostedCampaign, HostRefuses, HostStatus, Member, MemberRefusal
from domain.delivery import DeliveryEvent
from domain.ledger import Outcome, OutcomeKind
from domain.ports import Batch, Capabilities, Mailer

PRODUCTION = "production"
REFUSED = "not on this environment's list of internal addresses (OMS_PREFLIGHT_MAILBOXES): it was not sent"


class InvalidEntry(ValueError):
    """What stands on the list is neither an address nor @domain."""


@dataclass(frozen=True)
class AllowList:
    """Internal addresses: exact ones, and `@domain` for all of one domain (not of its subdomains).

    Raises InvalidEntry. An empty list allows nobody.
    """

    entries: Sequence[str] = ()
    _exact: frozenset[str] = field(init=False, repr=False)
    _domains: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            canonical = [addresses.canonical(f"x{one.strip()}" if _is_domain(one) else one) for one in self.entries]
        except addresses.InvalidAddress as error:  # it never repeats the text
            raise InvalidEntry(f"an internal mailbox is an address, or @ and a domain: {error}") from None
        pairs = list(zip(self.entries, canonical, strict=True))
        domains = frozenset(found.rpartition("@")[2] for entry, found in pairs if _is_domain(entry))
        object.__setattr__(self, "_exact", frozenset(found for entry, found in pairs if not _is_domain(entry)))
        object.__setattr__(self, "_domains", domains)

    def allows(self, address: str) -> bool:
        """Is it internal? What is no address is not. Matched in canonical form, as suppressions are."""
        try:
            found = addresses.canonical(address)
        except addresses.InvalidAddress:
            return False
        return found in self._exact or found.rpartition("@")[2] in self._domains

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """Those that mail can be sent to: a whole domain is none."""
        return tuple(one.strip() for one in self.entries if not _is_domain(one))


def _is_domain(entry: str) -> bool:
    return entry.strip().startswith("@")


def guarded(mailer: Mailer, allowed: AllowList, environment: str, *, rehearsal: bool) -> Mailer:
    """The mailer itself in production and where it delivers to nobody; anywhere else one that mails internally only."""
    return mailer if rehearsal or environment == PRODUCTION else InternalMailer(mailer, allowed)


def guarded_host(host: CampaignHost, allowed: AllowList, environment: str, *, rehearsal: bool) -> CampaignHost:
    """The same of a campaign host."""
    return host if rehearsal or environment == PRODUCTION else InternalHost(host, allowed)


_FORBIDDEN = Outcome(OutcomeKind.REJECTED, detail=REFUSED, local=True, forbidden=True)
_LATER = Outcome(
    OutcomeKind.NOT_SENT, detail="goes without those who may not be mailed", retry_after=timedelta(0), local=True
)


class InternalMailer:
    """Hands over the messages to internal addresses, and refuses the rest before any connection."""

    def __init__(self, mailer: Mailer, allowed: AllowList) -> None:
        self._mailer = mailer
        self._allowed = allowed

    @property
    def capabilities(self) -> Capabilities:
        return self._mailer.capabilities

    def send(self, batch: Batch) -> Outcome:
        """As the mailer's own, where all are internal; else nothing is sent: the others go as a batch of their own.

        A part sent under the whole batch's name would be judged by an answer that is not about the whole.
        """
        kept = {
            message_id
            for message_id, address in zip(batch.message_ids, batch.addresses, strict=True)
            if self._allowed.allows(address)
        }
        if len(kept) == len(batch):
            return self._mailer.send(batch)
        if not kept and len(batch) == 1:
            return _FORBIDDEN
        each = {one: _LATER if one in kept else _FORBIDDEN for one in batch.message_ids}
        return Outcome(OutcomeKind.NOT_SENT, detail=REFUSED, local=True, exceptions=each)

    def close(self) -> None:
        self._mailer.close()


class InternalHost:
    """A host that is given internal members only, and tests with internal mailboxes only."""

    def __init__(self, host: CampaignHost, allowed: AllowList) -> None:
        self._host = host
        self._allowed = allowed

    @property
    def members_at_once(self) -> int:
        return self._host.members_at_once

    def prepare(self, key: str, variables: Sequence[str]) -> None:
        self._host.prepare(key, variables)

    def put_members(self, key: str, members: Sequence[Member]) -> Sequence[MemberRefusal]:
        """As the host's own; whoever is not internal is refused and never told to the host."""
        internal = [one for one in members if self._allowed.allows(one.address)]
        inside = {one.message_id for one in internal}
        refused = [MemberRefusal(one.message_id, REFUSED) for one in members if one.message_id not in inside]
        return [*refused, *(self._host.put_members(key, internal) if internal else ())]

    def leave_out(self, key: str, addresses: Sequence[str]) -> None:
        self._host.leave_out(key, addresses)

    def members(self, key: str) -> int:
        return self._host.members(key)

    def campaign(self, campaign: HostedCampaign) -> str:
        return self._host.campaign(campaign)

    def fill(self, campaign_id: str, campaign: HostedCampaign) -> None:
        self._host.fill(campaign_id, campaign)

    def faults(self, campaign_id: str) -> Sequence[str]:
        return self._host.faults(campaign_id)

    def test(self, campaign_id: str, addresses: Sequence[str]) -> None:
        """As the host's own. Raises HostRefuses where one of them is not internal: nothing was sent to any."""
        if not all(map(self._allowed.allows, addresses)):
            raise HostRefuses(f"a test address is {REFUSED}")
        self._host.test(campaign_id, addresses)

    def goes_at(self, at: datetime) -> datetime:
        return self._host.goes_at(at)

    def schedule(self, campaign_id: str, at: datetime) -> Outcome:
        return self._host.schedule(campaign_id, at)

    def unschedule(self, campaign_id: str) -> None:
        self._host.unschedule(campaign_id)

    def discard(self, campaign_id: str) -> None:
        self._host.discard(campaign_id)

    def status(self, campaign_id: str) -> HostStatus:
        return self._host.status(campaign_id)

    def clear(self, key: str) -> None:
        self._host.clear(key)

    def events(self, campaign_id: str, *, since: datetime | None) -> Iterable[DeliveryEvent]:
        return self._host.events(campaign_id, since=since)

    def close(self) -> None:
        self._host.close()
