"""Who is on an ESP's own suppression lists, as far as it was read there or put there by us.

What we put there ourselves comes back when the list is read. It is told by `pushed_at`, which is written before the ESP
is called: else our own word would return as a word of the customer's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from data import database, tables
from domain.suppression import Reason

_KEY = ("provider", "listing", "address_hash")
# How far an ESP's clock may be behind ours.
_SKEW = timedelta(minutes=5)
# An ESP dates what we put there within minutes; an entry of the next day is somebody else's.
_ECHOES_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """One address on one list. `words` are the ESP's, without addresses; `expires_at`: when the ESP forgets it.

    `reason` is what that means to us; None: it is evidence, and refuses nobody for good.
    """

    listing: str
    address_hash: str
    listed_at: datetime
    reason: Reason | None
    words: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is on record of one address on one list. `pushed_at`: when we put it there, if it was us."""

    listed_at: datetime
    pushed_at: datetime | None

    def is_ours(self, listed_at: datetime) -> bool:
        """Whether an entry of that time is our own word, come back."""
        return self.pushed_at is not None and -_SKEW <= listed_at - self.pushed_at <= _ECHOES_FOR


class Said(NamedTuple):
    """A refusal that an ESP tells by its webhook."""

    provider: str
    address_hash: str | None
    at: datetime


def note(connection: sa.Connection, provider: str, seen: Sequence[Seen], *, now: datetime) -> None:
    """Keep what a list says now."""
    if not seen:
        return
    # One order for all writers, so that two never wait for each other; of two rows of one address the later one stays.
    rows = {(one.listing, one.address_hash): one for one in sorted(seen, key=lambda one: one.listed_at)}
    statement = database.insert(connection, tables.esp_listings)
    new = statement.excluded
    kept = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: new[name] for name in ("reason", "listed_at", "expires_at", "words", "confirmed_at")},
    )
    values = [
        {
            "provider": provider,
            "listing": one.listing,
            "address_hash": one.address_hash,
            "reason": one.reason,
            "listed_at": one.listed_at,
            "expires_at": one.expires_at,
            "words": one.words,
            "confirmed_at": now,
        }
        for _, one in sorted(rows.items())
    ]
    connection.execute(kept, values)


def about_to_put(
    connection: sa.Connection, provider: str, listing: str, address_hashes: Sequence[str], *, now: datetime
) -> None:
    """Say, before the ESP is called, that we put them there."""
    statement = database.insert(connection, tables.esp_listings)
    new = statement.excluded
    kept = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "listed_at": new.listed_at,
            "pushed_at": new.pushed_at,
            "confirmed_at": sa.null(),
            "expires_at": sa.null(),
        },
    )
    values = [
        {"provider": provider, "listing": listing, "address_hash": one, "listed_at": now, "pushed_at": now}
        for one in sorted(address_hashes)
    ]
    connection.execute(kept, values)


def was_put(
    connection: sa.Connection, provider: str, listing: str, address_hashes: Sequence[str], *, now: datetime
) -> None:
    """The ESP took them."""
    table = tables.esp_listings
    connection.execute(
        table.update()
        .where(
            table.c.provider == provider, table.c.listing == listing, table.c.address_hash.in_(sorted(address_hashes))
        )
        .values(confirmed_at=now)
    )


def known(connection: sa.Connection, provider: str, address_hashes: Collection[str]) -> dict[tuple[str, str], Known]:
    """What is on record of these addresses, by list and address hash."""
    table = tables.esp_listings
    found = connection.execute(
        sa.select(table.c.listing, table.c.address_hash, table.c.listed_at, table.c.pushed_at).where(
            table.c.provider == provider, table.c.address_hash.in_(sorted(address_hashes))
        )
    )
    return {(row.listing, row.address_hash): Known(row.listed_at, row.pushed_at) for row in found}


def came_back(connection: sa.Connection, said: Collection[Said]) -> set[Said]:
    """Which of these words are our own: we had put the address on a list of that ESP then."""
    entries: dict[tuple[str, str | None], list[Known]] = {}
    for provider in sorted({one.provider for one in said}):
        hashes = {one.address_hash for one in said if one.provider == provider and one.address_hash is not None}
        for (_, address_hash), entry in known(connection, provider, hashes).items():
            entries.setdefault((provider, address_hash), []).append(entry)
    return {one for one in said if any(entry.is_ours(one.at) for entry in entries.get(one[:2], ()))}


def forget_unseen(connection: sa.Connection, provider: str, *, since: datetime) -> int:
    """After the lists were read whole from `since` on: drop what is not there any more; how many that were."""
    table = tables.esp_listings
    gone = table.delete().where(table.c.provider == provider, table.c.confirmed_at < since)
    return len(connection.scalars(gone.returning(table.c.address_hash)).all())


def of_address(connection: sa.Connection, address_hash: str, *, now: datetime) -> Sequence[sa.Row[Any]]:
    """On which lists of which ESPs the address is known to be now."""
    table = tables.esp_listings
    return connection.execute(
        sa.select(table)
        .where(table.c.address_hash == address_hash, table.c.expires_at.is_(None) | (table.c.expires_at > now))
        .order_by(table.c.provider, table.c.listing)
    ).all()


def taken_off(connection: sa.Connection, provider: str, listing: str, address_hash: str) -> None:
    """It is there no longer."""
    table = tables.esp_listings
    connection.execute(
        table.delete().where(
            table.c.provider == provider, table.c.listing == listing, table.c.address_hash == address_hash
        )
    )


def kept_there(connection: sa.Connection, provider: str, listing: str, address_hash: str) -> None:
    """The ESP does not take it off: until it is read there again, it is not known to be there."""
    table = tables.esp_listings
    connection.execute(
        table.update()
        .where(table.c.provider == provider, table.c.listing == listing, table.c.address_hash == address_hash)
        .values(confirmed_at=None)
    )


def refuses(
    provider: str, listings: Sequence[str], address_hash: sa.ColumnElement[Any], *, now: datetime
) -> sa.ColumnElement[bool]:
    """Whether the address is known to be on one of these lists now."""
    table = tables.esp_listings
    return sa.exists().where(
        table.c.provider == provider,
        table.c.listing.in_(listings),
        table.c.address_hash == address_hash,
        table.c.confirmed_at.is_not(None),
        table.c.expires_at.is_(None) | (table.c.expires_at > now),
    )
