"""Freezing an audience: every member of the segment becomes a row once, planned or left out with one reason."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from data import bulk, eligibility, runs, tables
from domain import ledger
from domain.audience import SkipReason
from domain.campaigns import Run, RunStatus
from domain.ledger import BatchState
from domain.policy import SendingPolicy


def _members_table() -> sa.Table:
    """A temporary table for the segment's answer; `place` is a seeded shuffle, which makes a limit a fair sample."""
    return sa.Table(
        "segment_members",
        sa.MetaData(),
        sa.Column("party_id", sa.BigInteger, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("holdout", sa.Boolean, nullable=False),
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
    policy: SendingPolicy,
    batch_size: int,
    now: datetime,
) -> Run:
    """Write audience and batches and move the run to `frozen`, all in the caller's transaction."""
    members = _members_table()
    members.create(connection)
    bulk.insert_rows(connection, members, ["party_id", "place", "holdout"], _drawn(run, party_ids))
    _insert_audience(connection, run, members, policy, now)
    members.drop(connection)
    counts = _counts(connection, run.id)
    planned = counts.pop(None, 0)
    rows = [
        {"run_id": run.id, "first_ordinal": first, "last_ordinal": last, "state": BatchState.PLANNED, "attempts": 0}
        for first, last in ledger.ranges(planned, batch_size)
    ]
    if rows and run.plan.live:
        connection.execute(tables.batches.insert(), rows)
    return runs.advance(
        connection,
        run,
        RunStatus.FROZEN,
        definition_hash=definition_hash,
        template_hash=template_hash,
        feature_watermark=feature_watermark,
        members=len(party_ids),
        planned=planned,
        skipped={reason.value: counts[reason] for reason in SkipReason if reason in counts},
        frozen_at=now,
    )


def _drawn(run: Run, party_ids: Sequence[int]) -> list[tuple[int, int, bool]]:
    """Place and holdout of each member: the seed and the ids alone decide, not the order in which they came."""
    ids = np.sort(np.asarray(party_ids, dtype=np.int64))
    entropy = hashlib.sha256(f"{run.plan.campaign}\0{run.plan.seed}".encode()).digest()
    generator = np.random.default_rng(list(entropy))
    place = generator.permutation(len(ids))
    held = generator.random(len(ids)) * 100 < run.plan.holdout_percent
    return list(zip(ids.tolist(), place.tolist(), held.tolist(), strict=True))


def _insert_audience(
    connection: sa.Connection, run: Run, members: sa.Table, policy: SendingPolicy, now: datetime
) -> None:
    """INSERT … SELECT in three steps: own reasons, then one mailbox once, then holdout and limit, then ordinals."""
    first = eligibility.select(
        connection, run.plan.account_id, run_id=run.id, among=members, policy=policy, now=now
    ).cte("judged")
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
    ordinal = sa.func.row_number().over(partition_by=second.c.verdict.is_(None), order_by=second.c.place) - 1
    third = sa.select(second.c.party_id, second.c.address_hash, second.c.verdict, ordinal.label("number")).cte(
        "numbered"
    )
    over = third.c.number >= run.plan.limit if run.plan.limit is not None else sa.false()
    planned = third.c.verdict.is_(None) & ~over
    chosen = sa.select(
        sa.literal(run.id),
        third.c.party_id,
        sa.case((planned, third.c.number), else_=None),
        sa.case((third.c.verdict.is_not(None), third.c.verdict), (over, SkipReason.OVER_LIMIT), else_=None),
        sa.case((planned, third.c.address_hash), else_=None),
    ).order_by(third.c.party_id)  # the order of two of the three indexes: half the cost of inserting by ordinal
    names = ["run_id", "party_id", "ordinal", "skip_reason", "address_hash"]
    connection.execute(tables.audience.insert().from_select(names, chosen))


def _counts(connection: sa.Connection, run_id: str) -> dict[Any, int]:
    table = tables.audience
    query = (
        sa.select(table.c.skip_reason, sa.func.count()).where(table.c.run_id == run_id).group_by(table.c.skip_reason)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def explain(connection: sa.Connection, run_id: str, party_id: int) -> str | None:
    """Why somebody was left out, or None if planned. Raises LookupError for somebody outside the segment."""
    table = tables.audience
    query = sa.select(table.c.skip_reason).where(table.c.run_id == run_id, table.c.party_id == party_id)
    found: list[str | None] = list(connection.scalars(query))
    if not found:
        raise LookupError(f"customer {party_id} was not in the segment of run {run_id}")
    return found[0]
