"""What the campaign pages and artifacts show of a run, read in a few set-based queries."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import audit, kpi_counts, kpis, runs, tables
from domain.audience import SENTENCE, SkipReason
from domain.campaigns import Run
from domain.ledger import BatchState
from domain.reports import Moment, RunReport, RunSummary, Step

_SLICES = 60
_SECOND = timedelta(seconds=1)
# What became of planned messages that were not accepted, in the order of the page.
_NOT_ACCEPTED = {
    "suppressed": "suppressed after the audience was frozen",
    "rejected": "refused by the ESP",
    "expired": "too late: the run's window closed first",
    "cancelled": "not sent: the run was cancelled",
    "held": "possibly sent: held, and never sent again",
    "open": "still to be sent",
}


def run_report(connection: sa.Connection, run_id: str) -> RunReport:
    """Everything that is shown of one run. Raises data.runs.UnknownRun."""
    run = runs.get(connection, run_id)
    account = tables.accounts
    total, by_provider = kpis.figures(connection, run_id)
    first, last = _accepted_between(connection, run_id)
    return RunReport(
        run=run,
        account_name=connection.execute(
            sa.select(account.c.name).where(account.c.id == run.plan.account_id)
        ).scalar_one(),
        waterfall=tuple(_waterfall(connection, run)),
        total=total,
        by_mailbox_provider=by_provider,
        timeline=() if first is None else _timeline(connection, run_id, first),
        last_accepted_at=last,
    )


def recent_runs(connection: sa.Connection, account_id: str | None, limit: int) -> list[RunSummary]:
    """The newest runs, of one account or (for whoever operates the installation) of all, with their stored figures."""
    table = tables.campaign_runs
    query = sa.select(table.c.id).order_by(table.c.created_at.desc(), table.c.id).limit(limit)
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    newest = [runs.get(connection, run_id) for run_id in connection.scalars(query).all()]
    totals = kpi_counts.stored(connection, [run.id for run in newest])
    return [RunSummary(run, totals[run.id]) for run in newest]


def _waterfall(connection: sa.Connection, run: Run) -> Iterator[Step]:
    if run.members is None or run.planned is None:
        return  # not frozen yet: nobody knows
    yield Step("members", "in the segment", run.members)
    skipped = run.skipped or {}
    for reason in SkipReason:
        if skipped.get(reason):
            yield Step(reason, SENTENCE[reason], skipped[reason])
    yield Step("planned", "planned", run.planned)
    if not run.plan.live:
        return
    states = audit.message_states(connection, run.id)
    for state, label in _NOT_ACCEPTED.items():
        if states[state]:
            yield Step(state, label, states[state])
    yield Step("accepted", "accepted by the ESP", states["accepted"])


def _accepted_between(connection: sa.Connection, run_id: str) -> tuple[datetime | None, datetime | None]:
    batch = tables.batches
    row = connection.execute(
        sa.select(sa.func.min(batch.c.finished_at), sa.func.max(batch.c.finished_at)).where(
            batch.c.run_id == run_id, batch.c.state == BatchState.ACCEPTED
        )
    ).one()
    return row[0], row[1]


def _timeline(connection: sa.Connection, run_id: str, start: datetime) -> tuple[Moment, ...]:
    """Equal slices from the first acceptance to the last event; an event of an ESP's slower clock is in the first."""
    message = tables.message_delivery
    times = {
        "delivered": message.c.delivered_at,
        "bounced": message.c.bounced_at,
        "opened_human": message.c.human_opened_at,
        "clicked": message.c.clicked_at,
    }
    latest = connection.execute(
        sa.select(*(sa.func.max(column) for column in times.values())).where(message.c.run_id == run_id)
    ).one()
    ends = [at for at in latest if at is not None]
    if not ends:
        return ()
    # Rounded up to whole seconds, so that there are never more than _SLICES.
    # ESPs tell whole seconds: all that happened in the second of the acceptance seems to lie before it.
    span = max(max(ends) - start, timedelta(0))
    width = span // _SECOND // _SLICES * _SECOND + _SECOND
    count = span // width + 1
    slices: list[dict[str, int]] = [dict.fromkeys(times, 0) for _ in range(count)]
    for name, column in times.items():
        number = _slice_of(connection, column, start, width).label("number")
        query = sa.select(number, sa.func.count()).where(message.c.run_id == run_id, column.is_not(None))
        for place, messages in connection.execute(query.group_by(number)):
            slices[max(0, int(place))][name] += messages
    return tuple(Moment(start + place * width, **counts) for place, counts in enumerate(slices))


def _slice_of(
    connection: sa.Connection, column: sa.ColumnElement[Any], start: datetime, width: timedelta
) -> sa.ColumnElement[Any]:
    """The number of the slice that a time lies in: the databases keep times differently (data.columns.Instant)."""
    since = column - sa.literal(start, column.type)
    if connection.dialect.name == "postgresql":
        return sa.func.floor(sa.extract("epoch", since) / int(width.total_seconds()))
    return sa.type_coerce(since, sa.BigInteger) // (width // timedelta(microseconds=1))
