"""Campaign runs: made once for a flow run, moved only along the state machine."""

import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain import campaigns
from domain.campaigns import Refinement, Run, RunPlan, RunStatus, Sender
from domain.rules import Operator, Rule

# Base 32 without letters that are misread; 12 of them are 60 bits: short in 1000 ids a request, never met twice.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LENGTH = 12


class UnknownRun(LookupError):
    """No run of that id."""


def _new_id() -> str:
    return "r" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def create(connection: sa.Connection, plan: RunPlan, *, flow_run_id: str | None, now: datetime) -> Run:
    """Make the run of this flow run, or return the one that it made before (a flow may be started twice, at once).

    Its window begins with the dispatch: an approval may take days.
    """
    campaign_id = _campaign_id(connection, plan, now)
    run_id = _new_id()
    connection.execute(
        database.insert(connection, tables.campaign_runs)
        .values(
            id=run_id,
            account_id=plan.account_id,
            campaign_id=campaign_id,
            flow_run_id=flow_run_id,
            status=RunStatus.CREATED,
            live=plan.live,
            segment=plan.segment,
            template=plan.template,
            provider=plan.provider,
            subject=plan.subject,
            sender_email=plan.sender.email,
            sender_name=plan.sender.name,
            reply_to=plan.sender.reply_to,
            audience_limit=plan.limit,
            holdout_percent=plan.holdout_percent,
            seed=plan.seed,
            selection=_as_json(plan.refinement),
            priority=plan.priority,
            two_phase=plan.two_phase,
            topic=plan.topic,
            leave_out_missing=plan.leave_out_missing,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["flow_run_id"])
    )
    return (flow_run_id and by_flow_run(connection, flow_run_id)) or get(connection, run_id)


def _campaign_id(connection: sa.Connection, plan: RunPlan, now: datetime) -> int:
    table = tables.campaigns
    made = database.insert(connection, table).values(account_id=plan.account_id, name=plan.campaign, created_at=now)
    connection.execute(made.on_conflict_do_nothing())
    where = (table.c.account_id == plan.account_id) & (table.c.name == plan.campaign)
    campaign_id: int = connection.execute(sa.select(table.c.id).where(where)).scalar_one()
    return campaign_id


def _select() -> sa.Select[Any]:
    table = tables.campaign_runs
    return sa.select(table, tables.campaigns.c.name.label("campaign")).join_from(
        table, tables.campaigns, table.c.campaign_id == tables.campaigns.c.id
    )


