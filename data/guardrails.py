"""What follows from what came back of a run's mail: canaries judged, mailbox groups braked.

Reading costs a row a message, writing a few rows. So they are apart: `observe` belongs into a read transaction, and
whoever claims batches waits for none of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import audit_log, brakes, results, runs, tables
from domain import guardrails
from domain.campaigns import Run, RunStatus
from domain.guardrails import CanaryState, CanaryVerdict, Guard, GuardAction, Results
from domain.ledger import BatchState
from domain.policy import SendingPolicy


class NotBreached(ValueError):
    """There is nothing to overrule; the message says how the canary stands."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a run at an instant, by mailbox group. `lifts`: from when on a group is judged anew."""

    at: datetime
    whole: Mapping[str, Results]
    recent: Mapping[str, Results]
    lifts: Mapping[str, datetime]
    canary: Mapping[str, Results] | None  # None: it is decided, or there is none
    canary_open: int = 0  # its batches that are still to be answered for
    canary_out_at: datetime | None = None  # when the last of it went out


def observe(connection: sa.Connection, run: Run, now: datetime) -> Observed:
    """Read all that a run is judged by. After a person lifted a brake only what went out since counts for that group."""
    lifts = brakes.lifts(connection, run.id)
    whole = _judged(connection, run.id, lifts, None)
    recent = _judged(connection, run.id, lifts, now - guardrails.RECENT)
    if run.canary != CanaryState.WATCHING:
        return Observed(now, whole, recent, lifts, None)
    still, out_at = _canary_batches(connection, run.id)
    return Observed(now, whole, recent, lifts, results.of_run(connection, run.id, canary=True), still, out_at)


def _judged(
    connection: sa.Connection, run_id: str, lifts: Mapping[str, datetime], earliest: datetime | None
) -> dict[str, Results]:
    found = results.of_run(connection, run_id, since=earliest)
    for lift in {at for at in lifts.values() if earliest is None or at > earliest}:
        later = results.of_run(connection, run_id, since=lift)
        found |= {group: later.get(group, Results()) for group, at in lifts.items() if at == lift}
    return found


def _canary_batches(connection: sa.Connection, run_id: str) -> tuple[int, datetime | None]:
    batch = tables.batches
    mine = (batch.c.run_id == run_id) & batch.c.canary
    waiting = batch.c.state.in_((BatchState.PLANNED, BatchState.INFLIGHT, BatchState.UNKNOWN))
    still = connection.scalar(sa.select(sa.func.count()).select_from(batch).where(mine, waiting)) or 0
    out = sa.select(sa.func.max(results.went_out())).select_from(results.with_route())
    return still, connection.scalar(out.where(mine, batch.c.state == BatchState.ACCEPTED))


# --- the canary ------------------------------------------------------------------------------------------------------


def judge_canary(observed: Observed, policy: SendingPolicy) -> CanaryVerdict | None:
    """What is to be said of the canary now; None where none is watched.

    All of it is waited for, but no longer than the canary itself: a part that is held by quiet hours or by a brake of
    its group must not hold everybody.
    """
    if observed.canary is None:
        return None
    seen = guardrails.total(observed.canary.values())
    groups = {group: {"accepted": one.accepted, "heard": one.heard} for group, one in observed.canary.items()}
    if observed.canary_out_at is None:
        if observed.canary_open:
            return CanaryVerdict(CanaryState.WATCHING, "nothing of the canary went out yet", {"groups": groups})
        words = "none of the canary's messages was taken by an ESP, so nothing is known of the rest"
        return CanaryVerdict(CanaryState.BREACHED, words, {"groups": groups})
    waited = observed.at - observed.canary_out_at
    verdict = guardrails.judge_canary(seen, waited=waited, policy=policy)
    figures = {**verdict.figures, "groups": groups, "open_batches": observed.canary_open}
    if (
        verdict.state is CanaryState.PASSED
        and observed.canary_open
        and waited < timedelta(minutes=policy.canary_minutes)
    ):
        words = f"{observed.canary_open} batches of the canary are still to go; so far {verdict.reason}"
        return CanaryVerdict(CanaryState.WATCHING, words, figures)
    return CanaryVerdict(verdict.state, verdict.reason, figures)


