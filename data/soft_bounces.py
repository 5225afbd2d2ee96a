"""Marks of addresses become suppressions, and end them: soft limits, disabled mailboxes, hard bounces of the engaged.

A person's own lift, an ESP's list and whatever else was suppressed by hand is left alone: only what stands here for a
mark is changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import accounts, address_marks, database, suppressions, tables
from data.address_marks import Address, NewMark, Record
from data.suppressions import NewSuppression
from domain import address_marks as rules
from domain import suppression
from domain.address_marks import MarkKind, Pause
from domain.policy import SendingPolicy
from domain.suppression import Reason

SOURCE = "bounces"
# What data.events_effects writes of a bounce itself; a hard bounce by any other word is not this one's to end.
BY_EVENT = "bounced event:"
# An ESP lists an address within minutes of its bounce; the next bounce that counts is a day later at least.
_SAME_BOUNCE = rules.SAME_TROUBLE


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of the marks that were news."""

    addresses: int = 0
    suppressed: int = 0
    lifted: int = 0
    to_confirm: int = 0  # hard bounces of people who were there lately: they are asked once more

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(
            self.addresses + other.addresses,
            self.suppressed + other.suppressed,
            self.lifted + other.lifted,
            self.to_confirm + other.to_confirm,
        )


def judge(engine: sa.Engine, *, installation: SendingPolicy, now: datetime) -> Judged:
    """Judge every address of which something is new, some in a transaction. Safe to repeat, and beside others."""
    total = Judged()
    while True:
        with database.write(engine) as connection:
            addresses = address_marks.news(connection)
            if not addresses:
                return total
            address_marks.settle(connection, addresses, now=now)
            total += _judge(connection, addresses, installation, now)


def _judge(connection: sa.Connection, addresses: list[Address], installation: SendingPolicy, now: datetime) -> Judged:
    held = address_marks.held(connection, addresses)
    standing = _standing(connection, addresses)
    policies = {
        account_id: accounts.policy_of(connection, account_id, installation)
        for account_id, _ in address_marks.by_account(addresses)
    }
    suppressed = lifted = to_confirm = 0
    for address in sorted(held):
        known, rows = held[address], standing.get(address, {})
        soft = rows.get(Reason.SOFT_LIMIT)
        _heed_lift(connection, address, known, soft)
        limit = rules.limit_of(policies[address.account_id], active=known.active)
        pause = rules.soft_pause(known.soft, known.successes, limit)
        if pause is None or pause.ended is not None:
            lifted += _lift(connection, soft, known)
        else:
            suppressed += _pause(connection, address, pause, soft, now)
        suppressed += _disabled(connection, address, known, now)
        to_confirm += _ask_once_more(connection, known, rows.get(Reason.HARD_BOUNCE))
    return Judged(len(addresses), suppressed, lifted, to_confirm)


def _standing(connection: sa.Connection, addresses: list[Address]) -> Mapping[Address, dict[Reason, sa.Row[Any]]]:
    """The rows that may be changed here, locked."""
    table = tables.suppressions
    found: dict[Address, dict[Reason, sa.Row[Any]]] = {}
    for account_id, hashes in address_marks.by_account(addresses):
        query = (
            sa.select(table)
            .where(
                table.c.account_id == account_id,
                table.c.address_hash.in_(hashes),
                table.c.reason.in_((Reason.SOFT_LIMIT.value, Reason.HARD_BOUNCE.value)),
            )
            .order_by(table.c.address_hash, table.c.reason)
            .with_for_update()
        )
        for row in connection.execute(query):
            found.setdefault(Address(account_id, row.address_hash), {})[Reason(row.reason)] = row
    return found


def is_same_bounce(bounced_at: datetime, listed_at: datetime) -> bool:
    """Whether an entry of an ESP's list is of the bounce that is on record, and no news."""
    return abs(listed_at - bounced_at) < _SAME_BOUNCE


