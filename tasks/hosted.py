"""A run through a campaign host, without Prefect: what the hosting task does, and the kill tests kill.

The host is prepared step by step (domain.hosting.Step); each is written down when it is done, and done anew where its
worker died. Then tasks/host_request.py has the campaign sent.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import settings
from data import database, host_members, host_steps, ledger, runs
from domain import hosting
from domain import ledger as ledger_rules
from domain.campaign_host import HostRefuses, HostUnavailable
from domain.campaigns import RunStatus
from domain.hosting import Claimed, Count, Step, Stopped
from tasks import host_job, wiring
from tasks.host_job import Job, Went

_MOST_THREADS = 8  # Mailchimp refuses more than ten connections of a user, whoever opened them
_READ_AT_ONCE = 5_000  # ordinals of the last look: a second's work, of a lease of two minutes


def prepare(job: Job) -> Went | None:
    """Do what stands before the request; None once all of it is done. Raises hosting.Stopped."""
    with database.write(job.engine) as connection:
        host_steps.begin(connection, job.run, job.host.members_at_once)
    before = _steps_done(job)
    while (step := _next(job)) is not None:
        if not job.wanted():
            return Went(None, told="the run is not to be sent now")
        wait = _in_threads(job, step)
        if wait is None:
            wait = _due_in(job, step)
        if wait is not None:
            return Went(wait, by_host=_steps_done(job) == before, told=f"the step {step} waits for the host")
    return None


def _next(job: Job) -> Step | None:
    with database.read(job.engine) as connection:
        return host_steps.next_step(connection, job.key)


def _steps_done(job: Job) -> int:
    with database.read(job.engine) as connection:
        return host_steps.done(connection, job.key)


def _due_in(job: Job, step: Step) -> float | None:
    """Seconds until the step may go on; None: at once, or it is done."""
    with database.read(job.engine) as connection:
        at = host_steps.due_at(connection, job.key, step)
    now = wiring.clock()
    return None if at is None or at <= now else (at - now).total_seconds()


def _in_threads(job: Job, step: Step) -> float | None:
    """Do all parts of a step that can be done now; seconds until the host is asked again, where it does not answer.

    What a part raises is raised when all have ended.
    """
    threads = max(1, min(_MOST_THREADS, job.route.concurrency)) if step is Step.MEMBERS else 1
    failed = threading.Event()
    with ThreadPoolExecutor(threads, thread_name_prefix="hosting") as pool:
        going = [pool.submit(_parts, job, step, number, failed) for number in range(threads)]
    waits = [wait for one in going if (wait := one.result()) is not None]
    return max(waits, default=None)


def _parts(job: Job, step: Step, number: int, failed: threading.Event) -> float | None:
    worker = f"{job.worker}:{number}"
    while not failed.is_set() and job.wanted() and (claimed := _take(job, step, worker)) is not None:
        try:
            _DO[step](job, claimed)
        except hosting.LeaseLost:
            continue  # somebody else has it, and does all of it anew
        except HostUnavailable as error:
            failed.set()  # the others would fare no better
            return _put_off(job, claimed, str(error))
        except BaseException as error:
            failed.set()
            ours = isinstance(error, HostRefuses | Stopped)  # of others the words may hold an address
            _put_off(job, claimed, str(error) if ours else type(error).__name__, at_once=True)
            if isinstance(error, HostRefuses):
                raise Stopped(f"{job.provider} refuses the step {step}: {error}") from error
            raise
        if step is not Step.MEMBERS:
            break  # what it found may send the run back to an earlier step
    return None


def _take(job: Job, step: Step, worker: str) -> Claimed | None:
    with database.write(job.engine) as connection:
        now = wiring.clock()
        return host_steps.take(connection, job.key, step, worker=worker, now=now, lease=job.lease)


def _put_off(job: Job, claimed: Claimed, detail: str, *, at_once: bool = False) -> float:
    """So many seconds."""
    now = wiring.clock()
    until = now if at_once else ledger_rules.retry_at(now, claimed.attempts, None)
    with database.write(job.engine) as connection:
        host_steps.put_off(connection, claimed, now=now, until=until, detail=detail)
    return (until - now).total_seconds()


def _done(job: Job, claimed: Claimed, reference: str | None = None, detail: str = "") -> None:
    with database.write(job.engine) as connection:
        host_steps.finish(connection, claimed, now=wiring.clock(), reference=reference, detail=detail)


# --- the steps ---------------------------------------------------------------------------------------------------------


def _fields(job: Job, claimed: Claimed) -> None:
    job.host.prepare(job.key, host_members.names_of(job.book))
    _done(job, claimed)


def _members(job: Job, claimed: Claimed) -> None:
    """Who may not be mailed any more is taken out first where an earlier try may have put her there."""
    with database.read(job.engine) as connection:
        members, left = host_members.read(connection, job.book, claimed, wiring.clock())
    if claimed.attempts > 1:
        _leave_out(job, left.addresses)
    refusals = job.host.put_members(job.key, members) if members else ()
    with database.write(job.engine) as connection:
        account, provider = job.run.plan.account_id, job.provider
        host_members.put(connection, claimed, left, refusals, account_id=account, provider=provider, now=wiring.clock())


def _leave_out(job: Job, addresses: Sequence[str]) -> None:
    for place in range(0, len(addresses), job.host.members_at_once):
        job.host.leave_out(job.key, addresses[place : place + job.host.members_at_once])


def _campaign(job: Job, claimed: Claimed) -> None:
    _done(job, claimed, reference=job.host.campaign(job.campaign))


def _content(job: Job, claimed: Claimed) -> None:
    job.host.fill(host_job.campaign_id(job), job.campaign)
    _done(job, claimed)


def _checklist(job: Job, claimed: Claimed) -> None:
    if faults := job.host.faults(host_job.campaign_id(job)):
        raise Stopped(f"{job.provider} would not send this campaign: {'; '.join(faults)}")
    _done(job, claimed)


def _test(job: Job, claimed: Claimed) -> None:
    """The draft to the internal mailboxes, if there are any. A host that sends no tests, or no more today, stops nothing."""
    mailboxes = settings.load().preflight.allowed.mailboxes
    told = f"sent to {len(mailboxes)} internal mailboxes" if mailboxes else "there are no internal mailboxes"
    if mailboxes:
        try:
            job.host.test(host_job.campaign_id(job), mailboxes)
        except HostRefuses as error:
            told = f"{job.provider} sent none: {error}"
    _done(job, claimed, detail=told)


def _last_look(job: Job, claimed: Claimed) -> None:
    """Who may not be mailed since goes out of the segment; then its size must be ours."""
    with database.read(job.engine) as connection:
        over = host_steps.one(connection, job.key, Step.START_OVER)
    if over is not None:
        return _start_over(job)
    reasons, lost = _left(job, claimed)
    theirs = None if lost else job.host.members(job.key)
    with database.write(job.engine) as connection:
        now = wiring.clock()
        host_steps.keep(connection, claimed, now=now, lease=job.lease)  # else somebody else looks, and nothing stands
        ledger.leave_out(connection, job.key, reasons, now)
        if theirs is None:
            host_steps.add(connection, job.key, [(Step.START_OVER, 0, 0)])
            return host_steps.put_off(
                connection, claimed, now=now, until=None, detail="an address is not known any more"
            )
        ours = host_members.ours(connection, job.key, job.run.planned or 0)
        counted = int(claimed.reference or 0)
        verdict = hosting.judge_count(ours, theirs, counted=counted)
        if verdict is Count.AGREES:
            return host_steps.finish(connection, claimed, now=now, reference=str(theirs))
        words = f"{job.provider} counts {theirs:,} members in the run's segment, and {ours:,} are to be mailed"
        until = ledger_rules.retry_at(now, counted + 1, None) if verdict is Count.COUNT_AGAIN else None
        again = None if verdict is Count.STOP else str(counted + 1)
        host_steps.put_off(connection, claimed, now=now, until=until, detail=words, reference=again)
        if verdict is Count.PUT_AGAIN:
            host_steps.reopen(connection, job.key, Step.MEMBERS)
    if verdict is Count.STOP:
        raise Stopped(f"{words}: nothing was sent. Look whether somebody changed that segment, then resume the run")
    return None


def _left(job: Job, claimed: Claimed) -> tuple[dict[int, str], bool]:
    """Take out of the host's segment who may not be mailed any more; by ordinal why, and whether an address is lost."""
    reasons: dict[int, str] = {}
    lost = False
    for first, last in ledger_rules.ranges(job.run.planned or 0, _READ_AT_ONCE):
        with database.read(job.engine) as connection:
            left = host_members.leaving(connection, job.book, first, last, wiring.clock())
        _leave_out(job, left.addresses)
        reasons |= left.reasons
        lost |= left.lost
        with database.write(job.engine) as connection:
            host_steps.keep(connection, claimed, now=wiring.clock(), lease=job.lease)
    return reasons, lost


def _start_over(job: Job) -> None:
    """Somebody is in the host's segment by an address that we know no longer: all of it goes, and is made anew."""
    job.host.discard(host_job.campaign_id(job))
    job.host.clear(job.key)
    with database.write(job.engine) as connection:
        host_steps.start_over(connection, job.key)


_DO: Mapping[Step, Callable[[Job, Claimed], None]] = {
    Step.FIELDS: _fields,
    Step.MEMBERS: _members,
    Step.CAMPAIGN: _campaign,
    Step.CONTENT: _content,
    Step.CHECKLIST: _checklist,
    Step.TEST: _test,
    Step.LAST_LOOK: _last_look,
}


def stop(run_id: str, reason: str) -> None:
    """Pause a run that cannot go on before a person did something; what was put off has its tries again then."""
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.status is RunStatus.DISPATCHING:
            runs.advance(connection, run, RunStatus.PAUSED, stop_reason=reason)
        host_steps.forget_tries(connection, run_id)
