"""The one request that sends a run at a campaign host, and what becomes of it: scheduled, called back, gone out.

Claim, commit, schedule, record: the order of these lines is the exactly-once promise, as in domain/dispatch.py. And the
campaign's id is the key: a campaign can be sent once, and a run has one.
"""

import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import control, database, host_outcomes, host_sends, host_steps, ledger_sweep, quiet_hours, runs
from data.host_outcomes import Standing
from data.host_sends import Request
from domain import hosting
from domain import ledger as ledger_rules
from domain.campaign_host import HostRefuses, HostStatus
from domain.campaigns import Run, RunStatus
from domain.hosting import Action, Hand, Step, Stopped
from domain.ledger import Outcome, OutcomeKind, ProofKind
from tasks import host_job, hosted, wiring
from tasks.host_job import Job, Went

# The request must be there before the hour that it names.
_LEAD = timedelta(minutes=5)
_ASK_EVERY = 30.0
_ASK_AGAIN = 5.0
_OVERSLEPT = Outcome(OutcomeKind.NOT_SENT, detail="the worker slept through half of its lease", local=True)
_TOO_LATE = Outcome(OutcomeKind.NOT_SENT, detail="the host would let it go later than was checked", local=True)
_GOES = frozenset({HostStatus.SENDING, HostStatus.SENT})
_ON_ITS_WAY = _GOES | {HostStatus.SCHEDULED}


def advance(run_id: str, stop: threading.Event | None = None) -> Went:
    """Bring a run at a host as far as it comes now. Raises hosting.Stopped, HostUnavailable; safe to repeat."""
    with ExitStack() as stack:
        job = host_job.open_job(run_id, stack, stop)
        _ = job.book, job.route  # what cannot be sent is said before anything is done
        while job.wanted():
            if _standing(job).hand is not Hand.NONE:
                return look(job)
            if (went := hosted.prepare(job)) is not None or (went := _request(job)) is not None:
                return went
    return Went(None, told="the run is not to be sent now")


def _standing(job: Job) -> Standing:
    with database.read(job.engine) as connection:
        return host_outcomes.standing(connection, job.key, now=wiring.clock(), lease=job.lease)


# --- asking ------------------------------------------------------------------------------------------------------------


def _request(job: Job) -> Went | None:
    """Have the campaign sent; None where something is to be done before, or the answer is to be looked at."""
    now = wiring.clock()
    with database.write(job.engine) as connection:
        if _look_is_old(connection, job, now):
            return None
        progress = ledger_sweep.progress(connection, job.key)
        run = runs.get(connection, job.key)
        send_at, wait = _send_at(connection, job, run, now)
    if progress.next_claim_at is not None and progress.next_claim_at > now:
        return Went(
            host_job.seconds_until(progress.next_claim_at, now), by_host=True, told="the host takes nothing now"
        )
    if run.expires_at is None or send_at >= run.expires_at:
        return Went(None, told="its window is over before the host could let it go")
    if wait:
        return Went(wait, told="quiet hours")
    campaign_id = host_job.campaign_id(job)
    if (status := job.host.status(campaign_id)) is not HostStatus.DRAFT:
        _against_expectation(job, campaign_id, status)
        return None
    if (request := _claimed(job, campaign_id, send_at)) is not None:
        _recorded(job, request, _asked(job, request))
    return None


def _look_is_old(connection: sa.Connection, job: Job, now: datetime) -> bool:
    """Whether people may have left since the last look; then it is to be done anew."""
    row = host_steps.one(connection, job.key, Step.LAST_LOOK)
    if row is not None and row.finished_at is not None and now - row.finished_at <= hosting.LOOK_HOLDS:
        return False
    host_steps.reopen(connection, job.key, Step.LAST_LOOK)
    return True


