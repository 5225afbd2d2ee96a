"""The ESPs' own suppression lists, read into ours: a union, and absence lifts nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa

from data import database, esp_listings, soft_bounces, suppressions, tables
from data.esp_listings import Known, Seen
from data.suppressions import NewSuppression
from domain import addresses
from domain.ports import ListedSuppression, ListsCutShort
from domain.suppression import Reason

# Rows of an ESP's list that are hashed and written at once.
_AT_ONCE = 1000
# Of a list without times: an entry that is new to us may have been there since the last reading, a night ago.
_BETWEEN_READINGS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What reading an ESP's lists brought.

    `unreadable`: entries that are no address, so nobody can be mailed there. `evidence`: entries that are no reason not
    to mail. `echoes`: entries that we put there ourselves.
    """

    listed: int = 0
    added: int = 0
    unreadable: int = 0
    evidence: int = 0
    echoes: int = 0
    cut_short: str = ""  # why the ESP told no more; empty if it told all

    def __add__(self, other: "MergeReport") -> "MergeReport":
        return MergeReport(
            self.listed + other.listed,
            self.added + other.added,
            self.unreadable + other.unreadable,
            self.evidence + other.evidence,
            self.echoes + other.echoes,
            self.cut_short or other.cut_short,
        )


def merge_listed(
    engine: sa.Engine,
    *,
    account_id: str,
    provider: str,
    listed: Iterable[ListedSuppression],
    pepper: str,
    now: datetime,
    alive: Callable[[], None] | None = None,
) -> MergeReport:
    """Add an ESP's lists to ours, a thousand rows a transaction. What was read before an error of the ESP's is kept.

    `alive` is called after each thousand: a large account's lists are read for longer than a turn lasts.
    """
    cut: list[str] = []
    entries = _as_far_as_told(listed, cut)
    report = MergeReport()
    while some := list(islice(entries, _AT_ONCE)):
        hashed = [(entry, one) for entry in some if (one := _hash(entry.address, pepper)) is not None]
        unreadable = MergeReport(listed=len(some), unreadable=len(some) - len(hashed))
        with database.write(engine) as connection:
            report += unreadable + _keep(connection, account_id, provider, hashed, now)
        if alive is not None:
            alive()
    return replace(report, cut_short=" ".join(cut))


def _as_far_as_told(listed: Iterable[ListedSuppression], cut: list[str]) -> Iterator[ListedSuppression]:
    try:
        yield from listed
    except ListsCutShort as error:
        cut.append(str(error))


def _keep(
    connection: sa.Connection,
    account_id: str,
    provider: str,
    hashed: list[tuple[ListedSuppression, str]],
    now: datetime,
) -> MergeReport:
    on_record = esp_listings.known(connection, provider, {one for _, one in hashed})
    read_before = read_until(connection, account_id=account_id, provider=provider) or now
    unread_since = min(read_before, now - _BETWEEN_READINGS)
    seen = [_seen(entry, one, on_record, now if entry.dated else unread_since) for entry, one in hashed]
    esp_listings.note(connection, provider, seen, now=now)
    rows = [
        NewSuppression(
            account_id=account_id,
            address_hash=one.address_hash,
            reason=one.reason,
            source=f"esp:{provider}",
            evidence=f"on {provider}'s list {one.listing}".rstrip(),
            created_at=one.listed_at,
            recorded_at=now,
        )
        for one in seen
        if one.reason is not None and not _is_ours(one, on_record)
    ]
    evidence = sum(1 for one in seen if one.reason is None)
    added = suppressions.add_many(connection, _news(connection, account_id, rows))
    return MergeReport(added=added, evidence=evidence, echoes=len(seen) - evidence - len(rows))


def _news(connection: sa.Connection, account_id: str, rows: list[NewSuppression]) -> list[NewSuppression]:
    """Without the bounces of who is to be asked once more: a list has no end, and would make the bounce one for good."""
    bounced = sorted({row.address_hash for row in rows if row.reason is Reason.HARD_BOUNCE})
    first = soft_bounces.to_be_confirmed(connection, account_id, bounced) if bounced else {}
    return [
        row
        for row in rows
        if row.reason is not Reason.HARD_BOUNCE
        or (at := first.get(row.address_hash)) is None
        or not soft_bounces.is_same_bounce(at, row.created_at)
    ]


def _seen(
    entry: ListedSuppression, address_hash: str, on_record: Mapping[tuple[str, str], Known], at_most: datetime
) -> Seen:
    """What a list without times said before it says still: it is no newer word than it was.

    What it says for the first time is dated as early as may be, so that it overrules no lift that may be the later word.
    """
    before = None if entry.dated else on_record.get((entry.listing, address_hash))
    # A clock ahead of ours must not overrule a lift that is yet to come.
    listed_at = before.listed_at if before is not None else min(entry.created_at, at_most)
    return Seen(entry.listing, address_hash, listed_at, entry.reason, entry.detail or None, entry.expires_at)


def _is_ours(one: Seen, on_record: Mapping[tuple[str, str], Known]) -> bool:
    before = on_record.get((one.listing, one.address_hash))
    return before is not None and before.is_ours(one.listed_at)


def _hash(address: str, pepper: str) -> str | None:
    try:
        return addresses.address_hash(address, pepper)
    except addresses.InvalidAddress:
        return None


def read_until(connection: sa.Connection, *, account_id: str, provider: str) -> datetime | None:
    """Up to when the ESP's lists were read for this account; None before the first time."""
    cursor = tables.sync_cursors
    return connection.scalar(
        sa.select(cursor.c.read_until).where(cursor.c.account_id == account_id, cursor.c.provider == provider)
    )


def advance(connection: sa.Connection, *, account_id: str, provider: str, until: datetime) -> None:
    """The ESP's lists were read up to `until`; a cursor never goes back."""
    statement = database.insert(connection, tables.sync_cursors).values(
        provider=provider, account_id=account_id, read_until=until
    )
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["provider", "account_id"],
            set_={"read_until": new.read_until},
            where=tables.sync_cursors.c.read_until < new.read_until,
        )
    )
