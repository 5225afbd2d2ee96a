"""Apply read records: orders, dead letters and the end of the records, all in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from data import accounts, addresses_of, database, dead_letters, orders, tables
from data.channels.channel import Origin, Unfit
from data.dead_letters import BadRow
from data.intake import convert, history, records
from data.intake.convert import Converted, Item, Reader
from data.orders import Taken, Verdict
from domain import stakes

_AT_ONCE = 500  # look-ups by so many ids stay far below both databases' limit of parameters
COUNTS = (*("records", "rows", "orders", "loaded", "updated", "unchanged", "stale", "deleted", "ignored", "refused"),)


def apply(engine: sa.Engine, part: Sequence[Converted], reader: Reader, *, pepper: str, now: datetime) -> Counter[str]:
    """Apply all, or where a value cannot be stored halve down to the culprit, which becomes a dead letter."""
    try:
        with database.write(engine) as connection:
            return _apply(connection, part, reader, pepper, now)
    except database.not_storable(engine):
        if len(part) > 1:
            middle = len(part) // 2
            first = apply(engine, part[:middle], reader, pepper=pepper, now=now)
            return first + apply(engine, part[middle:], reader, pepper=pepper, now=now)
    with database.write(engine) as connection:
        return _apply(connection, [_storable_part(connection, part[0], reader, pepper, now)], reader, pepper, now)


def _storable_part(connection: sa.Connection, one: Converted, reader: Reader, pepper: str, now: datetime) -> Converted:
    """The record without the items that the database refuses: each is tried alone, and undone."""
    sound = replace(one, items=[], elements=[], letters=list(one.letters))
    for item, element in zip(one.items, one.elements, strict=True):
        attempt = connection.begin_nested()
        try:
            orders.take_in(connection, [item], _source(reader, pepper), now=now)
        except database.not_storable(connection.engine) as error:
            fault = Unfit("not_storable", f"a value of this order cannot be stored ({type(error).__name__})")
            context = convert.context_of(one.record)
            first_row = one.record.incoming.first_row
            sound.letters.append(convert.letter(element, fault, context, first_row=first_row, now=now, reader=reader))
        else:
            sound.items.append(item)
            sound.elements.append(element)
        attempt.rollback()
    return sound


def strike(connection: sa.Connection, one: Converted, reader: Reader, error: str, *, now: datetime) -> None:
    """The record could not be applied; after three times it is set aside, whole, and a dead letter says so."""
    if records.strike(connection, one.record.id, error=error, now=now):
        reason = f"this document could not be taken in ({error}): a fault of ours; it is kept whole, to be read again"
        letter = convert.of_document(one.record, reason, convert.context_of(one.record))
        _put(connection, [letter], one, reader, "", now)


def _source(reader: Reader, pepper: str) -> orders.Source:
    connection = reader.connection
    return orders.Source(connection.account, connection.channel, reader.numbering, pepper, reader.triggers)


def _apply(
    connection: sa.Connection, part: Sequence[Converted], reader: Reader, pepper: str, now: datetime
) -> Counter[str]:
    # Before its records: who has the account waits for nobody's records, so two drains never wait for each other.
    accounts.lock(connection, reader.connection.account)
    mine = _finish(connection, part, now)
    part = [one for one in part if one.record.id in mine]
    if not part:
        return Counter()
    source = _source(reader, pepper)
    items, corrects = list(convert.items_of(list(part))), all(one.record.reread for one in part)
    taken = orders.take_in(connection, items, source, now=now, corrects=corrects)
    conflicts = _conflicts(connection, part, taken, source, now)
    for one in part:
        letters = [*one.letters, *conflicts.get(one.record.id, ())]
        _put(connection, letters, one, reader, pepper, now)
    orders.close_superseded(connection, source, _touched(part), now=now)
    tally = Counter({str(name): taken.tally[name] for name in Verdict if name is not Verdict.CONFLICT})
    conflicted = taken.tally[Verdict.CONFLICT]
    tally += Counter(
        records=len(part),
        rows=sum(one.rows for one in part),
        orders=sum(one.orders for one in part),
        ignored=sum(one.ignored for one in part),
        refused=conflicted + sum(len(one.letters) for one in part),
    )
    fired = sum((one.fired for one in part), Counter[str]()) + Counter({orders.CONFLICT_RULE: conflicted})
    received = [one.record.incoming.received_at for one in part]
    counts = {name: tally[name] for name in COUNTS if name != "rows"}
    batch = history.Batch(min(received), max(received), counts, +fired)
    history.note(connection, reader.connection.account, reader.connection.channel, batch, now=now)
    return tally


def _finish(connection: sa.Connection, part: Sequence[Converted], now: datetime) -> frozenset[int]:
    read = [one.record.id for one in part if one.unreadable is None]
    mine = records.finish(connection, read, now=now) if read else frozenset()
    for one in part:
        if one.unreadable is not None:
            mine |= records.finish(connection, [one.record.id], state=records.State.DEAD, error=one.unreadable, now=now)
    return mine


def _touched(part: Sequence[Converted]) -> set[str]:
    """The orders that are told of, by whatever became of it."""
    refused = (letter.external_id for one in part for letter in one.letters)
    return {one for one in (*refused, *(item.external_id for item in convert.items_of(list(part)))) if one is not None}


def _conflicts(
    connection: sa.Connection, part: Sequence[Converted], taken: Taken, source: orders.Source, now: datetime
) -> dict[int, list[BadRow]]:
    """The letters of states that cannot be ordered, by record. One that has a letter gets no second, however it came."""
    found: dict[int, list[BadRow]] = {}
    if not taken.tally[Verdict.CONFLICT]:
        return found
    kept = dead_letters.of_orders(connection, source.account_id, source.channel, _touched(part))
    told = {(letter.external_id, letter.context.get("content")) for letter in kept}
    decided = iter(zip(taken.verdicts, taken.contents, strict=True))
    fault = Unfit(orders.CONFLICT_RULE, orders.CONFLICT, ("updated_at",))
    for one in part:
        context, first_row = convert.context_of(one.record), one.record.incoming.first_row
        for item, element in zip(one.items, one.elements, strict=True):
            verdict, content = next(decided)
            if verdict is Verdict.CONFLICT and (item.external_id, content) not in told:
                told.add((item.external_id, content))
                about = context | {"content": content}
                letter = convert.letter(element, fault, about, first_row=first_row, now=now, item=item)
                found.setdefault(one.record.id, []).append(letter)
    return found


def _put(
    connection: sa.Connection, letters: Sequence[BadRow], one: Converted, reader: Reader, pepper: str, now: datetime
) -> None:
    if not letters:
        return
    account_id, channel = reader.connection.account, reader.connection.channel
    values: dict[str, Decimal] = {}
    for start in range(0, len(letters), _AT_ONCE):
        values |= customer_values(connection, reader, letters[start : start + _AT_ONCE], pepper)
    waiting = convert.waiting(one.record, None)
    priced = [
        replace(letter, priority=priority(letter, values, reader, waiting=waiting, pepper=pepper)) for letter in letters
    ]
    incoming = one.record.incoming
    # A row of a file is told by the file's name; what was pushed under three topics and pulled twice is one letter.
    location = incoming.source if incoming.origin is Origin.FILE else "pushed or pulled"
    for start in range(0, len(priced), _AT_ONCE):
        some = priced[start : start + _AT_ONCE]
        dead_letters.put(connection, some, account_id=account_id, source=channel, location=location, now=now)


def priority(letter: BadRow, values: Mapping[str, Decimal], reader: Reader, *, waiting: bool, pepper: str) -> int:
    """What is at stake with a refused order."""
    seen = reader.glance(letter.payload)
    value = values.get(addresses_of.hashed(seen.email, pepper) or "", Decimal(0))
    return stakes.stake(seen.amount, seen.currency, customer_value=value, waiting=waiting)


def customer_values(
    connection: sa.Connection, reader: Reader, letters: Sequence[BadRow], pepper: str
) -> dict[str, Decimal]:
    """What the customers of these letters have spent so far, by address hash."""
    hashes = {addresses_of.hashed(reader.glance(letter.payload).email, pepper) for letter in letters} - {None}
    party, features = tables.parties.c, tables.customer_features.c
    person = sa.func.coalesce(party.person_id, party.id)
    query = (
        sa.select(party.address_hash, sa.func.max(features.net_revenue).label("net_revenue"))
        .join_from(tables.parties, tables.customer_features, features.party_id == person)
        .where(party.account_id == reader.connection.account, party.address_hash.in_(sorted(filter(None, hashes))))
        .group_by(party.address_hash)
    )
    return {row.address_hash: row.net_revenue for row in connection.execute(query)}


def load_items(
    connection: sa.Connection, items: Sequence[Item], reader: Reader, *, pepper: str, now: datetime
) -> list[Verdict]:
    """Take items in that were released from the dead letters."""
    return orders.take_in(connection, items, _source(reader, pepper), now=now).verdicts