def watch_canary(
    connection: sa.Connection, run: Run, observed: Observed, policy: SendingPolicy
) -> CanaryVerdict | None:
    """Judge the canary and keep the verdict; a breach pauses the run. None: nothing was watched, or another was faster."""
    verdict = judge_canary(observed, policy)
    if verdict is None:
        return None
    kept = {"state": verdict.state, "reason": verdict.reason, "judged_at": observed.at.isoformat(), **verdict.figures}
    if not _move(connection, run.id, CanaryState.WATCHING, verdict.state, kept):
        return None
    now_run = runs.get(connection, run.id, locked=True)
    if verdict.state is CanaryState.BREACHED and now_run.status is RunStatus.DISPATCHING:
        reason = f"the canary, the first few who got it, did badly: {verdict.reason}"
        runs.advance(connection, now_run, RunStatus.PAUSED, stop_reason=reason)
    return verdict


def overrule(connection: sa.Connection, run_id: str, *, by: str, note: str, now: datetime) -> None:
    """A person lets a run go on although its canary did badly. The run stays paused: resuming it is another step.

    Raises NotBreached, data.runs.UnknownRun.
    """
    run = runs.get(connection, run_id)
    if not _move(connection, run_id, CanaryState.BREACHED, CanaryState.OVERRULED, run.canary_figures or {}):
        how = f"its canary is {run.canary}" if run.canary else "it has no canary"
        raise NotBreached(f"run {run_id} waits for nobody's word: {how}")
    audit_log.write(
        connection,
        account_id=run.plan.account_id,
        actor=by,
        action="overrule_canary",
        subject=f"run:{run_id}",
        detail={"note": note, "figures": run.canary_figures},
        now=now,
    )


def _move(
    connection: sa.Connection, run_id: str, before: CanaryState, after: CanaryState, figures: dict[str, Any]
) -> bool:
    run = tables.campaign_runs
    mine = (run.c.id == run_id) & (run.c.canary == before)
    return connection.execute(run.update().where(mine).values(canary=after, canary_figures=figures)).rowcount == 1


# --- rates -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Braked:
    """What a guard changed: a group was slowed or paused, or (NONE) goes at its own pace again."""

    mailbox_group: str
    guard: Guard
    brake_id: int | None


def judge(observed: Observed) -> dict[str, Guard]:
    """Every group's guard, by what was observed."""
    return {
        group: guardrails.rate_guard(whole, observed.recent.get(group, Results()))
        for group, whole in observed.whole.items()
    }


def guard(connection: sa.Connection, run: Run, observed: Observed) -> Sequence[Braked]:
    """Brake the groups that are in trouble; what was changed.

    One brake is in force of a run and group: a stronger one replaces a weaker one, never the other way round. Slowness
    ends by itself when the rate is back, but not within RECENT, so that it does not flutter; a pause ends when a person
    lifts it, or (after blocks) with its time.
    """
    runs.get(connection, run.id, locked=True)  # two that watch one run set a brake once
    now, lifts = observed.at, brakes.lifts(connection, run.id)
    held = {one.mailbox_group: one for one in brakes.of_run(connection, run.id, now)}
    changed = []
    for group, found in judge(observed).items():
        if lifts.get(group) != observed.lifts.get(group):
            continue  # a person lifted it while we read: what was read is about before
        brake = held.get(group)
        factor = guardrails.FACTOR[found.action]
        if brake is not None and brake.factor <= factor < 1:
            continue
        if found.action is GuardAction.NONE:
            if brake is not None and brake.factor > 0 and now - brake.set_at >= guardrails.RECENT:
                brakes.end(connection, brake.id, brakes.BY_ITSELF, now)
                changed.append(Braked(group, found, brake.id))
            continue
        if brake is not None:
            brakes.end(connection, brake.id, brakes.BY_ITSELF, now)
        until = now + found.lasts if found.lasts is not None else None
        new = brakes.put(
            connection,
            account_id=run.plan.account_id,
            run_id=run.id,
            mailbox_group=group,
            factor=factor,
            reason=found.reason,
            figures=found.figures,
            now=now,
            until=until,
        )
        changed.append(Braked(group, found, new))
    return changed