def _send_at(connection: sa.Connection, job: Job, run: Run, now: datetime) -> tuple[datetime, float]:
    """When the host lets it go, by its own clock times, and in how many seconds it may be told so.

    The host mails everybody at once, so it is the quiet hours of the shop's own zone that hold it back.
    """
    policy = job.policy
    lead = timedelta(minutes=policy.call_back_minutes) if run.plan.two_phase else _LEAD
    at = job.host.goes_at((now + lead + timedelta(minutes=1)).replace(second=0, microsecond=0))
    quiet = quiet_hours.quiet(connection, run, policy, now)
    until = quiet.hours.until(at, quiet.home) if quiet.hours is not None else None
    if until is None:
        return at, 0.0
    at = job.host.goes_at(until)
    return at, host_job.seconds_until(at - lead - timedelta(minutes=1), now)


def _against_expectation(job: Job, campaign_id: str, status: HostStatus) -> None:
    """Nobody asked for it as far as the ledger knows, and the campaign is no draft."""
    if status is HostStatus.SCHEDULED:  # a request that came late, or a person there: our last look goes first
        job.host.unschedule(campaign_id)
    elif status in _ON_ITS_WAY:
        _out(job, status, campaign_id=campaign_id)
    elif status is HostStatus.GONE and not _ever_asked(job):
        with database.write(job.engine) as connection:
            host_steps.reopen(connection, job.key, Step.CAMPAIGN, Step.CONTENT, Step.CHECKLIST, Step.LAST_LOOK)
    else:
        raise Stopped(
            f"{job.provider} says that the campaign is {status}, which we did not do: whether any of it went out"
            f" only its own pages tell. Cancel the run, and start another for whom it did not reach"
        )


def _ever_asked(job: Job) -> bool:
    with database.read(job.engine) as connection:
        row = host_steps.one(connection, job.key, Step.SCHEDULE)
    return row is not None


def _claimed(job: Job, campaign_id: str, send_at: datetime) -> Request | None:
    with database.write(job.engine) as connection:
        return host_sends.claim(
            connection,
            job.key,
            campaign_id,
            route=job.route,
            content=job.run.template_hash or "",
            worker=job.worker,
            send_at=send_at,
            now=wiring.clock(),
            lease=job.lease,
        )


def _asked(job: Job, request: Request) -> Outcome:
    """What the host says. A refusal while the campaign is on its way is none: somebody asked before."""
    if request.lease_expires_at - wiring.clock() < job.lease / 2:
        return _OVERSLEPT
    if job.host.goes_at(request.send_at) != request.send_at:  # quiet hours and window were judged by the other
        return _TOO_LATE
    outcome = job.host.schedule(request.campaign_id, request.send_at)
    if outcome.kind is OutcomeKind.REJECTED and job.host.status(request.campaign_id) in _ON_ITS_WAY:
        return replace(outcome, kind=OutcomeKind.ACCEPTED)
    return outcome


def _recorded(job: Job, request: Request, outcome: Outcome) -> None:
    """Write it, unless the lease is over: then the host is asked, as of one whose worker died. Raises Stopped."""
    with database.write(job.engine) as connection:
        now = wiring.clock()
        if outcome.kind is OutcomeKind.ACCEPTED:
            host_outcomes.scheduled(connection, request, now=now)
        elif outcome.kind is OutcomeKind.UNKNOWN:
            host_outcomes.unknown(connection, request, outcome, now=now)
        else:
            until = ledger_rules.retry_at(now, host_steps.tries(connection, job.key), outcome.retry_after)
            host_outcomes.not_sent(connection, request, outcome, now=now, until=until)
    if outcome.kind is OutcomeKind.REJECTED or outcome.stop_provider:
        raise Stopped(f"{job.provider} does not take the campaign: {outcome.detail}")


# --- afterwards --------------------------------------------------------------------------------------------------------


