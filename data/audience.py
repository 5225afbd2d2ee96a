"""Freezing an audience: every member of the segment becomes a row once, planned or left out with one reason."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import bulk, eligibility, quiet_hours, runs, tables
from domain import ledger
from domain.audience import SkipReason
from domain.campaigns import Run, RunPlan, RunStatus
from domain.ledger import BatchState
from domain.policy import SendingPolicy


def _members_table() -> sa.Table:
    """A temporary table for the segment's answer; `place` is a seeded shuffle, which makes a limit a fair sample.

    `excluded`: belongs to a segment that the run leaves out. `zone`: see quiet_hours.place.
    """
    return sa.Table(
        "segment_members",
        sa.MetaData(),
        sa.Column("party_id", sa.BigInteger, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("holdout", sa.Boolean, nullable=False),
        sa.Column("excluded", sa.Boolean, nullable=False),
        sa.Column("zone", sa.Integer, nullable=True),
        prefixes=["TEMPORARY"],
    )


def freeze(
    connection: sa.Connection,
    run: Run,
    party_ids: Sequence[int],
    *,
    definition_hash: str,
    template_hash: str,
    feature_watermark: datetime,
    code_version: str,
    policy: SendingPolicy,
    batch_size: int,
    now: datetime,
    excluded: Collection[int] = (),
) -> Run:
    """Write audience and batches and move the run to `frozen`, all in the caller's transaction.

    `excluded`: party ids of the members of segments that the run leaves out. `policy` is the installation's.
    """
    ids = np.sort(np.asarray(party_ids, dtype="<i8"))
    members, zones = gather(connection, run.plan, ids, excluded=excluded, policy=policy)
    _insert_audience(connection, run, members, policy, now, zoned=len(zones) > 1)
    counts = _counts(connection, run.id)
    planned = counts.pop(None, 0)
    if planned and run.plan.live:
        sizes: dict[str | None, int] = _sizes(connection, run.id, members, zones) if zones else {None: planned}
        connection.execute(tables.batches.insert(), _batches(run.id, sizes, batch_size))
    members.drop(connection)
    return runs.advance(
        connection,
        run,
        RunStatus.FROZEN,
        definition_hash=definition_hash,
        template_hash=template_hash,
        feature_watermark=feature_watermark,
        code_version=code_version,
        members_hash=hashlib.sha256(ids.tobytes()).hexdigest(),
        members=len(ids),
        planned=planned,
        skipped={reason.value: counts[reason] for reason in SkipReason if reason in counts},
        frozen_at=now,
    )


def gather(
    connection: sa.Connection,
    plan: RunPlan,
    party_ids: Sequence[int] | np.ndarray,
    *,
    excluded: Collection[int],
    policy: SendingPolicy,
) -> tuple[sa.Table, list[str]]:
    """The members in a temporary table, drawn by the plan's seed; and the zones that its `zone` counts from 0.

    The caller drops it or rolls it back.
    """
    members = _members_table()
    members.create(connection)
    drawn = _drawn(plan, np.sort(np.asarray(party_ids, dtype="<i8")), excluded)
    bulk.insert_rows(connection, members, ["party_id", "place", "holdout", "excluded"], drawn)
    return members, quiet_hours.place(connection, plan.account_id, members, policy)


def _drawn(plan: RunPlan, ids: np.ndarray, excluded: Collection[int]) -> list[tuple[int, int, bool, bool]]:
    """Place, holdout and exclusion of each member."""
    place, held = draw(plan.campaign, plan.seed, plan.holdout_percent, ids)
    left_out = np.isin(ids, np.fromiter(excluded, dtype=np.int64, count=len(excluded)))
    return list(zip(ids.tolist(), place.tolist(), held.tolist(), left_out.tolist(), strict=True))


def draw(campaign: str, seed: int, holdout_percent: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place and holdout of each member: the campaign, its seed and the sorted ids alone decide who is drawn."""
    entropy = hashlib.sha256(f"{campaign}\0{seed}".encode()).digest()
    generator = np.random.default_rng(list(entropy))
    place = generator.permutation(len(ids))
    return place, generator.random(len(ids)) * 100 < holdout_percent


def verdicts(
    connection: sa.Connection,
    run_id: str,
    plan: RunPlan,
    members: sa.Table,
    *,
    policy: SendingPolicy,
    now: datetime,
    zoned: bool,
) -> sa.CTE:
    """Of each member the `verdict` (NULL: planned), in steps: own reasons, then one mailbox once, then holdout and limit.

    With party_id, address_hash, and the `number` that is a planned one's ordinal; where `zoned`, its zone besides.
    """
    first = eligibility.select(connection, plan.account_id, run_id=run_id, among=members, policy=policy, now=now).cte(
        "judged"
    )
    same_mailbox = sa.func.row_number().over(
        partition_by=[first.c.address_hash, first.c.reason], order_by=first.c.place
    )
    second = sa.select(
        first,
        sa.case(
            (first.c.reason.is_not(None), first.c.reason),
            (same_mailbox > 1, SkipReason.DUPLICATE_ADDRESS),
            (first.c.holdout, SkipReason.HOLDOUT),
            else_=None,
        ).label("verdict"),
    ).cte("mailboxes")
    return _numbered(second, plan.limit, zoned=zoned)


