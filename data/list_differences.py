"""What an ESP's own suppression lists say against ours, counted list by list.

First the lists are read whole (`observe`), then counted (`differences`). After `suppressions_merge` and
`suppressions_push` both `only_there` and `only_here` are 0. What was lifted here and still stands there is no
difference to be repaired by itself: a person decided it, and takes it off there with `campaigns suppressions remove
--at-esp`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import database, esp_listings, suppressions_merge, suppressions_push, tables
from data.suppressions_merge import MergeReport
from domain.ports import ListedSuppression, SuppressionSink
from domain.suppression import BY_REACH


@dataclass(frozen=True, slots=True)
class ListDifference:
    """One list of one ESP against the suppressions of one account, in addresses.

    `only_there`: refused by the ESP, of which we hold no suppression; `only_here`: of ours, with an address that is
    known and a place on this list, and not refused there; `lifted_here`: refused there, and lifted here since.
    """

    account_id: str
    provider: str
    listing: str
    on_the_list: int
    only_there: int
    only_here: int
    lifted_here: int

    @property
    def equal(self) -> bool:
        """Nothing is left to be merged or pushed."""
        return self.only_there == 0 == self.only_here


def observe(
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
    """Read an ESP's lists whole: add what is new to ours, and forget what is known to be there and is not.

    `listed` must be all there is, from the first day to `now`. Where an ESP cuts its lists short (`cut_short` of the
    report), nothing is forgotten: silence about an address is no word. `added` is what the nightly reading had missed.
    """
    report = suppressions_merge.merge_listed(
        engine,
        account_id=account_id,
        provider=provider,
        listed=listed,
        pepper=pepper,
        now=now,
        alive=alive,
        webhook=webhook,
    )
    if not report.cut_short:
        with database.write(engine) as connection:
            esp_listings.forget_unseen(connection, provider, since=now)
    return report


def differences(
    connection: sa.Connection,
    *,
    account_id: str,
    provider: str,
    sink: SuppressionSink,
    shared: bool,
    now: datetime,
) -> Sequence[ListDifference]:
    """Count them, for each list that refuses mail. `shared`: other accounts' mail goes through this ESP as well."""
    only_here = {
        target.listing: _count(connection, suppressions_push.missing_there(account_id, provider, target, now=now))
        for target in suppressions_push.targets(sink, shared=shared)
    }
    lists = dict.fromkeys([*(one for scope in BY_REACH for one in sink.refusing(scope)), *only_here])
    found = []
    for one in lists:
        there = _on_list(provider, one, now)
        found.append(
            ListDifference(
                account_id=account_id,
                provider=provider,
                listing=one,
                on_the_list=_count(connection, there),
                # What another account put there says nothing of this one.
                only_there=_count(connection, there.where(~_here(account_id), _listing.c.pushed_at.is_(None))),
                only_here=only_here.get(one, 0),
                lifted_here=_count(connection, there.where(_here(account_id), ~_here(account_id, stands=True))),
            )
        )
    return found


_listing = tables.esp_listings


def _on_list(provider: str, listing: str, now: datetime) -> sa.Select[tuple[str]]:
    return sa.select(_listing.c.address_hash).where(
        _listing.c.provider == provider,
        _listing.c.listing == listing,
        _listing.c.confirmed_at.is_not(None),
        _listing.c.reason.is_not(None) | _listing.c.pushed_at.is_not(None),
        _listing.c.expires_at.is_(None) | (_listing.c.expires_at > now),
    )


def _here(account_id: str, *, stands: bool = False) -> sa.ColumnElement[bool]:
    ours = tables.suppressions.c
    return sa.exists().where(
        ours.account_id == account_id,
        ours.address_hash == _listing.c.address_hash,
        ours.lifted_at.is_(None) if stands else sa.true(),
    )


def _count(connection: sa.Connection, query: sa.Select[tuple[str]]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
