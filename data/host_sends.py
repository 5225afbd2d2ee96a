"""The one request that sends a run at a campaign host, as the ledger claims it: all its batches together.

Each batch keeps an attempt of its own, as all that counts messages goes by those; what they share is the campaign's id at
the host, by which the host's events find them (data.correlation).
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import correlation, host_steps, pools, runs, tables, traffic_rows
from domain.campaigns import RunStatus
from domain.hosting import StepState
from domain.ledger import BatchState
from domain.routes import MIXED, Route


@dataclass(frozen=True, slots=True)
class Request:
    """The claimed request. `messages`: how many it is to mail."""

    run_id: str
    campaign_id: str
    worker: str
    messages: int
    send_at: datetime
    lease_expires_at: datetime


def claim(
    connection: sa.Connection,
    run_id: str,
    campaign_id: str,
    *,
    route: Route,
    content: str,
    worker: str,
    send_at: datetime,
    now: datetime,
    lease: timedelta,
) -> Request | None:
    """Take all planned batches; None where there are none, or the run may not be sent. To be committed before the call.

    Batches in which nobody is left are closed. `content`: the hash of what the mail says.
    """
    run = runs.get(connection, run_id, locked=True)  # two who claim, or one who cancels, go one after the other
    if run.status is not RunStatus.DISPATCHING or not run.plan.live or not run.expires_at or run.expires_at <= now:
        return None
    sizes = _sizes(connection, run_id)
    batch = tables.batches
    for some in correlation.chunks([one for one, size in sizes.items() if not size]):
        closed = {"state": BatchState.SUPPRESSED, "finished_at": now}
        connection.execute(batch.update().where(batch.c.id.in_(some)).values(**closed))
    full = {one: size for one, size in sizes.items() if size}
    if not full:
        return None
    pools.ensure(connection, [route], now=now)
    attempts = {one: str(uuid.uuid4()) for one in full}
    _take(connection, attempts, worker, now + lease)
    request = Request(run_id, campaign_id, worker, sum(full.values()), send_at, now + lease)
    _write_attempts(connection, request, full, attempts, route, content, now)
    host_steps.note_schedule(connection, run_id, StepState.WORKING, worker=worker, started_at=now)
    return request


def _sizes(connection: sa.Connection, run_id: str) -> dict[int, int]:
    """How many each planned batch is to mail."""
    batch, exception = tables.batches.c, tables.message_exceptions.c
    left_out = (
        sa.select(sa.func.count())
        .where(exception.run_id == batch.run_id, exception.ordinal.between(batch.first_ordinal, batch.last_ordinal))
        .scalar_subquery()
    )
    size = batch.last_ordinal - batch.first_ordinal + 1 - left_out
    query = sa.select(batch.id, size).where(batch.run_id == run_id, batch.state == BatchState.PLANNED)
    return {row[0]: int(row[1]) for row in connection.execute(query.order_by(batch.id))}


def _take(connection: sa.Connection, attempts: Mapping[int, str], worker: str, until: datetime) -> None:
    batch = tables.batches
    taken = (
        batch.update()
        .where(batch.c.id == sa.bindparam("batch"), batch.c.state == BatchState.PLANNED)
        .values(
            state=BatchState.INFLIGHT,
            worker=worker,
            attempt_id=sa.bindparam("attempt"),
            attempts=batch.c.attempts + 1,
            lease_expires_at=until,
            not_before=None,
        )
    )
    connection.execute(taken, [{"batch": one, "attempt": attempt} for one, attempt in sorted(attempts.items())])


def _write_attempts(
    connection: sa.Connection,
    request: Request,
    sizes: Mapping[int, int],
    attempts: Mapping[int, str],
    route: Route,
    content: str,
    now: datetime,
) -> None:
    """One attempt a batch, and by which way it goes."""
    batch = tables.batches.c
    rows = connection.execute(
        sa.select(batch.id, batch.attempts, batch.mailbox_group, batch.first_ordinal, batch.last_ordinal).where(
            batch.run_id == request.run_id, batch.state == BatchState.INFLIGHT
        )
    ).all()
    same = {"provider": route.provider, "worker": request.worker, "claimed_at": now}
    same["provider_reference"] = request.campaign_id
    own = traffic_rows.way(route) | {"decision": {"host": route.provider}}
    own |= {"schedule_id": request.campaign_id, "send_at": request.send_at}
    tried = [
        {"id": attempts[row.id], "batch_id": row.id, "number": row.attempts, "messages": sizes[row.id], **same}
        | {"content_hash": _digest(content, request.campaign_id, row)}
        for row in rows
    ]
    ways = [{**own, "attempt_id": attempts[row.id], "mailbox_group": row.mailbox_group or MIXED} for row in rows]
    connection.execute(tables.batch_attempts.insert(), tried)
    connection.execute(tables.attempt_routes.insert(), ways)


def _digest(content: str, campaign_id: str, row: sa.Row[Any]) -> str:
    said = f"{content}\0{campaign_id}\0{row.first_ordinal}\0{row.last_ordinal}"
    return hashlib.sha256(said.encode()).hexdigest()
