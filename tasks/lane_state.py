"""How the transactional lane does now, for commands, alarms and `campaigns doctor`. Nothing here needs Prefect."""

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime

import sqlalchemy as sa

import settings
from data import accounts, dispatchers, lane_checks, lane_figures
from domain import lane_alarms
from domain.accounts import Account
from domain.lane_alarms import CheckState
from domain.routes import Route
from domain.suppression import Stream
from providers.routes_file import UnusableRoutes
from tasks import esps, lanes, wiring

NO_WAY = (
    "there is no way out for transactional mail of this account, or several ESPs and none is declared: `campaigns doctor`"
    " says what to write"
)
NO_DISPATCHER = "no dispatcher is at work: `campaigns up` starts one"


def stuck(connection: sa.Connection, account: Account, now: datetime) -> str | None:
    """Why nothing of the account can go now, as far as it is plain; None where it seems to go."""
    if not dispatchers.alive(connection, now):
        return NO_DISPATCHER
    try:
        return None if lanes.transactional_ways(account) else NO_WAY
    except UnusableRoutes as error:
        return f"routes.yaml cannot be used ({error})"


def ways(connection: sa.Connection) -> list[Route]:
    """All ways of all accounts' transactional mail."""
    known = [accounts.get(connection, name) for name in accounts.names(connection)]
    return [way for account in known for way in lanes.transactional_ways(account)]


def alarms(connection: sa.Connection, now: datetime) -> list[str]:
    """All that is wrong with the lane now, each in plain words with what to look at."""
    backlog = lane_figures.backlog(connection, now=now)
    oldest = {urgency: one.oldest_due for urgency, one in backlog.items()}
    lately = lane_figures.read(connection, now=now, window=lane_alarms.WINDOW)
    requests = ((one.provider, one.attempts, one.failed) for one in lately.providers)
    return [
        *lane_alarms.waiting(oldest, len(dispatchers.alive(connection, now)), now),
        *lane_alarms.failing(requests),
        *lane_alarms.checked(_checks(connection, now)),
    ]


def _checks(connection: sa.Connection, now: datetime) -> Iterator[CheckState]:
    """Of our own mails. An ESP that tells no events is never silent."""
    if not settings.load().seeds.mailboxes:
        return
    found = ways(connection)
    telling = {name for name in {one.provider for one in found} if _tells(name)}
    for one in lane_checks.states(connection, found, now=now):
        if not one.accepted or one.provider in telling:
            yield one


def _tells(provider: str) -> bool:
    with suppress(*esps.NOT_CONFIGURED), closing(esps.mailer(provider)) as mailer:
        return mailer.capabilities.events
    return False


def undeclared(account: Account) -> list[str]:
    """The ESPs between which nobody chose for the account's transactional mail; none where that is plain."""
    if lanes.transactional_ways(account):
        return []
    built_in = wiring.routes(account, Stream.TRANSACTIONAL)
    return sorted({one.provider for one in built_in if esps.is_set_up(one.provider) and not esps.is_host(one.provider)})


def shared_pools(account: Account) -> list[str]:
    """Pools that both streams are given; the database lets the mail of one of them through only."""
    declared = esps.declared()
    marketing = {one.pool for one in declared.routes(account.id, Stream.MARKETING)}
    return sorted({one.pool for one in declared.routes(account.id, Stream.TRANSACTIONAL)} & marketing)
