"""Run a campaign: pre-flight, gate, freeze, preview, approval, dispatch, settle.

A flow run may be started twice, and is started again from the top after an approval: the ledger's state decides
what is still to be done, so every stage may be repeated.
"""

import time
from typing import Literal

from prefect import flow, runtime
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from tasks import artifacts, campaign, dispatch, gates, guarding, hosting, preflight, reporting, watching
from tasks.campaign import RunState
from tasks.request import CampaignRequest, Mode

_APPROVAL_SECONDS = 7 * 24 * 3600


class NotApproved(RuntimeError):
    """A person said no. Nothing was sent."""


class PutOff(RuntimeError):
    """The ESP takes no mail for now. What it did not take is kept."""


class Approval(RunInput):
    """A person's yes or no, with a name."""

    decision: Literal["no", "yes"] = Field(
        "no", title="Send it?", description="Yes sends the campaign at once; no ends this run."
    )
    name: str = Field(..., min_length=2, max_length=60, title="Your name", description="Kept in the audit log.")
    note: str = Field("", max_length=500, title="Note", description="Why, if you like.")


class GoOn(RunInput):
    """What becomes of a run whose first few did badly: a person's word, with a name."""

    decision: Literal["end the run", "go on"] = Field(
        "end the run",
        title="Go on with it?",
        description="Go on sends the rest; end the run: nobody else gets it, ever.",
    )
    name: str = Field(..., min_length=2, max_length=60, title="Your name", description="Kept in the audit log.")
    note: str = Field(..., min_length=3, max_length=500, title="Why", description="Kept in the audit log.")


def _name() -> str:
    request = runtime.flow_run.parameters.get("request", {})
    data = request if isinstance(request, dict) else request.model_dump()
    mode = "live" if data.get("mode") == Mode.LIVE else "dry-run"
    return f"{data.get('campaign', 'campaign')} · {mode} · {runtime.flow_run.scheduled_start_time:%Y-%m-%d %H:%M}"


@flow(name="run-campaign", flow_run_name=_name)
def run_campaign(request: CampaignRequest) -> str:
    """Send one campaign to one segment, or count only. Nothing is sent before every gate has passed."""
    run = campaign.open_run(
        request, campaign.flow_run_key(runtime.flow_run.id), due_at=runtime.flow_run.scheduled_start_time
    )
    is_new = run.status == "created"
    if is_new:
        preflight.check_run(run.run_id)
        gates.check_data(run.run_id)
        run = campaign.freeze_audience(run.run_id)
    if run.status == "frozen":
        gates.check_audience(run.run_id)
        preflight.check_audience(run.run_id)
        artifacts.publish_preview(run.run_id)
        run = campaign.finish_dry_run(run.run_id) if not run.live else run
    if run.status in {"frozen", "awaiting_approval"}:
        run = _approve(run)
    if run.status == "paused":
        run = _hold_for_person(run)  # a person answered, and the flow started again
    if run.status in {"approved", "dispatching"}:
        watching.leave_if_stopped()
        if not is_new:
            preflight.check_again(run.run_id)
        _dispatch(run.run_id)
        watching.leave_if_stopped()
        _hold_for_person(run)  # its canary may have done badly meanwhile
    audit = reporting.audit_run(run.run_id)
    artifacts.publish_report(run.run_id, audit)
    return f"run {run.run_id}"


def _approve(run: RunState) -> RunState:
    """Ask a person where the audience is large. Suspending ends this process; the answer starts the flow again."""
    if run.status == "frozen" and not run.needs_approval:
        return campaign.record_decision(run.run_id, approved=True, by="policy", note="small enough to need no approval")
    question = campaign.await_approval(run.run_id)
    answer = suspend_flow_run(
        wait_for_input=Approval.with_initial_data(description=question), timeout=_APPROVAL_SECONDS, key=run.run_id
    )
    yes = answer.decision == "yes"
    run = campaign.record_decision(run.run_id, approved=yes, by=answer.name, note=answer.note)
    if not yes:
        raise NotApproved(f"{answer.name} said no, nothing was sent. {answer.note}")
    return run


def _hold_for_person(run: RunState) -> RunState:
    """Where the canary stopped the run, ask a person. Suspending ends this process; the answer starts the flow again."""
    question = guarding.question(run.run_id)
    if question is None:
        return run
    answer = suspend_flow_run(
        wait_for_input=GoOn.with_initial_data(description=question),
        timeout=_APPROVAL_SECONDS,
        key=f"canary-{run.run_id}",
    )
    return guarding.decide(run.run_id, go_on=answer.decision == "go on", by=answer.name, note=answer.note)


def _dispatch(run_id: str) -> None:
    """Hand over until there is nothing left to claim. Raises PutOff when the ESP takes nothing for an hour."""
    hand_over = hosting.hand_over if hosting.sends_by_itself(run_id) else dispatch.dispatch_wave
    patience = dispatch.Patience()
    while (state := hand_over(run_id)).seconds_until_next is not None:
        if patience.ended(state, time.monotonic()):
            raise PutOff(
                f"The ESP has taken nothing for an hour. {state.open:,} messages are not sent yet and nothing is lost:"
                f" continue with `campaigns resume {run_id}`."
            )
        if state.waits_for_canary:
            guarding.await_canary(run_id)
        else:
            dispatch.wait_until_due(run_id, patience.pause(state.seconds_until_next))
