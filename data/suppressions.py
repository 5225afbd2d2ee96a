"""Suppressions: standing refusals to mail an address, by its keyed hash. Our list is the authority, ESPs' lists feed it.

One row an address and reason. Refusals only gather: what an ESP's list no longer names stays, until it expires or a
person lifts it and says why.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import audit_log, database, tables
from domain import suppression
from domain.suppression import Reason, Scope

# Who lifted and what that is called, in the audit log.
HERSELF = "recipient"
_LIFTED = "suppression lifted"
_LISTED = ("address_hash", "reason", "scope", "source", "created_at", "expires_at", "evidence")


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """A refusal to keep. `created_at` is when the reason arose; `evidence` says where to look, without the address.

    `recorded_at`: since when it is in force here. `scope` None: as far as the reason reaches by itself
    (domain.suppression.SCOPE_OF).
    """

    account_id: str
    address_hash: str
    reason: Reason
    source: str
    evidence: str
    created_at: datetime
    expires_at: datetime | None = None
    scope: Scope | None = None
    recorded_at: datetime | None = None

    @property
    def reach(self) -> Scope:
        """Its scope."""
        return self.scope or suppression.SCOPE_OF[self.reason]


def add_many(connection: sa.Connection, rows: Sequence[NewSuppression]) -> int:
    """Keep refusals; how many (by address and reason) are new, stand again, or stand longer or wider.

    A lifted one stands again if the reason arose after the lift: an old one that comes once more proves nothing. Of two
    that stand, the later expiry and the wider scope stay, in whichever order they come.
    """
    changed: set[int] = set()
    for turn in _turns(rows):
        changed.update(_upsert(connection, turn))
    return len(changed)


def _turns(rows: Sequence[NewSuppression]) -> list[list[NewSuppression]]:
    """Each key's rows one after the other, oldest first: no statement may hold a key twice.

    Of those that differ in their time alone the first says since when, the last whether it stands again.
    """
    by_key: dict[tuple[str, str, Reason], list[NewSuppression]] = {}
    for row in rows:
        by_key.setdefault((row.account_id, row.address_hash, row.reason), []).append(row)
    turns: list[list[NewSuppression]] = []
    for _, some in sorted(by_key.items()):
        for place, row in enumerate(_telling(some)):
            if place == len(turns):
                turns.append([])
            turns[place].append(row)
    return turns


def _telling(rows: Sequence[NewSuppression]) -> list[NewSuppression]:
    ordered = sorted(rows, key=lambda row: row.created_at)
    first = {(row.expires_at, row.reach): place for place, row in reversed(list(enumerate(ordered)))}
    last = {(row.expires_at, row.reach): place for place, row in enumerate(ordered)}
    return [ordered[place] for place in sorted({*first.values(), *last.values()})]


def add(
    connection: sa.Connection,
    *,
    account_id: str,
    address_hash: str,
    reason: Reason,
    source: str,
    evidence: str,
    now: datetime,
    expires_at: datetime | None = None,
    scope: Scope | None = None,
) -> bool:
    """Keep one refusal; False when it stood already."""
    row = NewSuppression(account_id, address_hash, reason, source, evidence, now, expires_at, scope, now)
    return add_many(connection, [row]) == 1


def add_by_hand(connection: sa.Connection, row: NewSuppression, *, actor: str) -> bool:
    """Keep a refusal that a person states, and log who did and why; False when it stood already. No address in it."""
    added = add_many(connection, [row]) == 1
    audit_log.write(
        connection,
        account_id=row.account_id,
        actor=actor,
        action="suppression added",
        subject=_subject(row.address_hash),
        detail={
            "why": row.evidence,
            "reason": row.reason,
            "scope": row.reach,
            "until": row.expires_at.isoformat() if row.expires_at else None,
            "new": added,
        },
        now=row.created_at,
    )
    return added


def _upsert(connection: sa.Connection, rows: Sequence[NewSuppression]) -> list[int]:
    table = tables.suppressions
    statement = database.insert(connection, table)
    new = statement.excluded
    again = table.c.lifted_at < new.created_at
    stands = table.c.lifted_at.is_(None)
    longer = (
        stands & table.c.expires_at.is_not(None) & (new.expires_at.is_(None) | (new.expires_at > table.c.expires_at))
    )
    wider = stands & (_reach(new.scope) > _reach(table.c.scope))
    # What was over when the reason arose anew is no part of it.
    anew = again | (longer & (table.c.expires_at <= new.created_at))
    kept = statement.on_conflict_do_update(
        index_elements=["account_id", "address_hash", "reason"],
        # null(), not None: with a parameter in here SQLAlchemy would send row by row.
        set_={
            "lifted_at": sa.null(),
            "expires_at": sa.case((again | longer, new.expires_at), else_=table.c.expires_at),
            "scope": sa.case((anew | wider, new.scope), else_=table.c.scope),
            "source": new.source,
            "evidence": new.evidence,
            # Who asks whether an ESP's entry is of this bounce must not be told the time of the one that was over.
            "created_at": sa.case((anew, new.created_at), else_=table.c.created_at),
            "recorded_at": sa.case((anew, new.recorded_at), else_=table.c.recorded_at),
        },
        where=again | longer | wider,
    )
    values = [
        {
            "account_id": row.account_id,
            "address_hash": row.address_hash,
            "reason": row.reason.value,
            "scope": row.reach.value,
            "source": row.source,
            "evidence": row.evidence,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "recorded_at": row.recorded_at,
        }
        for row in rows
    ]
    return list(connection.scalars(kept.returning(table.c.id), values))


def _reach(scope: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # Literals: a parameter in a conflict's clause makes SQLAlchemy send row by row.
    places: list[tuple[Any, Any]] = [
        (scope == sa.literal_column(f"'{one.value}'"), sa.literal_column(str(place)))
        for place, one in enumerate(suppression.BY_REACH)
    ]
    return sa.case(*places, else_=sa.literal_column("0"))


def standing(connection: sa.Connection, account_id: str, address_hash: str) -> list[Reason]:
    """The reasons that nobody lifted, expired ones too."""
    table = tables.suppressions
    query = sa.select(table.c.reason).where(
        table.c.account_id == account_id, table.c.address_hash == address_hash, table.c.lifted_at.is_(None)
    )
    return sorted(Reason(reason) for reason in connection.scalars(query))


def lift(
    connection: sa.Connection,
    *,
    account_id: str,
    address_hash: str,
    actor: str,
    reason: str,
    now: datetime,
    only: Collection[Reason] | None = None,
    asked_for: bool = False,
    taken_off: Sequence[str] = (),
) -> list[Reason]:
    """Lift refusals of an address, all or only those of some reasons, and log who did and why; what was lifted.

    `asked_for`: the person herself wants mail again. `taken_off`: from which lists of ESPs the address came as well.
    Raises NotLifted, ValueError without a reason or a person.
    """
    if not reason.strip() or not actor.strip():
        raise ValueError("a suppression is lifted by somebody, for a reason: say who and why, the audit log keeps it")
    table = tables.suppressions
    found = [one for one in standing(connection, account_id, address_hash) if only is None or one in only]
    suppression.check_lift(found, asked_for=asked_for)
    lifting = table.update().where(
        table.c.account_id == account_id,
        table.c.address_hash == address_hash,
        table.c.reason.in_(found),
        table.c.lifted_at.is_(None),
    )
    lifted = sorted(Reason(one) for one in connection.scalars(lifting.values(lifted_at=now).returning(table.c.reason)))
    if lifted:
        audit_log.write(
            connection,
            account_id=account_id,
            actor=actor,
            action=_LIFTED,
            subject=_subject(address_hash),
            detail={"why": reason, "reasons": lifted}
            | ({"asked_for": True} if asked_for else {})
            | ({"taken_off": list(taken_off)} if taken_off else {}),
            now=now,
        )
    return lifted


def _subject(address_hash: Any) -> Any:
    """The address as the audit log names it; also of a column."""
    return "address " + address_hash


def lifted_by_herself() -> sa.ColumnElement[bool]:
    """Whether the lift of a row of `suppressions` was the person's own doing, on her page."""
    row, log = tables.suppressions.c, tables.audit_log.c
    return sa.exists().where(
        log.subject == _subject(row.address_hash),
        log.account_id == row.account_id,
        log.action == _LIFTED,
        log.actor == HERSELF,
        log.at == row.lifted_at,
    )


