"""Domains that were not found when mail bounced: whether the DNS still knows of none, some hours later."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import address_marks, mail_domains, suppressions, tables
from data.address_marks import Address, Record
from data.mail_domains import Source
from data.soft_bounces import SOURCE
from data.suppressions import NewSuppression
from domain import mailbox_groups
from domain.address_marks import LOOK_AGAIN_AFTER, MarkKind
from domain.suppression import Reason

# Of whom the DNS told nothing for so long it may stay silent for ever: what waits behind it has its turn.
_ASKED_FOR = timedelta(days=7)


def due(connection: sa.Connection, *, now: datetime, look_ups: int) -> dict[str, list[Address]]:
    """Domains to ask for once more, the oldest bounce first, and whose addresses bounced there.

    An address that no customer has any more needs no look: nobody mails it.
    """
    mark, party = tables.address_marks.c, tables.parties.c
    domain = mail_domains.of_column(party.email, connection.dialect.name)
    query = (
        sa.select(mark.account_id, mark.address_hash, domain.label("domain"))
        .join_from(
            tables.address_marks,
            tables.parties,
            (party.account_id == mark.account_id) & (party.address_hash == mark.address_hash),
        )
        .where(mark.kind == MarkKind.NO_HOST, mark.looked_at.is_(None))
        .where(mark.at.between(now - _ASKED_FOR, now - LOOK_AGAIN_AFTER))
        .order_by(mark.at, mark.account_id, mark.address_hash)
    )
    found: dict[str, list[Address]] = {}
    for account_id, address_hash, name in connection.execute(query):
        if name not in found and len(found) == look_ups:
            break
        addresses = found.setdefault(name, [])
        if (one := Address(account_id, address_hash)) not in addresses:
            addresses.append(one)
    return found


def settle(
    connection: sa.Connection,
    asked: Mapping[str, Collection[Address]],
    hosts: Mapping[str, tuple[str, ...] | None],
    *,
    now: datetime,
) -> int:
    """Write what the DNS said; how many addresses are suppressed now that were not.

    Where it says that a domain receives no mail (no such domain, or a null MX), its addresses are gone. Where it names
    hosts, the bounce stays a soft one. Where it cannot tell, it is asked again.
    """
    told = {domain: found for domain, found in hosts.items() if found is not None}
    _remember(connection, told, now)
    settled = [one for domain in told for one in asked[domain]]
    held = address_marks.held(connection, settled)
    gone = [one for domain, found in told.items() if not found for one in asked[domain]]
    new = [
        NewSuppression(
            *one,
            reason=Reason.HARD_BOUNCE,
            source=SOURCE,
            evidence="its domain was not found when mail bounced, and receives no mail by the DNS later either",
            created_at=at,
            recorded_at=now,
        )
        for one in gone
        if (at := _bounced_at(held[one])) is not None
    ]
    _looked(connection, settled, now)
    return suppressions.add_many(connection, new)


def _bounced_at(known: Record) -> datetime | None:
    """When it bounced for this last; None where mail arrived since."""
    last = max(known.of(MarkKind.NO_HOST), default=None)
    return None if last is None or any(one > last for one in known.successes) else last


def _remember(connection: sa.Connection, told: Mapping[str, tuple[str, ...]], now: datetime) -> None:
    """The look-up serves the mailbox groups as well; a domain of the offline table keeps its group."""
    free = {domain: found for domain, found in told.items() if mailbox_groups.of_domain(domain) is None}
    groups = {domain: mailbox_groups.of_mx(found) for domain, found in free.items() if found}
    nowhere = {domain: mailbox_groups.OTHER for domain, found in free.items() if not found}
    mail_domains.remember(connection, groups, Source.MX, now=now)
    mail_domains.remember(connection, nowhere, Source.NONE, now=now)


def _looked(connection: sa.Connection, addresses: Collection[Address], now: datetime) -> None:
    mark = tables.address_marks
    for account_id, hashes in address_marks.by_account(addresses):
        mine = (mark.c.account_id == account_id) & mark.c.address_hash.in_(hashes) & (mark.c.kind == MarkKind.NO_HOST)
        connection.execute(mark.update().where(mine, mark.c.looked_at.is_(None)).values(looked_at=now))
