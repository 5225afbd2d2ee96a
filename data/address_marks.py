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

from data import correlation, database, tables
from domain.address_marks import ENGAGED_WITHIN, REMEMBERED, SOFT, MarkKind
from domain.delivery import Seen
from domain.suppression import Reason

# Addresses that are judged in a transaction, and marks that are recalled or forgotten in one.
AT_ONCE = 200
_MARKS_AT_ONCE = 1000
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


def troubled(connection: sa.Connection, address_hashes: Collection[str]) -> set[str]:
    """Which of these addresses have a mark against them, in any account."""
    mark = tables.address_marks.c
    found: set[str] = set()
    against = mark.kind.not_in((MarkKind.ARRIVED, MarkKind.LIFTED))
    mine = mark.account_id.in_(sa.select(tables.accounts.c.id))  # the key begins with the account
    for some in correlation.chunks(sorted(address_hashes)):
        those = mark.address_hash.in_(some)
        found.update(connection.scalars(sa.select(mark.address_hash).where(mine, those, against)))
    return found


def news(connection: sa.Connection) -> list[Address]:
    """Addresses of which something is not judged yet, so many at a time."""
    mark = tables.address_marks.c
    query = sa.select(mark.account_id, mark.address_hash).where(mark.judged_at.is_(None)).distinct()
    return [Address(*row) for row in connection.execute(query.limit(AT_ONCE))]


def recall(engine: sa.Engine, *, now: datetime) -> int:
    """Have judged again what may have changed without an event of the address's own; how many marks those are.

    A soft limit that stands ends with a success in a run, and of a hard bounce it may come out late who had opened. A
    mark that somebody else holds is being judged just now.
    """
    mark = tables.address_marks.c
    judged = mark.judged_at.is_not(None)
    lately = judged & (mark.kind == MarkKind.GONE) & (mark.at > now - timedelta(days=7))
    standing = judged & mark.kind.in_(SOFT) & _limited(now) & _followed_by_success()
    again = tables.address_marks.update().values(judged_at=None)
    return _in_turns(engine, again, lately) + _in_turns(engine, again, standing)


def forget(engine: sa.Engine, *, now: datetime) -> int:
    """Delete marks older than REMEMBERED; how many. Those of an address whose soft limit is in force are its reason."""
    mark = tables.address_marks.c
    over = mark.kind.in_(list(MarkKind)) & (mark.at < now - REMEMBERED) & ~_limited(now)
    return _in_turns(engine, tables.address_marks.delete(), over)


def _limited(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a soft limit is in force at the mark's address."""
    mark, refusal = tables.address_marks.c, tables.suppressions.c
    limits = sa.select(refusal.account_id, refusal.address_hash).where(
        refusal.reason == Reason.SOFT_LIMIT.value, refusal.lifted_at.is_(None), refusal.expires_at > now
    )
    return sa.tuple_(mark.account_id, mark.address_hash).in_(limits)


def _followed_by_success() -> sa.ColumnElement[bool]:
    """Whether mail of a run arrived there after the mark, or was opened or clicked, as _add_mail reads it."""
    mark, party, member = tables.address_marks.c, tables.parties.c, tables.audience.c
    told = tables.message_delivery.c
    came_back = told.seen.bitwise_and(int(Seen.BOUNCED | Seen.DROPPED)) != 0
    times = (told.opened_at, told.human_opened_at, told.clicked_at)
    return (
        sa.select(member.run_id)
        .join_from(tables.parties, tables.audience, member.party_id == party.id)
        .join(tables.message_delivery, (told.run_id == member.run_id) & (told.ordinal == member.ordinal))
        .where(party.account_id == mark.account_id, party.address_hash == mark.address_hash)
        .where(member.address_hash == party.address_hash)
        .where(((told.delivered_at > mark.at) & ~came_back) | sa.or_(*(at > mark.at for at in times)))
        .correlate(tables.address_marks)
        .exists()
    )


def _in_turns(engine: sa.Engine, change: sa.Update | sa.Delete, which: sa.ColumnElement[bool]) -> int:
    """Change these marks, some in a transaction, locked in the key's order as everywhere; how many."""
    key = sa.tuple_(*tables.address_marks.primary_key)
    changed = 0
    after: sa.ColumnElement[bool] = sa.true()
    while True:
        with database.write(engine) as connection:
            query = sa.select(*tables.address_marks.primary_key).where(which, after)
            query = query.order_by(*tables.address_marks.primary_key).limit(_MARKS_AT_ONCE)
            keys = [tuple(row) for row in connection.execute(query.with_for_update(skip_locked=True))]
            if not keys:
                return changed
            changed += connection.execute(change.where(key.in_(keys))).rowcount
            after = key > sa.tuple_(*(sa.literal(one) for one in keys[-1]))


def settle(connection: sa.Connection, addresses: Collection[Address], *, now: datetime) -> None:
    """All that is known of these addresses by now is judged: to be said before `held` reads it.

    PostgreSQL shows each statement what was committed before it. A mark that comes after this one is read by `held`,
    too, and judged once more; the other way round it would be settled without having counted.
    """
    table = tables.address_marks
    for account_id, hashes in by_account(addresses):
        news = _of(account_id, hashes) & table.c.judged_at.is_(None)
        keys = sa.select(*table.primary_key).where(news).order_by(*table.primary_key).with_for_update()
        locked = keys.cte("locked")  # in the key's order, as whoever writes marks locks them
        mine = sa.tuple_(*table.primary_key).in_(sa.select(*locked.c))
        connection.execute(table.update().where(mine, table.c.judged_at.is_(None)).values(judged_at=now))


def _of(account_id: str, hashes: Sequence[str]) -> sa.ColumnElement[bool]:
    mark = tables.address_marks.c
    return (mark.account_id == account_id) & mark.address_hash.in_(hashes)


def held(connection: sa.Connection, addresses: Collection[Address]) -> dict[Address, Record]:
    """All that is known of these addresses; their marks are locked until the transaction ends."""
    mark = tables.address_marks
    found: dict[Address, Record] = {one: Record() for one in addresses}
    for account_id, hashes in by_account(addresses):
        query = sa.select(mark).where(_of(account_id, hashes)).order_by(*mark.primary_key).with_for_update()
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


def by_account(addresses: Iterable[Address]) -> Iterator[tuple[str, list[str]]]:
    """Hashes by account, in one order everywhere: two that lock them never deadlock."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in sorted(addresses):
        found[one.account_id].append(one.address_hash)
    yield from sorted(found.items())
