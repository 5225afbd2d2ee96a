"""The lanes and mailers that a dispatcher works with: made once, and looked at anew every half minute.

routes.yaml, accounts and the health of ESPs change while a dispatcher runs; a key that changes needs a new process.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

import settings
from data import accounts, database, outlook, vetting
from data.transactional_lane import TransactionalLane
from domain.accounts import Account
from domain.failover import Needs
from domain.ports import Mailer
from domain.routes import Route
from domain.suppression import Stream
from tasks import esps, wiring

__all__ = ["TransactionalLane", "Ways"]
_FRESH_SECONDS = 30.0


@dataclass
class Ways:
    """What all threads of a dispatcher share."""

    engine: sa.Engine
    _lanes: dict[str, TransactionalLane] = field(default_factory=dict)
    _mailers: dict[str, Mailer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _read_at: float = 0.0

    def lane(self, account_id: str) -> TransactionalLane:
        """The account's ways out."""
        with self._lock:
            if (found := self._lanes.get(account_id)) is None:
                found = self._lanes[account_id] = open_lane(self.engine, account_id)
            return found

    def mailer(self, provider: str) -> Mailer:
        """The ESP's adapter, with one pool of connections for the whole process."""
        with self._lock:
            if (found := self._mailers.get(provider)) is None:
                found = self._mailers[provider] = esps.mailer(provider)
            return found

    def refresh(self) -> None:
        """Read anew what changes slowly, once it is old enough."""
        if time.monotonic() - self._read_at < _FRESH_SECONDS:
            return
        fresh = {account_id: open_lane(self.engine, account_id) for account_id in list(self._lanes)}
        for lane in fresh.values():  # here, where no message waits for it
            lane.prepare()
        with self._lock:
            self._lanes |= fresh
            self._read_at = time.monotonic()

    def close(self) -> None:
        """Give all connections back."""
        for one in self._mailers.values():
            with suppress(OSError):
                one.close()


def transactional_ways(account: Account) -> list[Route]:
    """By which ways the account's transactional mail leaves.

    Where routes.yaml declares none: by the one ESP that the settings can reach, else by the sandbox. Of several none is
    taken, as nobody said which: `campaigns doctor` tells.
    """
    ways = [
        one
        for one in wiring.routes(account, Stream.TRANSACTIONAL)
        if not esps.is_host(one.provider) and esps.unusable(one.provider) is None
    ]
    if esps.declared().routes(account.id, Stream.TRANSACTIONAL):
        return ways
    real = [one for one in ways if one.provider not in esps.declared().rehearsals]
    return [] if len(real) > 1 else real or ways


def open_lane(engine: sa.Engine, account_id: str) -> TransactionalLane:
    """The transactional lane of an account. Raises UnknownAccount, UnusableRoutes."""
    with database.read(engine) as connection:
        account = accounts.get(connection, account_id)
        standing = vetting.standing(connection, account_id)
        # No ESP keeps mail that is waited for until its pace allows it: it waits here, and another way may be free.
        ways = [replace(one, schedules=False) for one in transactional_ways(account)]
        unwell = outlook.unwell(connection, {one.provider for one in ways}, wiring.clock())
    residency = esps.declared().residency.get(account_id)
    return TransactionalLane(
        engine=engine,
        routes=ways,
        needs=Needs(account_id, Stream.TRANSACTIONAL, standing=standing, residency=residency),
        policy=settings.load().sending,
        clock=wiring.clock,
        account=account,
        unwell=unwell,
    )