def get(connection: sa.Connection, run_id: str, *, locked: bool = False) -> Run:
    """One run. Raises UnknownRun. `locked`: whoever else would move it waits until this transaction ends."""
    query = _select().where(tables.campaign_runs.c.id == run_id)
    if locked:
        query = query.with_for_update(of=tables.campaign_runs, key_share=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownRun(f"there is no run {run_id!r}: `campaigns status` lists the runs that there are")
    return from_row(row)


def by_flow_run(connection: sa.Connection, flow_run_id: str) -> Run | None:
    """The run that this flow run made, if it did."""
    row = connection.execute(_select().where(tables.campaign_runs.c.flow_run_id == flow_run_id)).one_or_none()
    return None if row is None else from_row(row)


def with_status(connection: sa.Connection, *statuses: RunStatus, account_id: str | None = None) -> list[Run]:
    """Runs in any of these states, newest first."""
    table = tables.campaign_runs
    query = _select().where(table.c.status.in_(statuses)).order_by(table.c.created_at.desc())
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    return [from_row(row) for row in connection.execute(query)]


def that_sent(connection: sa.Connection) -> list[Run]:
    """Live runs whose dispatch began, newest first: also the cancelled ones, for what went out is out."""
    table = tables.campaign_runs
    query = _select().where(table.c.live, table.c.dispatch_started_at.is_not(None))
    return [from_row(row) for row in connection.execute(query.order_by(table.c.created_at.desc()))]


def unsettled(connection: sa.Connection) -> list[Run]:
    """Runs of which everything is out, and which was not settled yet; cancelled ones are among them."""
    table = tables.campaign_runs
    over = table.c.status.in_((RunStatus.DISPATCHED, RunStatus.CANCELLED))
    query = _select().where(over, table.c.dispatched_at.is_not(None), table.c.settled_at.is_(None))
    return [from_row(row) for row in connection.execute(query.order_by(table.c.created_at.desc()))]


def settle(connection: sa.Connection, run: Run, now: datetime) -> None:
    """Its mail has its answers, as far as any will come. A cancelled run stays cancelled."""
    if run.status is not RunStatus.CANCELLED:
        advance(connection, run, RunStatus.SETTLED, settled_at=now)
        return
    table = tables.campaign_runs
    connection.execute(table.update().where(table.c.id == run.id).values(settled_at=now))


def previous_planned(connection: sa.Connection, run: Run) -> int | None:
    """How many people the campaign's last live run planned, to compare this one with.

    A run with a limit, or through another provider, was a trial: it tells nothing of the campaign's size. Nor does a
    cancelled one: its size may be why.
    """
    table = tables.campaign_runs
    this = sa.select(table.c.campaign_id).where(table.c.id == run.id).scalar_subquery()
    return connection.scalar(
        sa.select(table.c.planned)
        .where(
            table.c.campaign_id == this,
            table.c.id != run.id,
            table.c.live,
            table.c.dispatched_at.is_not(None),
            table.c.status != RunStatus.CANCELLED,
            table.c.segment == run.plan.segment,
            table.c.provider == run.plan.provider,
            table.c.audience_limit.is_(None),
        )
        .order_by(table.c.created_at.desc())
        .limit(1)
    )


def advance(connection: sa.Connection, run: Run, status: RunStatus, **facts: Any) -> Run:
    """Move a run to its next state, with what is now known of it. Raises IllegalTransition, also in a race."""
    campaigns.check_transition(run.status, status)
    table = tables.campaign_runs
    moved = connection.execute(
        table.update().where(table.c.id == run.id, table.c.status == run.status).values(status=status, **facts)
    )
    if moved.rowcount != 1:
        raise campaigns.IllegalTransition(f"run {run.id} is not {run.status} any more: somebody else moved it")
    return get(connection, run.id)


def from_row(row: Any) -> Run:
    """Convert a row of `campaign_runs` joined with its campaign's name."""
    return Run(
        id=row.id,
        plan=RunPlan(
            account_id=row.account_id,
            campaign=row.campaign,
            segment=row.segment,
            template=row.template,
            provider=row.provider,
            subject=row.subject,
            sender=Sender(row.sender_email, row.sender_name, row.reply_to),
            live=row.live,
            limit=row.audience_limit,
            holdout_percent=row.holdout_percent,
            seed=row.seed,
            refinement=_refinement(row.selection),
            priority=row.priority,
            two_phase=row.two_phase,
            topic=row.topic,
            leave_out_missing=row.leave_out_missing,
        ),
        status=RunStatus(row.status),
        flow_run_id=row.flow_run_id,
        definition_hash=row.definition_hash,
        template_hash=row.template_hash,
        feature_watermark=row.feature_watermark,
        validation=row.validation,
        members=row.members,
        planned=row.planned,
        skipped=row.skipped,
        stop_reason=row.stop_reason,
        created_at=row.created_at,
        frozen_at=row.frozen_at,
        dispatch_started_at=row.dispatch_started_at,
        dispatched_at=row.dispatched_at,
        settled_at=row.settled_at,
        expires_at=row.expires_at,
        members_hash=row.members_hash,
        code_version=row.code_version,
        canary=row.canary,
        canary_figures=row.canary_figures,
    )


def _as_json(refinement: Refinement) -> dict[str, Any]:
    """Only what was said, so that a run without any keeps {}."""
    return {name: value for name, value in asdict(refinement).items() if value}


def _refinement(kept: dict[str, Any]) -> Refinement:
    return Refinement(
        arguments=kept.get("arguments", {}),
        rules=tuple(Rule(**{**rule, "operator": Operator(rule["operator"])}) for rule in kept.get("rules", ())),
        exclude=tuple(kept.get("exclude", ())),
        members_of=kept.get("members_of"),
    )


def note_validation(connection: sa.Connection, run: Run, verdicts: dict[str, Any]) -> None:
    """Keep the gates' verdicts with the run, beside those of earlier gates."""
    table = tables.campaign_runs
    kept = {**(run.validation or {}), **verdicts}
    connection.execute(table.update().where(table.c.id == run.id).values(validation=kept))
