"""Who comes off an ESP's own lists without a person's doing: who wants mail again, and who is to be asked once more.

Our own nightly push may have put her there, and the ESP drops all mail to whom it lists. So the customer who agreed again
on her page would wait for mail in vain, and the one more try after a hard bounce (data.soft_bounces) would never leave the
ESP. A lift by somebody else takes off what that person said (`campaigns suppressions remove --at-esp`), and no more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, esp_listings, soft_bounces, suppressions, suppressions_push, tables
from data.esp_listings import Known
from domain.ports import SuppressionSink
from domain.suppression import Reason

# Each is a call of its own, and the next minute has the next ones.
_MOST_CALLS = 500
# An ESP that answers nothing is not asked for each of hundreds: a time-out takes seconds.
_MOST_ERRORS = 3


@dataclass(frozen=True, slots=True)
class Exit:
    """An address on a list of an ESP that has no reason any more, unless another one needs that list."""

    account_id: str
    provider: str
    listing: str
    address_hash: str
    email: str
    reason: Reason
    pushed: bool


_listing, _row, _party = tables.esp_listings, tables.suppressions, tables.parties


def due(connection: sa.Connection, *, now: datetime) -> list[Exit]:
    """Whom ESPs are known to list though she wants mail again, or though she is to be asked once more."""
    return [*_agreed_again(connection, now), *_asked_once_more(connection, now)]


def _on_lists(now: datetime) -> sa.Select[Any]:
    """Suppressions beside what is known of the same address on ESPs' lists; `email` is None of who was erased."""
    email = (
        sa.select(sa.func.min(_party.c.email))
        .where(
            _party.c.account_id == _row.c.account_id,
            _party.c.address_hash == _row.c.address_hash,
            _party.c.erased_at.is_(None),
        )
        .scalar_subquery()
    )
    return (
        sa.select(
            _row.c.account_id,
            _row.c.address_hash,
            _row.c.created_at,
            _row.c.lifted_at,
            _listing.c.provider,
            _listing.c.listing,
            _listing.c.listed_at,
            _listing.c.pushed_at,
            email.label("email"),
        )
        .join_from(_row, _listing, _listing.c.address_hash == _row.c.address_hash)
        .where(
            _listing.c.confirmed_at.is_not(None),
            _listing.c.expires_at.is_(None) | (_listing.c.expires_at > now),
        )
        .order_by(_row.c.id, _listing.c.provider, _listing.c.listing)
    )


def _agreed_again(connection: sa.Connection, now: datetime) -> list[Exit]:
    """By her own word; an entry that is newer than that is no old one, and is left to be read as hers."""
    query = _on_lists(now).where(
        _row.c.reason == Reason.UNSUBSCRIBE,
        _row.c.lifted_at.is_not(None),
        (_listing.c.reason == Reason.UNSUBSCRIBE) | _listing.c.pushed_at.is_not(None),
        suppressions.lifted_by_herself(),
    )
    return [
        _exit(row, Reason.UNSUBSCRIBE) for row in connection.execute(query) if row.email is not None and _is_older(row)
    ]


def _is_older(row: sa.Row[Any]) -> bool:
    """An ESP may date some minutes later what we put there."""
    ours = Known(row.listed_at, row.pushed_at).is_ours(row.listed_at)
    return bool((row.pushed_at if ours else row.listed_at) <= row.lifted_at)


def _asked_once_more(connection: sa.Connection, now: datetime) -> list[Exit]:
    query = _on_lists(now).where(
        _row.c.reason == Reason.HARD_BOUNCE,
        _row.c.lifted_at.is_(None),
        _row.c.expires_at <= now,
        _row.c.evidence.startswith(soft_bounces.BY_EVENT),
    )
    return [
        _exit(row, Reason.HARD_BOUNCE)
        for row in connection.execute(query)
        if row.email is not None and soft_bounces.is_same_bounce(row.created_at, row.listed_at)
    ]


def _exit(row: sa.Row[Any], reason: Reason) -> Exit:
    return Exit(
        row.account_id, row.provider, row.listing, row.address_hash, row.email, reason, row.pushed_at is not None
    )


def leave(
    engine: sa.Engine, exits: Sequence[Exit], *, sink: SuppressionSink, shared: bool, clock: Callable[[], datetime]
) -> int:
    """Take addresses off one ESP's lists; how many entries that were. Safe to repeat. Raises what the ESP raises.

    One that the ESP keeps, because only the person herself can leave that list, is asked for again when it is read
    there again. One that fails does not keep the others waiting: the first error is raised at the end.
    """
    done, calls, errors = 0, 0, list[Exception]()
    for one in exits:
        if calls == _MOST_CALLS:
            break
        if not _is_free(engine, one, sink, shared, clock()):
            continue
        calls += 1
        try:
            gone = sink.take_off(one.listing, one.email)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next address does not depend on it
            errors.append(error)
            if len(errors) == _MOST_ERRORS:
                break
            continue
        with database.write(engine) as connection:
            forget = esp_listings.taken_off if gone else esp_listings.kept_there
            forget(connection, one.provider, one.listing, one.address_hash)
        done += gone
    if errors:
        raise errors[0]
    return done


def _is_free(engine: sa.Engine, one: Exit, sink: SuppressionSink, shared: bool, now: datetime) -> bool:
    if not one.pushed and one.listing not in sink.naming(one.reason):
        return False
    with database.read(engine) as connection:
        free = suppressions_push.to_take_off(
            connection,
            account_id=one.account_id,
            address_hash=one.address_hash,
            lifting=[one.reason],
            provider=one.provider,
            sink=sink,
            shared=shared,
            now=now,
        )
    return one.listing in free
