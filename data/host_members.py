"""The members of a run at a campaign host: who is to be put there, who is to be taken out, and what the host refused.

Whoever was put there once is in the host's segment until she is taken out, also where the worker died before it wrote that
down. So nothing is written of somebody who gets no mail before she is out; then a step that is done anew finds her again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import claim_reading, eligibility, host_steps, ledger, suppressions, tables
from data.ledger import SqlLedger
from data.variables import UNSUBSCRIBE_URL
from domain import campaigns
from domain.campaign_host import Member, MemberRefusal
from domain.hosting import Claimed, Step
from domain.ledger import MessageState
from domain.suppression import Reason


@dataclass(frozen=True, slots=True)
class Leaving:
    """Those who get no mail any more: by ordinal why, by which addresses the host may know them.

    `lost`: an address that the host may know is one that we know no longer, as she changed it or was erased.
    """

    reasons: Mapping[int, str]
    addresses: Sequence[str]
    lost: bool


def read(connection: sa.Connection, book: SqlLedger, part: Claimed, now: datetime) -> tuple[list[Member], Leaving]:
    """The members of a part as they stand now, and who of them leaves. Only an earlier try can have put those there."""
    found, refused = book.second_reading(connection, part.first, part.last, now)
    moved: set[int] = set()
    if refused and part.attempts > 1:
        asked = _question(connection, book, now)
        moved = {row.ordinal for row in _refused(connection, asked, book, part.first, part.last, now) if row.moved}
    addresses = [row.email for row in found if row.ordinal in refused and row.email and row.ordinal not in moved]
    stay = [row for row in found if row.ordinal not in refused]
    return _members(book, stay), Leaving(refused, addresses, bool(moved))


def _question(connection: sa.Connection, book: SqlLedger, now: datetime) -> eligibility.Question:
    plan = book.run.plan
    return eligibility.question(
        connection, plan.account_id, run_id=book.run.id, policy=book.policy, now=now, topic=plan.topic
    )


def _refused(
    connection: sa.Connection, asked: eligibility.Question, book: SqlLedger, first: int, last: int, now: datetime
) -> Sequence[sa.Row[tuple[int, str | None, str, bool]]]:
    among = {"run_id": book.run.id, "first_ordinal": first, "last_ordinal": last}
    return connection.execute(claim_reading.refused(asked), {**among, **asked.moments(now)}).all()


def leaving(connection: sa.Connection, book: SqlLedger, first: int, last: int, now: datetime) -> Leaving:
    """Who of a range may not be mailed any more; cheaper than `read`, for the last look."""
    rows = _refused(connection, _question(connection, book, now), book, first, last, now)
    reasons = {row.ordinal: row.reason for row in rows}
    addresses = [row.email for row in rows if row.email is not None and not row.moved]
    return Leaving(reasons, addresses, any(row.moved for row in rows))


def names_of(book: SqlLedger) -> list[str]:
    """What each member's values are called: the content's variables, and the way out that every one of ours has."""
    return [*book.content.variables, UNSUBSCRIBE_URL]


def _members(book: SqlLedger, rows: Sequence[sa.Row[tuple[int, str]]]) -> list[Member]:
    if not rows:
        return []
    names = names_of(book)
    ordinals, addresses, _, *columns = zip(*rows, strict=True)
    ids = [campaigns.message_id(book.run.id, ordinal) for ordinal in ordinals]
    written = book.written(columns) | {UNSUBSCRIBE_URL: book.links.unsubscribe(ids)}
    values = zip(*(written[name] for name in names), strict=True)
    return [
        Member(message_id, address, dict(zip(names, own, strict=True)))
        for message_id, address, own in zip(ids, addresses, values, strict=True)
    ]


def put(
    connection: sa.Connection,
    claimed: Claimed,
    left: Leaving,
    refusals: Sequence[MemberRefusal],
    *,
    account_id: str,
    provider: str,
    now: datetime,
) -> None:
    """The part is done: who was left out or refused is written with it. Raises hosting.LeaseLost, and writes nothing."""
    host_steps.finish(connection, claimed, now=now, detail=f"{len(refusals)} refused by the host")
    ledger.leave_out(connection, claimed.run_id, left.reasons, now)
    by_ordinal = {_ordinal(one): one for one in refusals}
    if by_ordinal:
        exception = {"run_id": claimed.run_id, "state": MessageState.REJECTED, "created_at": now}
        rows = [{**exception, "ordinal": ordinal, "reason": one.detail} for ordinal, one in by_ordinal.items()]
        connection.execute(tables.message_exceptions.insert(), rows)
        standing = {ordinal: one for ordinal, one in by_ordinal.items() if one.standing is not None}
        _suppress(connection, claimed.run_id, standing, account_id=account_id, provider=provider, now=now)
    if left.lost:
        host_steps.add(connection, claimed.run_id, [(Step.START_OVER, 0, 0)])


def _ordinal(refusal: MemberRefusal) -> int:
    parsed = campaigns.parse_message_id(refusal.message_id)
    if parsed is None:
        raise ValueError("the host refused a member under a name that is none of ours; nothing was written")
    return parsed[1]


def _suppress(
    connection: sa.Connection,
    run_id: str,
    refusals: Mapping[int, MemberRefusal],
    *,
    account_id: str,
    provider: str,
    now: datetime,
) -> None:
    """Only she can undo what the host says of her for good, so it stands with us too."""
    if not refusals:
        return
    member = tables.audience.c
    query = sa.select(member.ordinal, member.address_hash)
    rows = connection.execute(query.where(member.run_id == run_id, member.ordinal.in_(sorted(refusals))))
    new = [
        suppressions.NewSuppression(
            account_id=account_id,
            address_hash=row.address_hash,
            reason=Reason(refusals[row.ordinal].standing or Reason.MANUAL),
            source=provider,
            evidence=f"{provider} took her no more in run {run_id}: {refusals[row.ordinal].detail}",
            created_at=now,
            recorded_at=now,
        )
        for row in rows
        if row.address_hash is not None
    ]
    suppressions.add_many(connection, new)


def ours(connection: sa.Connection, run_id: str, planned: int) -> int:
    """How many of the run are to be mailed as we know it."""
    exception = tables.message_exceptions
    query = sa.select(sa.func.count()).select_from(exception).where(exception.c.run_id == run_id)
    return planned - int(connection.execute(query).scalar_one())
