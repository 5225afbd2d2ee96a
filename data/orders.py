"""Orders in: governed orders of one channel into the store, as often and in whatever order they come.

The version decides (`updated_at`, then when the state was seen): a newer state of an order replaces an older one, an
older one never a newer one, and a repetition changes nothing. Two states with one version cannot be ordered: the second
is a conflict, and goes to the dead letters. What was deleted stays deleted until a later change.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from data import accounts, dead_letters, order_rows, parties, tables
from data.order_rows import Known
from data.parties import Key, Told
from domain.orders import Deletion, Order

CONFLICT_RULE = "conflict"
CONFLICT = (
    "this state of the order has the same time of change as the one that is held, and says something else: the one held "
    "was kept. If it is the rest of an order whose rows stand apart in a file, keep them together and load the file again"
)


class Verdict(StrEnum):
    """What became of one state of an order."""

    LOADED = "loaded"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    DELETED = "deleted"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Source:
    """Where orders come from: whose they are, and whose customer numbers they use."""

    account_id: str
    channel: str
    numbering: str
    pepper: str


@dataclass(slots=True)
class Taken:
    """What was done: the verdict of each item in its place, and how often each was given."""

    verdicts: list[Verdict] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)


def take_in(connection: sa.Connection, items: Sequence[Order | Deletion], source: Source, *, now: datetime) -> Taken:
    """Bring all items into the store, in the caller's transaction. Raises UnknownAccount.

    At most some thousands at once: they are looked up by their ids.
    """
    accounts.lock(connection, source.account_id)
    orders = [item for item in items if isinstance(item, Order)]
    deleted = [item for item in items if isinstance(item, Deletion)]
    known = order_rows.known(
        connection, source.account_id, source.channel, dict.fromkeys(order.external_id for order in orders)
    )
    taken, writes, seen, heard = _decide(items, known)
    people = _people(connection, heard, source, now)
    placed = [order_rows.Placed(order, people[_key(order, source)], digest) for order, digest in writes.values()]
    order_rows.write(connection, source.account_id, source.channel, placed, known)
    order_rows.note_seen(connection, seen)
    if deleted:
        order_rows.delete(connection, source.account_id, source.channel, deleted)
    said = {(people[_key(order, source)], order.customer.consent) for order in heard if order.customer.consent}
    parties.record_consents(connection, source.account_id, source.channel, said, now=now)
    return taken


def _key(order: Order, source: Source) -> Key:
    return parties.key(order, channel=source.channel, numbering=source.numbering, pepper=source.pepper)


def _people(connection: sa.Connection, heard: Sequence[Order], source: Source, now: datetime) -> dict[Key, int]:
    """What all but the refused say of customers counts, also a state that is older than the one held."""
    told: dict[Key, list[Told]] = {}
    for order in heard:
        told.setdefault(_key(order, source), []).append(Told(order.customer, order.updated_at))
    return parties.take_in(connection, source.account_id, told, pepper=source.pepper, now=now)


def _decide(
    items: Sequence[Order | Deletion], known: Mapping[str, Known]
) -> tuple[Taken, dict[str, tuple[Order, str]], dict[int, datetime], list[Order]]:
    """The verdicts; the newest state of each order that is to be written, with its hash; what was seen again; all heard.

    A state that is held and was seen again later counts from then on as of then: another state seen in between is older.
    """
    taken, latest = Taken(), dict(known)
    writes: dict[str, tuple[Order, str]] = {}
    seen: dict[int, datetime] = {}
    heard: list[Order] = []
    for item in items:
        if isinstance(item, Deletion):
            verdict = Verdict.DELETED
        else:
            digest = order_rows.content_hash(item)
            held = latest.get(item.external_id)
            verdict = _verdict(item, digest, held)
            newer = held is None or item.version > held.version
            if verdict in (Verdict.LOADED, Verdict.UPDATED):
                writes[item.external_id] = (item, digest)
                latest[item.external_id] = Known(None, item.version, digest)
            elif verdict is Verdict.UNCHANGED and newer and held is not None:
                latest[item.external_id] = Known(held.id, item.version, digest)
                if held.id is None:
                    writes[item.external_id] = (item, digest)
                else:
                    seen[held.id] = item.version[1]
            if verdict is not Verdict.CONFLICT:
                heard.append(item)
        taken.verdicts.append(verdict)
        taken.tally[verdict] += 1
    return taken, writes, seen, heard


def _verdict(order: Order, digest: str, known: Known | None) -> Verdict:
    if known is None:
        return Verdict.LOADED
    if digest == known.content_hash and order.updated_at == known.version[0]:
        return Verdict.UNCHANGED
    if order.version == known.version:
        return Verdict.CONFLICT
    return Verdict.UPDATED if order.version > known.version else Verdict.STALE


def close_superseded(connection: sa.Connection, source: Source, orders: Sequence[Order], *, now: datetime) -> int:
    """End the open dead letters of orders of which a sound state, not an older one, has now come; return how many."""
    letter = tables.dead_letters.c
    state_at = sa.bindparam("state_at", type_=letter.as_of.type)
    theirs = (
        sa.update(tables.dead_letters)
        .where(
            letter.account_id == source.account_id,
            letter.source == source.channel,
            letter.external_id == sa.bindparam("order_id"),
            letter.state == dead_letters.State.OPEN,
            (letter.as_of < state_at) | ((letter.as_of == state_at) & (letter.rule != CONFLICT_RULE)),
        )
        .values(state=dead_letters.State.SUPERSEDED, ended_at=now, ended_by="intake")
    )
    waiting = dead_letters.waiting(connection, source.account_id, source.channel)
    values = [
        {"order_id": order.external_id, "state_at": order.updated_at}
        for order in orders
        if order.external_id in waiting
    ]
    return connection.execute(theirs, values).rowcount if values else 0
