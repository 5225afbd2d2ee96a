"""What came back of accepted mail, by mailbox group: of a run, of a pool. It costs a row a message: see `of_pool`."""

from dataclasses import fields
from datetime import datetime

import sqlalchemy as sa

from data import tables
from domain.delivery import Seen, Severity
from domain.guardrails import Results
from domain.ledger import BatchState, MessageState
from domain.routes import MIXED
from domain.suppression import Reason

_REFUSED = Seen.BOUNCED | Seen.DROPPED
# A person's acts prove a delivery of which the ESP never told. A drop is none of the mailbox provider's answers.
_ACTS = Seen.COMPLAINED | Seen.UNSUBSCRIBED | Seen.OPENED | Seen.OPENED_HUMAN | Seen.CLICKED
_ARRIVED = Seen.DELIVERED | _ACTS
_ANSWERED = _ARRIVED | Seen.BOUNCED | Seen.DEFERRED


def of_run(
    connection: sa.Connection, run_id: str, *, canary: bool | None = None, since: datetime | None = None
) -> dict[str, Results]:
    """What is known of a run's accepted messages, and of those refused at once as nobody's, by mailbox group.

    `canary`: only the batches that are, or are not, of the canary. `since`: only those that went out from then on.
    """
    batch = tables.batches
    where = (batch.c.run_id == run_id) & (batch.c.state == BatchState.ACCEPTED)
    if canary is not None:
        where &= batch.c.canary.is_(canary)
    if since is not None:
        where &= went_out() >= since
    went = batch if since is None else with_route()
    found = _results(connection, went, where, sa.func.coalesce(batch.c.mailbox_group, MIXED))
    for group, count in _refused_at_once(connection, run_id, canary, since).items():
        found[group] = found.get(group, Results()) + Results(accepted=count, heard=count, hard=count)
    return found


def _refused_at_once(
    connection: sa.Connection, run_id: str, canary: bool | None, since: datetime | None
) -> dict[str, int]:
    """Messages that a relay refused in the same breath because nobody is there: as bad a sign as the bounce to come.

    Only who was suppressed for it counts: other refusals blame the mail or us.
    """
    batch, exception = tables.batches.c, tables.message_exceptions.c
    member, suppressed = tables.audience.c, tables.suppressions.c
    group = sa.func.coalesce(batch.mailbox_group, MIXED)
    run = tables.campaign_runs.c
    account = sa.select(run.account_id).where(run.id == run_id).scalar_subquery()
    gone = sa.exists().where(
        suppressed.account_id == account,
        suppressed.address_hash == member.address_hash,
        suppressed.reason.in_((Reason.HARD_BOUNCE, Reason.INVALID)),
    )
    query = (
        sa.select(group, sa.func.count())
        .select_from(
            tables.batches.join(
                tables.message_exceptions,
                (exception.run_id == batch.run_id)
                & exception.ordinal.between(batch.first_ordinal, batch.last_ordinal)
                & (exception.state == MessageState.REJECTED),
            ).join(tables.audience, (member.run_id == exception.run_id) & (member.ordinal == exception.ordinal))
        )
        .where(batch.run_id == run_id, batch.state == BatchState.REJECTED, batch.refused_by.is_not(None), gone)
        .group_by(group)
    )
    if canary is not None:
        query = query.where(batch.canary.is_(canary))
    if since is not None:
        query = query.where(batch.finished_at >= since)
    return {name: int(count) for name, count in connection.execute(query)}


def of_pool(connection: sa.Connection, account_id: str, pool: str, since: datetime) -> dict[str, Results]:
    """The same of all runs of an account whose batches went through this pool since then.

    A week of a large sender are millions of rows: ask once and keep the answer for a while, never batch by batch.
    """
    batch, attempt, route = tables.batches, tables.batch_attempts, tables.attempt_routes
    went = route.join(attempt, attempt.c.id == route.c.attempt_id).join(batch, batch.c.attempt_id == attempt.c.id)
    where = (
        (route.c.account_id == account_id)
        & (route.c.pool == pool)
        & (batch.c.state == BatchState.ACCEPTED)
        & (went_out() >= since)
    )
    return _results(connection, went, where, route.c.mailbox_group)


