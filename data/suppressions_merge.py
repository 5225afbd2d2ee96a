"""The ESPs' own suppression lists, read into ours: a union, and absence lifts nothing."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
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
    webhook: str | None = None,
) -> MergeReport:
    """Add an ESP's lists to ours, a thousand rows a transaction. What was read before an error of the ESP's is kept.

    `provider` is the account at the ESP, whose lists they are; `webhook`: by which it alone tells events, where that is
    another name. `alive` is called after each thousand: a large account's lists are read for longer than a turn lasts.
    """
    events = _source(webhook or provider)
    cut: list[str] = []
    entries = _as_far_as_told(listed, cut)
    report = MergeReport()
    while some := list(islice(entries, _AT_ONCE)):
        hashed = [(entry, one) for entry in some if (one := _hash(entry.address, pepper)) is not None]
        unreadable = MergeReport(listed=len(some), unreadable=len(some) - len(hashed))
        with database.write(engine) as connection:
            report += unreadable + _keep(connection, account_id, provider, hashed, now, events)
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
    events: str,
) -> MergeReport:
    on_record = esp_listings.known(connection, provider, {one for _, one in hashed})
    strange = {one for entry, one in hashed if not entry.dated and (entry.listing, one) not in on_record}
    until = read_until(connection, account_id=account_id, provider=provider)
    told = _told_since(connection, until, events, strange) if strange else {}
    seen = [_seen(entry, one, on_record, told, now) for entry, one in hashed]
    esp_listings.note(connection, provider, seen, now=now)
    rows = [
        NewSuppression(
            account_id=account_id,
            address_hash=one.address_hash,
            reason=one.reason,
            source=_source(provider),
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
    entry: ListedSuppression,
    address_hash: str,
    on_record: Mapping[tuple[str, str], Known],
    told: Mapping[tuple[str, str], datetime],
    now: datetime,
) -> Seen:
    """What a list without times said before it says still: it is no newer word than it was.

    What it says for the first time is dated as late as it can be, for it may be a "no" of which no webhook told. Unless
    one did: then it is that word, and no newer one, because the ESP mails to nobody whom it lists.
    """
    # A clock ahead of ours must not overrule a lift that is yet to come.
    listed_at = min(entry.created_at, now)
    if not entry.dated:
        before = on_record.get((entry.listing, address_hash))
        word = told.get((address_hash, entry.reason or ""))
        listed_at = before.listed_at if before is not None else min(word or listed_at, listed_at)
    return Seen(entry.listing, address_hash, listed_at, entry.reason, entry.detail or None, entry.expires_at)


def _told_since(
    connection: sa.Connection, since: datetime | None, source: str, address_hashes: Collection[str]
) -> dict[tuple[str, str], datetime]:
    """When the ESP told us by a webhook, since its lists were read last, what one of them now says.

    By address hash and reason; whichever account it told: the list is the ESP's. An older word explains no entry,
    because the last reading would have found it.
    """
    row = tables.suppressions.c
    query = sa.select(row.address_hash, row.reason, sa.func.max(row.created_at).label("at")).where(
        row.account_id.in_(sa.select(tables.accounts.c.id)),  # the index begins with the account
        row.address_hash.in_(sorted(address_hashes)),
        row.source == source,
        row.created_at > since if since is not None else sa.true(),
    )
    found = connection.execute(query.group_by(row.address_hash, row.reason))
    return {(one.address_hash, one.reason): one.at for one in found}


def _source(provider: str) -> str:
    return f"esp:{provider}"


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
