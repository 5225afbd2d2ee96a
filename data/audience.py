"""Freezing an audience: every member of the segment becomes a row once, planned or left out with one reason."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from data import arrangement, bulk, eligibility, missing_values, quiet_hours, runs, tables, verdicts
from data.arrangement import Arrangement
from data.verdicts import Judged, Verdicts
from domain.audience import SkipReason
from domain.campaigns import Run, RunPlan, RunStatus
from domain.guardrails import CanaryState
from domain.policy import SendingPolicy

_COLUMNS = ("run_id", "party_id", "ordinal", "skip_reason", "address_hash", "mailbox_group")
# So few tuples are taken from CPython's free list (data.arrow).
_ROWS_AT_ONCE = 500
# Of all customers: from here on one pass over their mailboxes costs less than a look-up for each member.
_MANY = 0.2


def _members_table() -> sa.Table:
    """A temporary table for the segment's answer.

    `excluded`: belongs to a segment that the run leaves out. `lacking`: has no value for a variable that the run needs.
    `zone`: see quiet_hours.place.
    """
    return sa.Table(
        "segment_members",
        sa.MetaData(),
        sa.Column("party_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("excluded", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("lacking", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("zone", sa.Integer, nullable=False, server_default="0"),
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
    needed: Sequence[str] = (),
) -> Run:
    """Write audience and batches and move the run to `frozen`, all in the caller's transaction.

    `excluded`: party ids of the members of segments that the run leaves out. `needed`: variables for which whoever has
    no value is left out. `policy` is the installation's.
    """
    ids = np.sort(np.asarray(party_ids, dtype="<i8"))
    found, zones = judge(connection, run.id, run.plan, ids, excluded=excluded, policy=policy, now=now, needed=needed)
    counts = found.counts()
    planned = counts.pop(None, 0)
    canary = arranged = None
    if planned and run.plan.live:
        arranged = arrangement.arrange(connection, run.plan.account_id, found, policy=policy, now=now)
        found = replace(found, ordinal=arranged.ordinal)
        rows = arrangement.batches(run.id, arranged.parts, dict(enumerate(zones)), batch_size)
        connection.execute(tables.batches.insert(), rows)
        canary = CanaryState.WATCHING if any(part.canary for part in arranged.parts) else None
    bulk.insert_rows(connection, tables.audience, _COLUMNS, _rows(run.id, found, arranged))
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
        canary=canary,
    )


def judge(
    connection: sa.Connection,
    run_id: str,
    plan: RunPlan,
    party_ids: Sequence[int] | np.ndarray,
    *,
    excluded: Collection[int],
    policy: SendingPolicy,
    now: datetime,
    needed: Sequence[str] = (),
) -> tuple[Verdicts, list[str]]:
    """What becomes of each member, drawn by the plan's seed; and the zones that are counted from 0, if zones matter.

    Nothing stays written.
    """
    ids = np.sort(np.asarray(party_ids, dtype="<i8"))
    members = _members_table()
    members.create(connection)
    left_out = np.isin(ids, np.fromiter(excluded, dtype=np.int64, count=len(excluded)))
    bulk.insert_rows(connection, members, ["party_id"], zip(ids[~left_out].tolist(), strict=True))
    bulk.insert_rows(connection, members, ["party_id", "excluded"], ((one, True) for one in ids[left_out].tolist()))
    if needed:
        _mark_lacking(connection, members, plan.account_id, needed)
    zones = quiet_hours.place(connection, plan.account_id, members, policy)
    many = len(ids) >= _MANY * (connection.scalar(sa.select(sa.func.max(tables.parties.c.id))) or 0)
    judged = _judged(connection, run_id, plan, members, policy, now, many=many, zoned=bool(zones))
    members.drop(connection)
    place, held_out = draw(plan.campaign, plan.seed, plan.holdout_percent, ids)
    there = np.searchsorted(ids, judged.party_id)  # a member who is no customer any more is nobody's recipient
    return verdicts.of(judged, place=place[there], held_out=held_out[there], limit=plan.limit), zones


def _mark_lacking(connection: sa.Connection, members: sa.Table, account_id: str, needed: Sequence[str]) -> None:
    """In one pass over the account's customers: who has no value for one of these variables."""
    party = tables.parties.c
    customers = sa.select(party.id.label("party_id")).where(party.account_id == account_id).subquery("customers")
    lacking = (
        sa.select(customers.c.party_id)
        .select_from(missing_values.with_facts(customers))
        .where(missing_values.lack_any(needed))
    )
    connection.execute(members.update().where(members.c.party_id.in_(lacking)).values(lacking=True))


def draw(campaign: str, seed: int, holdout_percent: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place and holdout of each member: the campaign, its seed and the sorted ids alone decide who is drawn."""
    entropy = hashlib.sha256(f"{campaign}\0{seed}".encode()).digest()
    generator = np.random.default_rng(list(entropy))
    place = generator.permutation(len(ids))
    return place, generator.random(len(ids)) * 100 < holdout_percent


def _judged(
    connection: sa.Connection,
    run_id: str,
    plan: RunPlan,
    members: sa.Table,
    policy: SendingPolicy,
    now: datetime,
    *,
    many: bool,
    zoned: bool,
) -> Judged:
    """Everybody's own reason, in one statement."""
    found = eligibility.select(
        connection, plan.account_id, run_id=run_id, among=members, policy=policy, now=now, many=many, topic=plan.topic
    ).subquery()
    names = ("party_id", "reason", "address_hash", *(("zone",) if zoned else ()))
    query = sa.select(*(found.c[name] for name in names)).order_by(found.c.party_id)
    parts = []
    for rows in connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}).partitions():
        ids, reasons, mailboxes, *zones = zip(*rows, strict=True)
        parts.append((pa.array(ids, pa.int64()), verdicts.codes(reasons), pa.array(mailboxes, pa.string()), *zones))
    ids, reasons, mailboxes, *zones = zip(*parts, strict=True) if parts else ((), (), ())
    mailbox: Any = pa.chunked_array(mailboxes, pa.string()).combine_chunks()
    party_id = pa.chunked_array(ids, pa.int64()).to_numpy()
    return Judged(
        party_id,
        np.fromiter(chain.from_iterable(reasons), dtype=np.int64, count=len(party_id)),
        mailbox,
        np.fromiter(chain.from_iterable(*zones), dtype=np.int64) if zones else np.zeros_like(party_id),
    )


def _rows(run_id: str, found: Verdicts, arranged: Arrangement | None) -> Iterator[tuple[Any, ...]]:
    """In the order of party ids, which is that of two of the three indexes: half the cost of writing by ordinal."""
    names: list[str | None] = [*map(str, verdicts.REASONS), None]  # the last is PLANNED's: -1
    for first in range(0, len(found.verdict), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        mailboxes = found.judged.mailbox[part].to_pylist()
        groups = (
            [None] * len(mailboxes)
            if arranged is None
            else [arranged.names[one] for one in arranged.group[part].tolist()]
        )
        ordinals, codes = found.ordinal[part].tolist(), found.verdict[part].tolist()
        for party_id, ordinal, code, mailbox, group in zip(
            found.judged.party_id[part].tolist(), ordinals, codes, mailboxes, groups, strict=True
        ):
            if code == verdicts.PLANNED:
                yield run_id, party_id, ordinal, None, mailbox, group
            else:
                yield run_id, party_id, None, names[code], None, None


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
