"""The steps of a campaign run. Each can be repeated: the ledger's state decides what is still to be done."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import accounts, audience, audit_log, content, control, database, runs, topics
from domain.accounts import Account
from domain.campaigns import Run, RunPlan, RunStatus, Sender
from domain.esp_templates import as_template, kept_name
from tasks import choosing, esps, pace_words, pacing, pinning, wiring
from tasks.request import CampaignRequest, Mode


@dataclass(frozen=True, slots=True)
class RunState:
    """What the flow needs to know of a run: small, and free of personal data."""

    run_id: str
    name: str
    status: RunStatus
    live: bool
    planned: int
    needs_approval: bool


def state_of(run: Run) -> RunState:
    """The part of a run that a flow may see."""
    planned = run.planned or 0
    return RunState(
        run_id=run.id,
        name=f"{run.plan.campaign} ({run.plan.segment})",
        status=run.status,
        live=run.plan.live,
        planned=planned,
        needs_approval=run.plan.live and planned > settings.load().sending.approval_above,
    )


class TooLate(RuntimeError):
    """The run was due long ago: what was true of its hour need not be true now. Nothing was sent."""


@task(task_run_name="open run", cache_policy=NO_CACHE)
def open_run(request: CampaignRequest, flow_run_id: str, due_at: datetime | None = None) -> RunState:
    """Make the run of this flow run, or find the one that it, or `resume_run`, is about. Raises TooLate.

    `due_at`: when a new run was to begin.
    """
    now = wiring.clock()
    with database.write(wiring.engine()) as connection:
        earlier = runs.by_flow_run(connection, flow_run_id)
        meant = runs.get(connection, request.resume_run) if request.resume_run else earlier
        if meant is not None:
            wiring.check_environment(connection, meant.plan)
            run = control.take_up(connection, meant.id, flow_run_id=flow_run_id, now=now)
        else:
            run = _new_run(connection, request, flow_run_id, due_at, now)
    if meant is None and run.status is RunStatus.STOPPED:
        raise TooLate(f"Nothing was sent: {run.stop_reason}.")
    pinning.pin(run)
    get_run_logger().info("Run %s of campaign %s is %s", run.id, run.plan.campaign, run.status)
    return state_of(run)


def _new_run(
    connection: sa.Connection, request: CampaignRequest, flow_run_id: str, due_at: datetime | None, now: datetime
) -> Run:
    """A run that begins too late is kept as stopped, so that it is seen where runs are listed."""
    account = accounts.get(connection, request.account or settings.load().account)
    plan = _plan(request, account)
    if plan.topic is not None:
        topics.check(connection, account.id, plan.topic)
    wiring.check_live(plan, account)
    wiring.check_environment(connection, plan)
    run = runs.create(connection, plan, flow_run_id=flow_run_id, now=now)
    most = timedelta(minutes=settings.load().sending.start_within_minutes)
    if not plan.live or due_at is None or now - due_at <= most or run.status is not RunStatus.CREATED:
        return run
    reason = (
        f"it was due at {due_at:%Y-%m-%d %H:%M} UTC, and it was {now:%Y-%m-%d %H:%M} before it could begin: its window"
        " has passed. Start it anew if it is still meant"
    )
    return runs.advance(connection, run, RunStatus.STOPPED, stop_reason=reason)


def _plan(request: CampaignRequest, account: Account) -> RunPlan:
    domain = account.sender_email.rpartition("@")[2]
    mailbox = request.sender_mailbox
    return RunPlan(
        account_id=account.id,
        campaign=request.campaign,
        segment=request.segment,
        template=as_template(request.esp_template) if request.esp_template else request.template,
        provider=request.provider,
        subject=request.subject or None,
        sender=Sender(
            email=f"{mailbox}@{domain}" if mailbox else account.sender_email,
            name=request.sender_name or account.sender_name,
        ),
        live=request.mode is Mode.LIVE,
        limit=request.limit or None,
        holdout_percent=request.holdout_percent,
        seed=request.seed,
        refinement=request.refinement(),
        priority=request.priority,
        two_phase=request.two_phase,
        topic=request.topic or None,
        leave_out_missing=request.leave_out_missing,
    )


@task(task_run_name="freeze audience of {run_id}", cache_policy=NO_CACHE)
def freeze_audience(run_id: str) -> RunState:
    """Evaluate the segment over the customers' features and write who is planned and who is not, and why."""
    engine = wiring.engine()
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        template, rendered = wiring.content_of(connection, run)
    choice = choosing.choose(engine, run.plan)
    most = wiring.batch_size(run)
    policy = settings.load().sending
    if esps.is_host(run.plan.provider):  # it mails everybody at once: nobody can go first
        policy = replace(policy, canary_percent=0)
    with database.write(engine) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.status is not RunStatus.CREATED:
            return state_of(run)  # the flow was started twice, and the other one froze it
        run = audience.freeze(
            connection,
            run,
            choice.members.party_ids.tolist(),
            excluded=choice.excluded.tolist(),
            needed=[one for one in rendered.variables if one not in template.fallbacks]
            if run.plan.leave_out_missing
            else (),
            definition_hash=choice.members.definition_hash,
            code_version=choosing.code_version(),
            template_hash=rendered.hash,
            feature_watermark=choice.members.as_of,
            policy=policy,
            batch_size=min(policy.batch_size, most),
            now=wiring.clock(),
        )
        choosing.note_size(connection, run.plan.account_id, run.plan.segment, choice.members)
    get_run_logger().info("%d members, %d planned, skipped: %s", run.members, run.planned, run.skipped)
    return state_of(run)


