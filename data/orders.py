"""Orders in: governed orders of one channel into the store, as often and in whatever order they come.

The version decides (`updated_at`, then when the state was seen): a newer state of an order replaces an older one, an
older one never a newer one, and a repetition changes nothing. Two states with one version cannot be ordered: the second
is a conflict, and goes to the dead letters. What was deleted stays deleted until a later change.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from data import accounts, dead_letters, order_rows, order_triggers, parties
from data.order_rows import Known
from data.order_triggers import Triggers
from data.parties import Key, Told
from domain.orders import Deletion, Order

_AT_ONCE = 1000
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
    """Where orders come from: whose they are, whose customer numbers they use, and what mail they ask for."""

    account_id: str
    channel: str
    numbering: str
    pepper: str
    triggers: Triggers | None = None


@dataclass(slots=True)
class Taken:
    """What was done: of each item in its place the verdict and the content hash (None of a deletion), and a tally."""

    verdicts: list[Verdict] = field(default_factory=list)
    contents: list[str | None] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)


def take_in(
    connection: sa.Connection,
    items: Sequence[Order | Deletion],
    source: Source,
    *,
    now: datetime,
    corrects: bool = False,
) -> Taken:
    """Bring all items into the store, in the caller's transaction. Raises UnknownAccount.

    `corrects`: the same documents were read before, by a reader with a fault: what they say now is no conflict.
    """
    accounts.lock(connection, source.account_id)
    taken = Taken()
    for start in range(0, len(items), _AT_ONCE):
        _take_in(connection, items[start : start + _AT_ONCE], source, taken, now, corrects=corrects)
    return taken


def _take_in(
    connection: sa.Connection,
    items: Sequence[Order | Deletion],
    source: Source,
    taken: Taken,
    now: datetime,
    *,
    corrects: bool,
) -> None:
    """The same of so many that they can be looked up by their ids at once."""
    heard = [item for item in items if isinstance(item, Order)]
    known = order_rows.known(
        connection, source.account_id, source.channel, dict.fromkeys(order.external_id for order in heard)
    )
    keys = {id(order): parties.key(order, source.channel, source.numbering, source.pepper) for order in heard}
    who = {one: key.external_id for one, key in keys.items()}
    decided = _decide(items, known, who, taken, corrects=corrects)
    # What is said of customers counts whichever state of the order holds: it has a time of its own.
    told: dict[Key, list[Told]] = {}
    for order in heard:
        told.setdefault(keys[id(order)], []).append(Told(order.customer, order.placed_at, order.updated_at))
    people = parties.take_in(connection, source.account_id, told, pepper=source.pepper, now=now)
    placed = [order_rows.Placed(order, people[keys[id(order)]], digest) for order, digest in decided.writes.values()]
    if deleted := [item for item in items if isinstance(item, Deletion)]:
        order_rows.delete(connection, source.account_id, source.channel, deleted, now=now)
    row_ids = order_rows.write(connection, source.account_id, source.channel, placed, known, now=now)
    order_rows.note_seen(connection, decided.seen)
    if source.triggers is not None:
        written = [(it.order, row_ids[it.order.external_id]) for it in placed if it.order.external_id in row_ids]
        order_triggers.ask(connection, source.triggers, source.account_id, source.channel, written, now=now)
    said = {(people[keys[id(order)]], order.customer.consent) for order in heard if order.customer.consent}
    parties.record_consents(connection, source.account_id, source.channel, said, now=now)


@dataclass(slots=True)
class _Decided:
    """The newest state of each order that is to be written, with its hash; held states that were seen again, by row."""

    writes: dict[str, tuple[Order, str]] = field(default_factory=dict)
    seen: dict[int, datetime] = field(default_factory=dict)


def _decide(
    items: Sequence[Order | Deletion],
    known: Mapping[str, Known],
    who: Mapping[int, str],
    taken: Taken,
    *,
    corrects: bool,
) -> _Decided:
    """Give each item its verdict. `who` placed an order, by the id of its object.

    A state that is held and was seen again later counts from then on as of then: another state seen in between is older.
    """
    decided, latest = _Decided(), dict(known)
    for item in items:
        digest = None
        if isinstance(item, Deletion):
            verdict = Verdict.DELETED
        else:
            digest = order_rows.content_hash(item, who[id(item)])
            held = latest.get(item.external_id)
            verdict = _verdict(item, digest, held)
            if corrects and verdict is Verdict.CONFLICT:
                verdict = Verdict.UPDATED
            if verdict in (Verdict.LOADED, Verdict.UPDATED):
                decided.writes[item.external_id] = (item, digest)
                if held is not None and held.id is not None:
                    decided.seen.pop(held.id, None)
                latest[item.external_id] = Known(None, item.version, digest)
            elif verdict is Verdict.UNCHANGED and held is not None and item.version > held.version:
                latest[item.external_id] = Known(held.id, item.version, digest)
                if held.id is None:
                    decided.writes[item.external_id] = (item, digest)
                else:
                    decided.seen[held.id] = item.version[1]
        taken.verdicts.append(verdict)
        taken.contents.append(digest)
        taken.tally[verdict] += 1
    return decided


def _verdict(order: Order, digest: str, known: Known | None) -> Verdict:
    if known is None:
        return Verdict.LOADED
    if digest == known.content_hash and order.updated_at == known.version[0]:
        return Verdict.UNCHANGED
    if order.version == known.version:
        return Verdict.CONFLICT
    return Verdict.UPDATED if order.version > known.version else Verdict.STALE


def close_superseded(connection: sa.Connection, source: Source, external_ids: Iterable[str], *, now: datetime) -> int:
    """End the open dead letters of orders of which a sound state, or the deletion, is held that is no older.

    Whichever came first, the letter or what is held. Returns how many were ended.
    """
    ids = sorted(set(external_ids))
    return sum(
        _close_superseded(connection, source, ids[start : start + _AT_ONCE], now)
        for start in range(0, len(ids), _AT_ONCE)
    )


def _close_superseded(connection: sa.Connection, source: Source, external_ids: Sequence[str], now: datetime) -> int:
    kept = dead_letters.of_orders(connection, source.account_id, source.channel, external_ids)
    open_ones = [letter for letter in kept if letter.state == dead_letters.State.OPEN]
    if not open_ones:
        return 0
    ids = {letter.external_id for letter in open_ones}
    held = order_rows.known(connection, source.account_id, source.channel, ids)
    gone = order_rows.deletions(connection, source.account_id, source.channel, ids)
    over = [one for one in open_ones if _is_over(one, held.get(one.external_id), gone.get(one.external_id))]
    for letter in over:
        dead_letters.end(connection, letter.id, dead_letters.State.SUPERSEDED, by="intake", now=now)
    return len(over)


def _is_over(letter: sa.Row[Any], held: Known | None, deleted_at: datetime | None) -> bool:
    """Of two contents with one version neither is the newer: such a conflict waits for a person."""
    if deleted_at is not None and deleted_at >= letter.as_of:
        return True
    if held is None:
        return False
    seen = letter.context.get("observed_at")
    version = order_rows.version(letter.as_of, datetime.fromisoformat(seen) if seen else None)
    return held.version > version or (held.version == version and letter.rule != CONFLICT_RULE)