def look(job: Job) -> Went:
    """Ask the host where the campaign is, and do what that calls for (domain.hosting.action)."""
    with database.write(job.engine) as connection:
        ledger_sweep.lose(connection, now=wiring.clock())  # what a dead worker left is unknown from here on
        run = runs.get(connection, job.key)
        campaign_id = host_steps.campaign_id(connection, job.key)
    standing = _standing(job)
    if campaign_id is None or standing.hand is Hand.OUT:
        return Went(None)
    status = job.host.status(campaign_id)
    wanted = run.status is RunStatus.DISPATCHING
    found = hosting.action(standing.hand, status, wanted=wanted, ripe=standing.ripe)
    _do(job, found, campaign_id, standing, status, wanted=wanted)
    return _afterwards(job, found, status)


def _do(job: Job, found: Action, campaign_id: str, standing: Standing, status: HostStatus, *, wanted: bool) -> None:
    if found is Action.TAKE_AS_OUT:
        _out(job, status, campaign_id=campaign_id if standing.hand is Hand.NONE else None)
    elif found is Action.CALL_BACK:
        _call_back(job, campaign_id, standing)
    elif found is Action.TAKE_BACK:
        _back(job, ProofKind.CANCELLED, "it is a draft again")
        if wanted:
            hosted.stop(job.key, f"somebody took the campaign back at {job.provider}: resume schedules it anew")
    elif found is Action.RELEASE:
        _back(job, ProofKind.LOOK_UP_ABSENT, "it is a draft still, and the request was over long ago")
    elif found is Action.DISCARD:
        job.host.discard(campaign_id)
    elif standing.hand is Hand.UNKNOWN and status is HostStatus.SCHEDULED and standing.send_at is not None:
        with database.write(job.engine) as connection:
            host_outcomes.waits_on(connection, job.key, standing.send_at)


def _afterwards(job: Job, found: Action, status: HostStatus) -> Went:
    now, standing = wiring.clock(), _standing(job)
    if standing.hand in {Hand.OUT, Hand.OVER} or not job.wanted():
        return Went(None, told=f"{job.provider} says: {status}")
    if standing.hand is Hand.NONE:
        return Went(0.0, told=f"{found}: it may be scheduled anew")
    if standing.send_at is None or standing.hand is not Hand.SCHEDULED:
        return Went(_ASK_AGAIN, told=f"{job.provider} says: {status}")
    left = host_job.seconds_until(standing.send_at, now)
    return Went(min(max(left, _ASK_AGAIN), _ASK_EVERY), told=f"scheduled for {standing.send_at:%H:%M} UTC")


def _call_back(job: Job, campaign_id: str, standing: Standing) -> None:
    try:
        job.host.unschedule(campaign_id)
    except HostRefuses:
        status = job.host.status(campaign_id)
        if status in _GOES:
            return _out(job, status, campaign_id=campaign_id if standing.hand is Hand.NONE else None)
        if status is not HostStatus.DRAFT:  # else somebody else was faster
            raise
    if standing.hand in {Hand.SCHEDULED, Hand.UNKNOWN}:
        _back(job, ProofKind.CANCELLED, "it was unscheduled in time")
    return None


def _back(job: Job, kind: ProofKind, raw: str) -> None:
    with database.write(job.engine) as connection:
        host_outcomes.back(connection, job.key, kind=kind, raw=f"{job.provider}: {raw}", now=wiring.clock())


def _out(job: Job, status: HostStatus, *, campaign_id: str | None = None) -> None:
    """It goes out, or went. `campaign_id`: nobody of us asked for it, so it is claimed now. A pause came too late."""
    raw = f"{job.provider}: {status}"
    with database.write(job.engine) as connection:
        control.too_late(connection, job.key, why=raw, now=wiring.clock())
    if campaign_id is not None:
        _claimed(job, campaign_id, wiring.clock())
    with database.write(job.engine) as connection:
        host_outcomes.out(connection, job.key, raw=raw, now=wiring.clock())
    ask_for_reports(job)


def ask_for_reports(job: Job) -> None:
    """Have what became of the mail pulled. Of what is held as possibly sent, too: people may bounce and complain."""
    with database.write(job.engine) as connection:
        host_steps.add(connection, job.key, [(Step.PULL, 0, 0)])
