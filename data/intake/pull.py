"""Pull: ask a channel's API for what changed since the last time, and keep the answers as intake records.

The cursor moves only past what is stored; each pull begins a little before it, since channels index late, and what is
read twice changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import database, tables
from data.channels import registry
from data.channels.api import Access, Api, ChannelRefused, ChannelUnavailable
from data.channels.channel import Origin, Page, Pull, Urgency
from data.channels.connections import Connection
from data.intake import records
from data.intake.records import Incoming


class NothingToPull(LookupError):
    """The connection has no API to ask, or its adapter does not know how."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """How much came, `new` of it for the first time, and up to when the channel was read."""

    pages: int
    new: int
    since: datetime
    until: datetime


def pull(engine: sa.Engine, connection: Connection, *, clock: Callable[[], datetime]) -> PullReport:
    """Ask for everything since the cursor. Raises NothingToPull, ChannelRefused, ChannelUnavailable.

    What came before an error stays, and the next pull goes on behind it.
    """
    access, how = _how(connection)
    asked_at = clock()
    since, first_time = _since(engine, connection, access, how, asked_at)
    pages = new = 0
    try:
        with how.open(access) as api:
            for page in how.pages(api, access, since, asked_at):
                new += _keep(engine, connection, page, first_time=first_time, since=since, now=clock())
                pages += 1
            subscription = _subscription(how, api, access)
    except (ChannelRefused, ChannelUnavailable) as error:
        _note(engine, connection, asked_at=asked_at, error=str(error))
        raise
    _note(engine, connection, asked_at=asked_at, read_until=asked_at, error=None, subscription=subscription)
    return PullReport(pages, new, since, asked_at)


def _how(connection: Connection) -> tuple[Access, Pull]:
    how = registry.get(connection.reader).pull
    if connection.api is None or how is None:
        told = "has no api in channels.yaml" if connection.api is None else "cannot be asked, only push or send files"
        raise NothingToPull(f"{connection.channel} of {connection.account} {told}")
    return connection.api, how


def _since(
    engine: sa.Engine, connection: Connection, access: Access, how: Pull, now: datetime
) -> tuple[datetime, bool]:
    cursor = tables.intake_cursors.c
    with database.read(engine) as transaction:
        until = transaction.scalar(
            sa.select(cursor.read_until).where(
                cursor.account_id == connection.account, cursor.channel == connection.channel
            )
        )
    if until is None:
        return now - timedelta(days=access.since_days or how.first_days), True
    return until - how.overlap, False


def _keep(
    engine: sa.Engine, connection: Connection, page: Page, *, first_time: bool, since: datetime, now: datetime
) -> int:
    incoming = Incoming(
        page.body,
        Origin.PULL,
        f"pull since {since:%Y-%m-%d %H:%M}",
        now,
        page.topic,
        page.observed_at,
        _urgency(connection, first_time=first_time),
    )
    with database.write(engine) as transaction:
        new = records.store(transaction, connection.account, connection.channel, [incoming])
        if page.until is not None:
            _upsert(transaction, connection, asked_at=now, read_until=page.until)
    return new


def _urgency(connection: Connection, *, first_time: bool) -> Urgency:
    """History can wait; news cannot where no push brings them."""
    if first_time:
        return Urgency.BULK
    return Urgency.USUAL if connection.webhook_secrets else Urgency.NOW


def _subscription(how: Pull, api: Api, access: Access) -> str | None:
    """The state of our webhook there; a key that may not see it must not spoil the pull."""
    if how.subscription is None:
        return None
    try:
        return how.subscription(api, access)
    except (ChannelRefused, ChannelUnavailable):
        return "unknown"


def _note(engine: sa.Engine, connection: Connection, **values: object) -> None:
    with database.write(engine) as transaction:
        _upsert(transaction, connection, **values)


def _upsert(transaction: sa.Connection, connection: Connection, **values: object) -> None:
    statement = database.insert(transaction, tables.intake_cursors).values(
        account_id=connection.account, channel=connection.channel, **values
    )
    transaction.execute(statement.on_conflict_do_update(index_elements=["account_id", "channel"], set_=values))
