"""Dead letters: records that were refused and kept, with the reason, the dearest first.

A payload may hold an address: it stays in this table and never enters a log.
"""

import hashlib
import heapq
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain import stakes

_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: JSON can say it, no database can keep it
_MAX_PRIORITY = 2**31 - 1
_IDS_AT_ONCE = 1000
_DEEPEST = 100  # levels of a payload
# What the sources of letters begin with that are no orders: bodies of the inbox, and mails that never came out of a mailbox.
WEBHOOK, MAILBOX = "webhook:", "mailbox:"
WHOLE_DOCUMENT = "unreadable"  # the rule of letters that stand for a document which could not be cut into orders


class UnknownLetter(LookupError):
    """There is no such dead letter in this account."""


class State(StrEnum):
    """Where a letter is. Ended ones stay, for the report of false alarms.

    released: loaded unchanged, by a person's word; fixed: loaded once it was patched or its reader was mended;
    superseded: a newer state of the same order came and was sound; discarded: a person says that it is nothing.
    """

    OPEN = "open"
    RELEASED = "released"
    FIXED = "fixed"
    SUPERSEDED = "superseded"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that could not be used. `reason` holds no personal data; `priority` is what is at stake (domain.stakes).

    `rule` and `fields`: which rule it broke, and where. `as_of`: the refused state's own time of change, where known.
    `context`: what was known beside the payload, and is needed to convert it again.
    """

    row_number: int
    reason: str
    payload: Any
    priority: int = 0
    rule: str = ""
    fields: tuple[str, ...] = ()
    external_id: str | None = None
    as_of: datetime | None = None
    context: dict[str, Any] = field(default_factory=dict)
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad row as it is kept: from which source, and where in it. `score` is its priority with its age."""

    id: int
    account_id: str | None
    source: str
    location: str
    row: BadRow
    state: State
    created_at: datetime
    patch: tuple[dict[str, Any], ...]
    attempts: int
    score: int

    @property
    def inbox_id(self) -> int | None:
        """Of an event that an ESP or a mail told of: in which body of the inbox it stands. None of an order."""
        return self.row.payload.get("inbox_id") if self.source.startswith(WEBHOOK) else None


def put(
    connection: sa.Connection,
    rows: Iterable[BadRow],
    *,
    account_id: str | None,
    source: str,
    location: str,
    now: datetime,
) -> None:
    """Keep the rows; one that is kept already (same place, same payload) is not kept twice, and stays ended if it was.

    But a whole document that was to be read again and still cannot be is open again.
    """
    values = [
        _values(row, now) | {"account_id": account_id, "source": source, "location": location, "created_at": now}
        for row in rows
    ]
    for value in values:
        # The table's key does not name the account: two accounts may load files of one name.
        value["payload_hash"] = _hash(account_id, value["payload"])
    if values:
        connection.execute(_insert(connection), values)


def _insert(connection: sa.Connection) -> Any:
    table = tables.dead_letters
    statement = database.insert(connection, table)
    return statement.on_conflict_do_update(
        index_elements=["source", "location", "row_number", "payload_hash"],
        set_={
            "state": State.OPEN,
            "reason": statement.excluded.reason,
            **dict.fromkeys(("ended_at", "ended_by", "note")),
        },
        where=(table.c.state == State.FIXED) & (table.c.rule == WHOLE_DOCUMENT),
    )


def _values(row: BadRow, now: datetime) -> dict[str, Any]:
    return {
        "row_number": row.row_number,
        "reason": row.reason,
        "payload": _storable(row.payload),
        "priority": max(0, min(row.priority, _MAX_PRIORITY)),
        "state": State.OPEN,
        "rule": row.rule,
        "fields": list(row.fields),
        "external_id": _storable(row.external_id),
        "as_of": row.as_of or now,
        "context": row.context,
        "next_try_at": row.next_try_at,
    }


def _storable(value: Any, levels: int = _DEEPEST) -> Any:
    """The same JSON without what PostgreSQL cannot hold: U+2400 for NUL, U+FFFD for half a character, text for 1e999.

    What lies deeper than any order does is left out: reading it again would exhaust the stack.
    """
    if isinstance(value, str):
        return _HALF.sub("\N{REPLACEMENT CHARACTER}", value.replace("\0", "\N{SYMBOL FOR NULL}"))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, list | dict):
        return value
    if not levels:
        return "(nested too deeply to be kept)"
    if isinstance(value, list):
        return [_storable(item, levels - 1) for item in value]
    return {_storable(key): _storable(item, levels - 1) for key, item in value.items()}


def _hash(account_id: str | None, payload: Any) -> str:
    return hashlib.sha256(json.dumps([account_id, payload], sort_keys=True).encode()).hexdigest()


def of_orders(
    connection: sa.Connection, account_id: str, source: str, external_ids: Iterable[str]
) -> list[sa.Row[Any]]:
    """What is kept of these orders of a channel, in whatever state: id, external_id, rule, state, as_of, context."""
    letter = tables.dead_letters.c
    query = sa.select(letter.id, letter.external_id, letter.rule, letter.state, letter.as_of, letter.context)
    mine = query.where(letter.account_id == account_id, letter.source == source)
    ids = sorted(set(external_ids))
    return [
        row
        for start in range(0, len(ids), _IDS_AT_ONCE)
        for row in connection.execute(mine.where(letter.external_id.in_(ids[start : start + _IDS_AT_ONCE])))
    ]