@task(task_run_name="await approval of {run_id}", cache_policy=NO_CACHE)
def await_approval(run_id: str) -> str:
    """Note that the run waits for a person, and return in words what the person decides about."""
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.status is RunStatus.FROZEN:
            run = runs.advance(connection, run, RunStatus.AWAITING_APPROVAL)
        if run.status is RunStatus.CANCELLED:
            raise control.NotPossible(f"run {run_id} was cancelled: there is nothing to say yes or no to")
        template, rendered = wiring.content_of(connection, run)
    subject = content.filled(rendered, wiring.sample_values(template))["subject"]
    return (
        f"## Send **{run.plan.campaign}** to **{run.planned:,} people**?\n\n"
        f"| | |\n|---|---|\n"
        f"| Segment | {run.plan.segment}, {run.members:,} members |\n"
        f"| Left out | {sum((run.skipped or {}).values()):,} |\n"
        f"| Topic | {run.plan.topic or 'none: also to those who refused one'} |\n"
        f"| Template | {_template_line(run, template)} |\n"
        f"| Subject | {subject} |\n"
        f"| From | {run.plan.sender.name} |\n"
        f"| Through | {run.plan.provider} |\n"
        f"| Plan | {pace_words.line(pacing.of_run(run_id))} |\n\n"
        f"Waterfall and preview are on this run's **Artifacts** tab. Run `{run.id}`."
    )


def _template_line(run: Run, template: content.Template) -> str:
    """Of one that the provider keeps: which version is meant, as nothing here shows it."""
    return template.name if kept_name(run.plan.template) is None else f"{template.name}, {template.description}"


@task(task_run_name="record decision on {run_id}", cache_policy=NO_CACHE)
def record_decision(run_id: str, *, approved: bool, by: str, note: str) -> RunState:
    """Write who said yes or no, in the same transaction that opens or closes the run."""
    now = wiring.clock()
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        status = RunStatus.APPROVED if approved else RunStatus.REJECTED
        if run.status not in {RunStatus.FROZEN, RunStatus.AWAITING_APPROVAL}:
            return state_of(run)  # the decision was recorded before; the flow was started twice
        run = runs.advance(connection, run, status, stop_reason=None if approved else f"not approved: {note}")
        audit_log.write(
            connection,
            account_id=run.plan.account_id,
            actor=by,
            action="approve" if approved else "reject",
            subject=f"run:{run.id}",
            detail={"note": note, "planned": run.planned},
            now=now,
        )
    return state_of(run)


@task(task_run_name="finish dry run {run_id}", cache_policy=NO_CACHE)
def finish_dry_run(run_id: str) -> RunState:
    """A dry run ends here: everything is counted and shown, nothing was sent."""
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.status is RunStatus.FROZEN:
            run = runs.advance(connection, run, RunStatus.PREVIEWED)
    return state_of(run)


def flow_run_key(flow_run_id: UUID | str | None) -> str:
    """The name under which the ledger remembers a flow run."""
    if flow_run_id is None:
        raise wiring.CannotStart("A campaign runs as a Prefect flow run: start the deployment 'run-campaign'.")
    return str(flow_run_id)
