"""A run to sixty people through a campaign host, and what its flow and the minutely upkeep do, without Prefect."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa

import settings
from data import control, database, events, kpis, ledger_sweep, runs, tables
from domain.campaign_host import HostRefuses, HostUnavailable
from domain.campaigns import Run, RunStatus
from domain.hosting import Stopped
from domain.reports import Audit
from tasks import audits, esps, host_job, host_reports, host_request, host_upkeep, hosted, wiring
from tests.conftest import LINK_KEY, PEPPER
from tests.kills import shop
from tests.tasks.stored_host import StoredHost

_ROUNDS = 200


class MovableClock(Protocol):
    def forward(self, **by: float) -> None: ...


@dataclass
class HostedRun:
    engine: sa.Engine
    host: StoredHost
    clock: MovableClock
    id: str

    @property
    def run(self) -> Run:
        with database.read(self.engine) as connection:
            return runs.get(connection, self.id)

    @property
    def status(self) -> RunStatus:
        return self.run.status

    def wave(self) -> float | None:
        """What tasks/hosting.hand_over does; seconds until the next."""
        try:
            went = host_request.advance(self.id)
        except (Stopped, HostRefuses) as error:
            hosted.stop(self.id, str(error))
            return None
        except HostUnavailable:
            went = host_job.Went(10.0, by_host=True)
        self.sweep()
        return went.seconds if self.status is RunStatus.DISPATCHING else None

    def sweep(self) -> None:
        with database.write(self.engine) as connection:
            ledger_sweep.sweep(connection, policy=settings.load().sending, now=wiring.clock())

    def flow(self) -> None:
        """Wave after wave until nothing is left to be done."""
        for _ in range(_ROUNDS):
            seconds = self.wave()
            if seconds is None:
                return
            self.clock.forward(seconds=max(seconds, 1.0))
        raise AssertionError("a run that nobody disturbs does not end")

    def until(self, told: str) -> None:
        """Waves until the host's campaign is that."""
        for _ in range(_ROUNDS):
            if self.campaigns() and self.campaigns()[-1] == told:
                return
            self.clock.forward(seconds=max(self.wave() or 0.0, 1.0))
        raise AssertionError(f"the campaign never was {told}: {self.campaigns()}")

    def minute(self) -> dict[str, int]:
        """What the flows process-delivery-events and pull-reports do."""
        self.clock.forward(minutes=1)
        counts: dict[str, int] = {}
        for run_id in host_upkeep.to_follow():
            for name, count in host_upkeep.follow(run_id).items():
                counts[name] = counts.get(name, 0) + count
        for run_id in host_reports.to_pull():
            counts["host_bodies"] = counts.get("host_bodies", 0) + host_reports.pull(run_id)
        events.process(self.engine, readers=esps.event_readers(), pepper=wiring.pepper(), clock=wiring.clock, limit=200)
        self.sweep()
        self._settle()
        return counts

    def _settle(self) -> None:
        """As tasks/reporting.sweep_ledger does."""
        with database.write(self.engine) as connection:
            now, hours = wiring.clock(), settings.load().sending.settle_after_hours
            for run in runs.unsettled(connection):
                if kpis.is_settled(connection, run.id, now=now, settle_after_hours=hours):
                    runs.settle(connection, run, now)

    def pause(self) -> str:
        with database.write(self.engine) as connection:
            control.pause(connection, self.id, by="Ann", why="", now=wiring.clock())
        return host_upkeep.carried(self.id)

    def cancel(self) -> str:
        with database.write(self.engine) as connection:
            control.cancel(connection, self.id, by="Ann", why="", now=wiring.clock())
        return host_upkeep.carried(self.id)

    def resume(self) -> None:
        with database.write(self.engine) as connection:
            run = runs.get(connection, self.id, locked=True)
            runs.advance(connection, run, RunStatus.DISPATCHING, stop_reason=None)

    def campaigns(self) -> list[str]:
        """The statuses of the run's campaigns that were not deleted."""
        query = "SELECT status FROM campaigns WHERE key = ? AND NOT deleted ORDER BY id"
        return [str(row[0]) for row in self.host.asked(query, self.id)]

    def audit(self) -> Audit:
        return audits.audit_of(self.id)

    def exceptions(self) -> dict[int, str]:
        table = tables.message_exceptions.c
        with database.read(self.engine) as connection:
            query = sa.select(table.ordinal, table.reason).where(table.run_id == self.id)
            return {row.ordinal: row.reason for row in connection.execute(query)}

    def everybody_once(self, *, people: int = shop.PEOPLE) -> None:
        """One campaign went out, once, to everybody who was to get it, and the ledger says the same."""
        mailed = self.host.mailed()
        assert len(mailed) == len(set(mailed)) == people
        assert self.host.asked("SELECT count(*) FROM sends") == [(1,)]
        assert len(self.campaigns()) == 1
        audit = self.audit()
        assert audit.balanced, audit.complaints
        assert audit.states["accepted"] == people


@contextmanager
def set_up(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, **more: str) -> Iterator[None]:
    """Settings of an installation in that folder, over that store, that caps nobody's mail; `more`: other ones."""
    monkeypatch.chdir(folder)  # no .env of the developer's
    for name, value in {
        "OMS_ACCOUNT": "shop",
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_DATABASE_URL": url,
        "OMS_SENDING_CAP_MAILS": "1000000",
        **more,
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


def begun(engine: sa.Engine, host: StoredHost, clock: MovableClock) -> HostedRun:
    """A frozen and approved run through the sandbox, in whose place the host stands."""
    return HostedRun(engine, host, clock, shop.open_run(engine, wiring.clock()).id)