def lifted(connection: sa.Connection, address_hashes: Collection[str]) -> set[tuple[str, str, Reason]]:
    """Account, address hash and reason of all that was lifted of these addresses and does not stand again."""
    row = tables.suppressions.c
    found = connection.execute(
        sa.select(row.account_id, row.address_hash, row.reason).where(
            row.address_hash.in_(sorted(address_hashes)), row.lifted_at.is_not(None)
        )
    )
    return {(one.account_id, one.address_hash, Reason(one.reason)) for one in found}


def listing(connection: sa.Connection, account_id: str, *, limit: int, offset: int = 0) -> Sequence[sa.Row[Any]]:
    """What is not lifted, newest first."""
    table = tables.suppressions
    return connection.execute(
        sa.select(*(table.c[name] for name in _LISTED))
        .where(table.c.account_id == account_id, table.c.lifted_at.is_(None))
        .order_by(table.c.created_at.desc(), table.c.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()


def history(
    connection: sa.Connection, account_id: str, address_hash: str, *, actor: str, now: datetime
) -> Sequence[sa.Row[Any]]:
    """All rows of one address, lifted and expired ones too, oldest first; that it was read is logged."""
    table = tables.suppressions
    audit_log.write(
        connection,
        account_id=account_id,
        actor=actor,
        action="suppressions read",
        subject=_subject(address_hash),
        detail={},
        now=now,
    )
    return connection.execute(
        sa.select(*(table.c[name] for name in (*_LISTED, "lifted_at")))
        .where(table.c.account_id == account_id, table.c.address_hash == address_hash)
        .order_by(table.c.created_at, table.c.id)
    ).all()