def _insert_audience(
    connection: sa.Connection, run: Run, members: sa.Table, policy: SendingPolicy, now: datetime, *, zoned: bool
) -> None:
    """One INSERT … SELECT of everybody's verdict."""
    judged = verdicts(connection, run.id, run.plan, members, policy=policy, now=now, zoned=zoned)
    chosen = sa.select(
        sa.literal(run.id),
        judged.c.party_id,
        sa.case((judged.c.verdict.is_(None), judged.c.number), else_=None),
        judged.c.verdict,
        sa.case((judged.c.verdict.is_(None), judged.c.address_hash), else_=None),
    ).order_by(judged.c.party_id)  # the order of two of the three indexes: half the cost of inserting by ordinal
    names = ["run_id", "party_id", "ordinal", "skip_reason", "address_hash"]
    connection.execute(tables.audience.insert().from_select(names, chosen))


def _numbered(judged: sa.CTE, limit: int | None, *, zoned: bool) -> sa.CTE:
    """The limit takes the first by place; where batches are to have one zone each, the ordinals go zone by zone."""

    def numbered(of: sa.CTE, *order: sa.ColumnElement[Any]) -> sa.Label[int]:
        return (sa.func.row_number().over(partition_by=of.c.verdict.is_(None), order_by=order) - 1).label("number")

    columns = ("party_id", "address_hash", *(("place", "zone") if zoned else ()))
    found = sa.select(*(judged.c[name] for name in (*columns, "verdict")), numbered(judged, judged.c.place)).cte(
        "drawn"
    )
    if limit is not None:
        over = found.c.verdict.is_(None) & (found.c.number >= limit)
        verdict = sa.case((over, SkipReason.OVER_LIMIT), else_=found.c.verdict).label("verdict")
        found = sa.select(*(found.c[name] for name in (*columns, "number")), verdict).cte("limited")
    if not zoned:
        return found
    number = numbered(found, found.c.zone, found.c.place)
    return sa.select(*(found.c[name] for name in columns), found.c.verdict, number).cte("by_zone")


def _sizes(connection: sa.Connection, run_id: str, members: sa.Table, zones: Sequence[str]) -> dict[str | None, int]:
    """How many are planned in each zone, in the order of their ordinals."""
    member = tables.audience.c
    query = (
        sa.select(members.c.zone, sa.func.count())
        .join_from(tables.audience, members, members.c.party_id == member.party_id)
        .where(member.run_id == run_id, member.ordinal.is_not(None))
        .group_by(members.c.zone)
        .order_by(members.c.zone)
    )
    return {zones[number]: people for number, people in connection.execute(query)}


def _batches(run_id: str, sizes: Mapping[str | None, int], batch_size: int) -> list[dict[str, Any]]:
    """Contiguous ranges of ordinals, each of one zone."""
    same = {"run_id": run_id, "state": BatchState.PLANNED, "attempts": 0}
    rows, begin = [], 0
    for zone, size in sizes.items():
        rows += [
            {**same, "zone": zone, "first_ordinal": begin + first, "last_ordinal": begin + last}
            for first, last in ledger.ranges(size, batch_size)
        ]
        begin += size
    return rows


def held(connection: sa.Connection, run: Run, now: datetime, *, policy: SendingPolicy) -> list[quiet_hours.Held]:
    """(zone, people, until): who of a frozen run waits for the end of quiet hours if it is sent now, soonest first."""
    return quiet_hours.held(connection, run, policy, now)


def _counts(connection: sa.Connection, run_id: str) -> dict[Any, int]:
    table = tables.audience
    query = (
        sa.select(table.c.skip_reason, sa.func.count()).where(table.c.run_id == run_id).group_by(table.c.skip_reason)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def members(connection: sa.Connection, run_id: str) -> npt.NDArray[np.int64]:
    """All members of a frozen run, planned or left out, by ascending party id."""
    member = tables.audience.c
    found = connection.scalars(sa.select(member.party_id).where(member.run_id == run_id))
    return np.sort(np.fromiter(found, dtype=np.int64))


def explain(connection: sa.Connection, run_id: str, party_id: int) -> str | None:
    """Why somebody was left out, or None if planned. Raises LookupError for somebody outside the segment."""
    table = tables.audience
    query = sa.select(table.c.skip_reason).where(table.c.run_id == run_id, table.c.party_id == party_id)
    found: list[str | None] = list(connection.scalars(query))
    if not found:
        raise LookupError(f"customer {party_id} was not in the segment of run {run_id}")
    return found[0]
