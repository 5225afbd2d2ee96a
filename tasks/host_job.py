"""One run at its campaign host: what whoever works on it needs, and how far it came."""

import os
import socket
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import sqlalchemy as sa

import settings
from data import database, host_steps, runs
from data.ledger import SqlLedger, sender_at
from domain.campaign_host import CampaignHost, HostedCampaign
from domain.campaigns import Run, RunStatus
from domain.hosting import Stopped
from domain.policy import SendingPolicy
from domain.routes import Route
from tasks import esps, sending, wiring


@dataclass(frozen=True, slots=True)
class Went:
    """How far it came. `seconds`: until there is something to do again; None: nothing is left to be done here."""

    seconds: float | None
    by_host: bool = False  # it is the host that is waited for, and it takes nothing
    told: str = ""


@dataclass(frozen=True)
class Job:
    """One run, its host, and who works. `key` is the run's id: by it the host finds again what is there of the run."""

    run: Run
    host: CampaignHost
    worker: str
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> str:
        return self.run.id

    @property
    def provider(self) -> str:
        return self.run.plan.provider

    @property
    def engine(self) -> sa.Engine:
        return wiring.engine()

    @property
    def policy(self) -> SendingPolicy:
        return settings.load().sending

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.policy.lease_seconds)

    @cached_property
    def book(self) -> SqlLedger:
        """What is said to whom. Not opened for a run that is out: its template may be gone. Raises ContentChanged."""
        return sending.prepared(self.key)

    @cached_property
    def route(self) -> Route:
        """The way that the run's mail goes. Raises Stopped."""
        with database.read(self.engine) as connection:
            routes = wiring.permitted(connection, self.run)
        if not routes:
            raise Stopped(f"no route of {self.provider} may carry this run's mail: docs/routes.md says what it needs")
        return min(routes, key=lambda one: one.priority)

    @property
    def campaign(self) -> HostedCampaign:
        plan = self.run.plan
        title = f"{plan.campaign} · {plan.segment}"
        return HostedCampaign(self.key, title, self.book.content, sender_at(plan.sender, self.route.domain))

    def wanted(self) -> bool:
        """Whether the run is still to be sent, and this process to work on it."""
        with database.read(self.engine) as connection:
            dispatching = runs.get(connection, self.key).status is RunStatus.DISPATCHING
        return dispatching and not self.stop.is_set()


def open_job(run_id: str, stack: ExitStack, stop: threading.Event | None = None) -> Job:
    """The run with its host open for as long as `stack` is. Raises hosting.Stopped."""
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
    host = esps.campaign_host(run.plan.provider)
    if host is None:
        raise Stopped(f"{run.plan.provider} is no campaign host any more: declare it again, then resume the run")
    stack.enter_context(closing(host))
    return Job(run, host, f"{socket.gethostname()}:{os.getpid()}", stop or threading.Event())


def campaign_id(job: Job) -> str:
    """What the host calls the run's campaign, which was made."""
    with database.read(job.engine) as connection:
        found = host_steps.campaign_id(connection, job.key)
    assert found is not None, "the step campaign is done"
    return found


def seconds_until(at: datetime, now: datetime) -> float:
    """How long until then; 0 where it is past."""
    return max(0.0, (at - now).total_seconds())