def with_route() -> sa.FromClause:
    """Batches with the route of their last attempt, where it has one: what `went_out` reads."""
    batch, route = tables.batches, tables.attempt_routes
    return batch.outerjoin(route, route.c.attempt_id == batch.c.attempt_id)


def went_out() -> sa.ColumnElement[datetime]:
    """When the mail of a batch left: what the ESP keeps for later does not leave when it is taken."""
    return sa.func.coalesce(tables.attempt_routes.c.send_at, tables.batches.c.finished_at)


def _results(
    connection: sa.Connection, went: sa.FromClause, where: sa.ColumnElement[bool], group: sa.ColumnElement[str]
) -> dict[str, Results]:
    """Three statements: sizes, less those left out at the claim, and one pass over what happened."""
    batch = tables.batches.c
    size = sa.func.sum(batch.last_ordinal - batch.first_ordinal + 1)
    sizes = _by_group(connection, went, where, group, size)
    left_out, _ = with_rows_of(connection, went, tables.message_exceptions)
    excepted = _by_group(connection, left_out, where, group, sa.func.count())
    told, message = with_rows_of(connection, went, tables.message_delivery)
    query = sa.select(group, *_counts(message)).select_from(told).where(where).group_by(group)
    happened = {name: [int(count) for count in counts] for name, *counts in connection.execute(query)}
    nothing = [0] * (len(fields(Results)) - 1)
    return {name: Results(count - excepted.get(name, 0), *happened.get(name, nothing)) for name, count in sizes.items()}


def with_rows_of(
    connection: sa.Connection, went: sa.FromClause, table: sa.Table, *, outer: bool = False
) -> tuple[sa.FromClause, sa.FromClause]:
    """Batches joined with the rows of a table whose ordinals they hold, and what names that table's columns then.

    `outer`: batches without any row stay.

    PostgreSQL takes a range for a ninth of the table and reads all of it for each batch: 61 s for a million messages
    instead of 0.5. So there it is made to look up batch by batch (a subquery with OFFSET is not merged into the join).
    """
    batch = tables.batches
    in_range = (table.c.run_id == batch.c.run_id) & table.c.ordinal.between(batch.c.first_ordinal, batch.c.last_ordinal)
    if connection.dialect.name == "sqlite":
        return went.join(table, in_range, isouter=outer), table
    rows = sa.select(table).where(in_range).offset(0).correlate(batch).lateral()
    return went.join(rows, sa.true(), isouter=outer), rows


def _by_group(
    connection: sa.Connection,
    rows: sa.FromClause,
    where: sa.ColumnElement[bool],
    group: sa.ColumnElement[str],
    count: sa.ColumnElement[int],
) -> dict[str, int]:
    found = connection.execute(sa.select(group, count).select_from(rows).where(where).group_by(group))
    return {name: int(number) for name, number in found}


def _counts(message: sa.FromClause) -> list[sa.ColumnElement[int]]:
    """In the order of the fields of Results, after `accepted`."""
    severity = message.c.severity

    def has(bits: Seen) -> sa.ColumnElement[bool]:
        return message.c.seen.bitwise_and(int(bits)) != 0

    blocked = has(_REFUSED) & (severity == Severity.BLOCK)
    counted = {
        "heard": has(_ANSWERED) | blocked,
        "delivered": has(_ARRIVED) & ~has(_REFUSED),
        "hard": has(Seen.BOUNCED) & (severity == Severity.HARD),
        "blocked": blocked,
        "deferred": has(Seen.DEFERRED) & ~has(_ARRIVED | _REFUSED),
        "complained": has(Seen.COMPLAINED),
    }
    names = [one.name for one in fields(Results) if one.name != "accepted"]
    return [sa.func.sum(sa.case((counted[name], 1), else_=0)).label(name) for name in names]