def listing(
    connection: sa.Connection,
    account_id: str | None,
    *,
    now: datetime,
    source: str | None = None,
    rule: str | None = None,
    limit: int = 100,
) -> list[DeadLetter]:
    """The open letters of an account and those of nobody, by what is at stake and how long they have waited."""
    letter = tables.dead_letters.c
    query = sa.select(letter.id, letter.priority, letter.created_at).where(*_open(account_id, source, rule))
    scored = ((stakes.score(row.priority, now - row.created_at), -row.id) for row in connection.execute(query))
    top = [-minus_id for _, minus_id in heapq.nlargest(limit, scored)]
    return get(connection, account_id, top, now=now)


def _open(account_id: str | None, source: str | None, rule: str | None) -> list[sa.ColumnElement[bool]]:
    letter = tables.dead_letters.c
    # A webhook's element may name nobody: kept from every account, its letter would never be seen.
    wanted = [(letter.account_id == account_id) | letter.account_id.is_(None), letter.state == State.OPEN]
    wanted += [] if source is None else [letter.source == source]
    return wanted if rule is None else [*wanted, letter.rule == rule]


def count(
    connection: sa.Connection, account_id: str | None, *, source: str | None = None, rule: str | None = None
) -> int:
    """How many are open, of an account and of nobody."""
    return int(connection.execute(sa.select(sa.func.count()).where(*_open(account_id, source, rule))).scalar_one())


def get(connection: sa.Connection, account_id: str | None, ids: Sequence[int], *, now: datetime) -> list[DeadLetter]:
    """These letters, in the order given. Raises UnknownLetter for one that is not there or is another account's."""
    letter = tables.dead_letters.c
    query = sa.select(tables.dead_letters).where(
        letter.id.in_(ids), (letter.account_id == account_id) | letter.account_id.is_(None)
    )
    found = {row.id: _letter(row, now) for row in connection.execute(query)}
    if missing := [one for one in ids if one not in found]:
        raise UnknownLetter(f"there is no dead letter {missing[0]} in this account")
    return [found[one] for one in ids]


def due(connection: sa.Connection, *, now: datetime, limit: int) -> list[DeadLetter]:
    """Open letters of all accounts whose time for another try has come, the dearest first."""
    letter = tables.dead_letters.c
    query = (
        sa.select(tables.dead_letters)
        .where(letter.state == State.OPEN, letter.next_try_at <= now)
        .order_by(letter.priority.desc(), letter.id)
        .limit(limit)
    )
    return [_letter(row, now) for row in connection.execute(query)]


def end(
    connection: sa.Connection, letter_id: int, state: State, *, by: str, note: str | None = None, now: datetime
) -> bool:
    """End an open letter; False when somebody else was quicker."""
    letter = tables.dead_letters.c
    done = connection.execute(
        sa.update(tables.dead_letters)
        .where(letter.id == letter_id, letter.state == State.OPEN)
        .values(state=state, ended_at=now, ended_by=by, note=note, next_try_at=None)
    )
    return done.rowcount == 1


def put_off(connection: sa.Connection, letter_id: int, *, next_try_at: datetime | None) -> None:
    """Another try was in vain; None leaves it to people from now on."""
    letter = tables.dead_letters.c
    connection.execute(
        sa.update(tables.dead_letters)
        .where(letter.id == letter_id, letter.state == State.OPEN)
        .values(attempts=letter.attempts + 1, next_try_at=next_try_at)
    )


def set_patch(connection: sa.Connection, letter_id: int, patch: Sequence[dict[str, Any]]) -> bool:
    """Keep what is to be changed in the payload when it is converted again; False when the letter has ended."""
    letter = tables.dead_letters.c
    done = connection.execute(
        sa.update(tables.dead_letters)
        .where(letter.id == letter_id, letter.state == State.OPEN)
        .values(patch=_storable(list(patch)))
    )
    return done.rowcount == 1


def forget(connection: sa.Connection, *, before: datetime) -> int:
    """Empty the letters that ended before that time: rule, fields and state are all that the report of rules needs."""
    letter = tables.dead_letters.c
    theirs = sa.update(tables.dead_letters).where(letter.state != State.OPEN, letter.ended_at < before)
    return connection.execute(theirs.values(payload={}, patch=[])).rowcount


def _letter(row: sa.Row[Any], now: datetime) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        account_id=row.account_id,
        source=row.source,
        location=row.location,
        row=BadRow(
            row.row_number,
            row.reason,
            row.payload,
            row.priority,
            row.rule,
            tuple(row.fields),
            row.external_id,
            row.as_of,
            row.context,
            row.next_try_at,
        ),
        state=State(row.state),
        created_at=row.created_at,
        patch=tuple(row.patch),
        attempts=row.attempts,
        score=stakes.score(row.priority, now - row.created_at),
    )