def to_be_confirmed(connection: sa.Connection, account_id: str, address_hashes: list[str]) -> dict[str, datetime]:
    """When these addresses bounced hard that are to be asked once more, or are being asked: by address hash."""
    row = tables.suppressions.c
    found = connection.execute(
        sa.select(row.address_hash, row.created_at).where(
            row.account_id == account_id,
            row.address_hash.in_(address_hashes),
            row.reason == Reason.HARD_BOUNCE,
            row.lifted_at.is_(None),
            row.expires_at.is_not(None),
            row.evidence.startswith(BY_EVENT),
        )
    )
    return {one.address_hash: one.created_at for one in found}


# --- soft limits -----------------------------------------------------------------------------------------------------


def _heed_lift(connection: sa.Connection, address: Address, known: Record, row: sa.Row[Any] | None) -> None:
    """A person's lift begins the count anew, and must still be known when the row is written once more.

    Our own lift bears the time of the success that caused it, or that of the row itself.
    """
    if row is None or row.lifted_at is None or row.lifted_at <= row.created_at or row.lifted_at in known.successes:
        return
    known.successes.add(row.lifted_at)
    address_marks.record(connection, [NewMark(*address, MarkKind.LIFTED, None, row.lifted_at)])


def _lift(connection: sa.Connection, row: sa.Row[Any] | None, known: Record) -> int:
    """End a soft limit of ours: mail arrived, or what came out since leaves fewer bounces in a row."""
    if row is None or row.source != SOURCE or row.lifted_at is not None:
        return 0
    after = [at for at in known.successes if at > row.created_at]
    table = tables.suppressions
    lifted = table.update().where(table.c.id == row.id)
    connection.execute(lifted.values(lifted_at=min(after, default=row.created_at)))
    return 1


def _pause(connection: sa.Connection, address: Address, pause: Pause, row: sa.Row[Any] | None, now: datetime) -> int:
    """Write a soft limit as it was reckoned; whether it is new. One that somebody else made stands as it is."""
    if row is not None and row.source != SOURCE and row.lifted_at is None:
        return 0
    if row is not None and (row.created_at, row.expires_at, row.lifted_at) == (pause.since, pause.until, None):
        return 0
    facts = {
        "scope": suppression.SCOPE_OF[Reason.SOFT_LIMIT].value,
        "source": SOURCE,
        "evidence": "too many soft bounces in a row, of one message a run each",
        "created_at": pause.since,
        "expires_at": pause.until,
        "lifted_at": None,
    }
    insert = database.insert(connection, tables.suppressions).values(
        **address._asdict(), reason=Reason.SOFT_LIMIT.value, recorded_at=now, **facts
    )
    again = {**facts, "recorded_at": now} if row is None or row.created_at != pause.since else facts
    connection.execute(
        insert.on_conflict_do_update(index_elements=["account_id", "address_hash", "reason"], set_=again)
    )
    return int(row is None or row.lifted_at is not None or row.created_at != pause.since)


# --- second looks ----------------------------------------------------------------------------------------------------


def _disabled(connection: sa.Connection, address: Address, known: Record, now: datetime) -> int:
    at = rules.disabled_for_good(known.of(MarkKind.DISABLED), known.successes)
    if at is None:
        return 0
    new = NewSuppression(
        *address,
        reason=Reason.HARD_BOUNCE,
        source=SOURCE,
        evidence="the mailbox was disabled, for the second time within a week",
        created_at=at,
        recorded_at=now,
    )
    return suppressions.add_many(connection, [new])


def _ask_once_more(connection: sa.Connection, known: Record, row: sa.Row[Any] | None) -> int:
    """Let the first hard bounce of somebody who was there lately end after a week; the next one is for good.

    In force it is from the first moment, for ever: that it ends is written afterwards.
    """
    if row is None or row.lifted_at is not None or not row.evidence.startswith(BY_EVENT):
        return 0
    pause = rules.asked_once_more(known.of(MarkKind.GONE), known.successes, known.acts)
    if pause is None or row.expires_at is not None:
        return 0
    table = tables.suppressions
    connection.execute(table.update().where(table.c.id == row.id).values(expires_at=pause.until))
    return 1
