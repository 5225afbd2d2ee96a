"""What is remembered against addresses: written with the events, judged apart from them, address by address.

Whoever judges holds all marks of an address, and reckons from all of them (domain.address_marks). So it may be done at
any time, by any number of processes, and as often as one likes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from data import database, tables
from domain.address_marks import ENGAGED_WITHIN, SOFT, MarkKind
from domain.delivery import Seen

# Addresses that are judged in a transaction.
AT_ONCE = 200
# The key of a mark that names no run is its day. ESPs try for 72 hours: within these it is the same mail's.
_DAY = "day:"
_SAME_MAIL = timedelta(hours=72)


class NewMark(NamedTuple):
    """A mark to keep. `run_id` None: the event names no message of ours."""

    account_id: str
    address_hash: str
    kind: MarkKind
    run_id: str | None
    at: datetime


class Address(NamedTuple):
    """A mailbox of one account's customers."""

    account_id: str
    address_hash: str


@dataclass(slots=True)
class Record:
    """All that is known of an address. `bounces`: of one run each kind once. `acts`: opened, clicked, ordered."""

    bounces: dict[MarkKind, dict[str, datetime]] = field(default_factory=lambda: defaultdict(dict))
    successes: set[datetime] = field(default_factory=set)
    acts: set[datetime] = field(default_factory=set)
    active: bool = False

    def of(self, *kinds: MarkKind) -> list[datetime]:
        """When each run was refused for one of these, once a run; what names no run, only where no run's is near."""
        found: dict[str, datetime] = {}
        for kind in kinds:
            for message, at in self.bounces[kind].items():
                found[message] = max(at, found.get(message, at))
        named = [at for message, at in found.items() if not message.startswith(_DAY)]
        return named + [
            at
            for message, at in found.items()
            if message.startswith(_DAY) and not any(abs(at - one) <= _SAME_MAIL for one in named)
        ]

    @property
    def soft(self) -> list[datetime]:
        return self.of(*SOFT)


def record(connection: sa.Connection, new: Iterable[NewMark]) -> None:
    """Keep marks: of one kind and run the last time it was said. What says nothing new changes nothing."""
    latest: dict[tuple[str, str, MarkKind, str], datetime] = {}
    for one in new:
        key = (one.account_id, one.address_hash, one.kind, _message(one))
        latest[key] = max(one.at, latest.get(key, one.at))
    if not latest:
        return
    table = tables.address_marks
    insert = database.insert(connection, table)
    kept = insert.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_={"at": insert.excluded.at, "judged_at": sa.null(), "looked_at": sa.null()},
        where=table.c.at < insert.excluded.at,
    )
    values = [
        {"account_id": account, "address_hash": mailbox, "kind": kind.value, "message": message, "at": latest[key]}
        for key in sorted(latest)
        for account, mailbox, kind, message in [key]
    ]
    connection.execute(kept, values)


def _message(mark: NewMark) -> str:
    if mark.kind is MarkKind.ARRIVED or mark.kind is MarkKind.LIFTED:
        return ""  # only the last one counts
    return mark.run_id or f"{_DAY}{mark.at:%Y-%m-%d}"


def news(connection: sa.Connection) -> list[Address]:
    """Addresses of which something is not judged yet, so many at a time."""
    mark = tables.address_marks.c
    query = sa.select(mark.account_id, mark.address_hash).where(mark.judged_at.is_(None)).distinct()
    return [Address(*row) for row in connection.execute(query.limit(AT_ONCE))]


def recall(connection: sa.Connection, *, now: datetime) -> int:
    """Have judged again what may have changed without an event of the address's own; how many marks those are.

    A soft limit that stands ends with the next success, and of a hard bounce it may come out late who had opened.
    """
    mark, refusal = tables.address_marks, tables.suppressions.c
    standing = (
        sa.select(refusal.id)
        .where(
            refusal.account_id == mark.c.account_id,
            refusal.address_hash == mark.c.address_hash,
            refusal.reason == "soft_limit",
            refusal.lifted_at.is_(None),
            refusal.expires_at > now,
        )
        .exists()
    )
    lately = (mark.c.kind == MarkKind.GONE) & (mark.c.at > now - timedelta(days=7))
    again = mark.update().where(mark.c.judged_at.is_not(None), lately | standing).values(judged_at=None)
    return connection.execute(again).rowcount


