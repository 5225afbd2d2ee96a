"""Pull: ask a channel's API for what changed since the last time, and keep the answers as intake records.

The cursor moves only past what is stored, and never back; each pull begins a little before it, since channels index
late, and what is read twice changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import accounts, database, tables
from data.channels import registry
from data.channels.api import Access, Api, ChannelRefused, ChannelUnavailable, PutOff
from data.channels.channel import Channel, Delivery, Origin, Page, Pull, Urgency
from data.channels.connections import Connection
from data.intake import records
from data.intake.records import Incoming

_DAY = timedelta(days=1)


class NothingToPull(LookupError):
    """The connection has no API to ask, or its adapter does not know how."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """How many pages with orders came, `new` of them for the first time, and up to when the channel was read."""

    pages: int
    new: int
    since: datetime
    until: datetime


def pull(engine: sa.Engine, connection: Connection, *, clock: Callable[[], datetime]) -> PullReport:
    """Ask for everything since the cursor.

    Raises NothingToPull, UnknownAccount, UnknownChannel, ChannelRefused, ChannelUnavailable. What came before an error
    stays, and the next pull goes on behind it. A channel that puts us off after some pages raises nothing.
    """
    channel = registry.get(connection.reader)
    access, how = _how(connection, channel)
    asked_at = clock()
    cursor = _cursor(engine, connection)
    since = cursor - how.overlap if cursor else asked_at - timedelta(days=access.since_days or how.first_days)
    reading = _Reading(engine, connection, channel, asked_at, since, cursor)
    try:
        with how.open(access) as api:
            end = asked_at
            for page in how.pages(api, access, since, asked_at):
                reading.keep(page, now=clock())
                end = page.until or asked_at
            reading.reach(end)
            subscription = _subscription(how, api, access)
        reading.note(error=None, read_until=reading.until, subscription=subscription)
    except PutOff as error:
        if not reading.has_moved:
            reading.note(error=str(error))
            raise
        reading.note(error=None)
    except (ChannelRefused, ChannelUnavailable) as error:
        reading.note(error=str(error))
        raise
    except Exception as error:
        # The class only: the text of an exception may quote an order. Who looks at the health sees that it broke off.
        reading.note(error=f"it broke off ({type(error).__name__}): the log of the flow pull-orders says where")
        raise
    return PullReport(reading.pages, reading.new, since, reading.until or since)


def _how(connection: Connection, channel: Channel) -> tuple[Access, Pull]:
    if connection.api is None or channel.pull is None:
        told = "has no api in channels.yaml" if connection.api is None else "cannot be asked, only push or send files"
        raise NothingToPull(f"{connection.channel} of {connection.account} {told}")
    return connection.api, channel.pull


def _cursor(engine: sa.Engine, connection: Connection) -> datetime | None:
    """Up to when the channel was read. Raises UnknownAccount before anything is asked for that could not be kept."""
    cursor = tables.intake_cursors.c
    with database.read(engine) as transaction:
        accounts.get(transaction, connection.account)
        until: datetime | None = transaction.scalar(
            sa.select(cursor.read_until).where(
                cursor.account_id == connection.account, cursor.channel == connection.channel
            )
        )
    return until


@dataclass(slots=True)
class _Reading:
    """One pull under way. `until`: all that changed before it is stored; it begins at the cursor and never goes back."""

    engine: sa.Engine
    connection: Connection
    channel: Channel
    asked_at: datetime
    since: datetime
    cursor: datetime | None
    until: datetime | None = field(init=False)
    pages: int = 0
    new: int = 0

    def __post_init__(self) -> None:
        self.until = self.cursor

    @property
    def has_moved(self) -> bool:
        """Is more stored than before?"""
        return self.until != self.cursor

    def reach(self, until: datetime) -> None:
        """All up to then is stored. A page that begins before the cursor, in the overlap, may end before it too."""
        self.until = until if self.until is None else max(self.until, until)

    def keep(self, page: Page, *, now: datetime) -> None:
        """Store a page, and in the same transaction move the cursor as far as the page says."""
        with database.write(self.engine) as transaction:
            # A page without orders is no record: each quarter of an hour there would be one that says nothing.
            if self._has_orders(page, now):
                self.new += self._store(transaction, page, now)
                self.pages += 1
            if page.until is not None:
                self.reach(page.until)
                self._write(transaction, {"read_until": self.until})

    def _has_orders(self, page: Page, now: datetime) -> bool:
        delivery = Delivery(Origin.PULL, now, page.topic, page.observed_at, options=self.connection.options)
        try:
            return next(iter(self.channel.elements(page.body, delivery)), None) is not None
        except Exception:  # noqa: BLE001 - what cannot be read is kept, and the drain says what is wrong with it
            return True

    def _store(self, transaction: sa.Connection, page: Page, now: datetime) -> int:
        source = f"pull since {self.since:%Y-%m-%d %H:%M}"
        incoming = Incoming(page.body, Origin.PULL, source, now, page.topic, page.observed_at, self._urgency())
        return records.store(transaction, self.connection.account, self.connection.channel, [incoming])

    def _urgency(self) -> Urgency:
        """History can wait, also what is left of it after an error; news cannot where no push brings them."""
        if self.asked_at - self.since > _DAY:
            return Urgency.BULK
        return Urgency.USUAL if self.connection.webhook_secrets else Urgency.NOW

    def note(self, **changes: Any) -> None:
        """Write down that the pull has ended, and how; a subscription of None is nothing new."""
        said = {name: value for name, value in changes.items() if name != "subscription" or value is not None}
        with database.write(self.engine) as transaction:
            self._write(transaction, {"asked_at": self.asked_at, **said})

    def _write(self, transaction: sa.Connection, changes: Mapping[str, Any]) -> None:
        values = {"account_id": self.connection.account, "channel": self.connection.channel, "asked_at": self.asked_at}
        statement = database.insert(transaction, tables.intake_cursors).values(values | dict(changes))
        transaction.execute(statement.on_conflict_do_update(index_elements=["account_id", "channel"], set_=changes))


def _subscription(how: Pull, api: Api, access: Access) -> str | None:
    """The state of our webhook there; a key that may not see it must not spoil the pull."""
    if how.subscription is None:
        return None
    try:
        return how.subscription(api, access)
    except (ChannelRefused, ChannelUnavailable):
        return "unknown"