def held(connection: sa.Connection, addresses: Collection[Address]) -> dict[Address, Record]:
    """All that is known of these addresses; their marks are locked until the transaction ends."""
    mark = tables.address_marks
    found: dict[Address, Record] = {one: Record() for one in addresses}
    for account_id, hashes in by_account(addresses):
        query = (
            sa.select(mark)
            .where(mark.c.account_id == account_id, mark.c.address_hash.in_(hashes))
            .order_by(mark.c.address_hash, mark.c.kind, mark.c.message)
            .with_for_update()
        )
        for row in connection.execute(query):
            one, kind = found[Address(account_id, row.address_hash)], MarkKind(row.kind)
            if kind in {MarkKind.ARRIVED, MarkKind.LIFTED}:
                one.successes.add(row.at)
            else:
                one.bounces[kind][row.message] = row.at
        _add_mail(connection, account_id, hashes, found)
        _add_orders(connection, account_id, hashes, found)
    return found


def _add_mail(connection: sa.Connection, account_id: str, hashes: Sequence[str], found: dict[Address, Record]) -> None:
    """What became of all mail to these mailboxes. What was delivered and came back later did not arrive."""
    party, member, told = tables.parties.c, tables.audience.c, tables.message_delivery
    query = (
        sa.select(
            party.address_hash,
            told.c.seen,
            told.c.delivered_at,
            told.c.opened_at,
            told.c.human_opened_at,
            told.c.clicked_at,
        )
        .join_from(tables.parties, tables.audience, member.party_id == party.id)
        .join(told, (told.c.run_id == member.run_id) & (told.c.ordinal == member.ordinal))
        .where(
            party.account_id == account_id,
            party.address_hash.in_(hashes),
            member.address_hash == party.address_hash,
        )
    )
    for row in connection.execute(query):
        one = found[Address(account_id, row.address_hash)]
        arrived = row.delivered_at if not row.seen & (Seen.BOUNCED | Seen.DROPPED) else None
        acts = {at for at in (row.human_opened_at, row.clicked_at) if at is not None}
        one.successes |= acts | {at for at in (arrived, row.opened_at) if at is not None}
        one.acts |= acts
        one.active = one.active or bool(acts)


def _add_orders(
    connection: sa.Connection, account_id: str, hashes: Sequence[str], found: dict[Address, Record]
) -> None:
    first = min((min(one.of(MarkKind.GONE)) for one in found.values() if one.bounces[MarkKind.GONE]), default=None)
    if first is None:
        return
    party, order = tables.parties.c, tables.orders.c
    query = (
        sa.select(party.address_hash, order.placed_at)
        .join_from(tables.parties, tables.orders, order.party_id == party.id)
        .where(party.account_id == account_id, party.address_hash.in_(hashes))
        .where(order.placed_at >= first - ENGAGED_WITHIN, order.is_test.is_(False))
    )
    for mailbox, at in connection.execute(query):
        found[Address(account_id, mailbox)].acts.add(at)


def settle(connection: sa.Connection, addresses: Collection[Address], *, now: datetime) -> None:
    """All that is known of these addresses is judged."""
    mark = tables.address_marks
    for account_id, hashes in by_account(addresses):
        done = mark.update().where(mark.c.account_id == account_id, mark.c.address_hash.in_(hashes))
        connection.execute(done.where(mark.c.judged_at.is_(None)).values(judged_at=now))


def by_account(addresses: Iterable[Address]) -> Iterator[tuple[str, list[str]]]:
    """Hashes by account, in one order everywhere: two that lock them never deadlock."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in sorted(addresses):
        found[one.account_id].append(one.address_hash)
    yield from sorted(found.items())
