"""Guardrails as flows run them: what is watched after the events, what is shown, what a person is asked."""

from typing import Any

import pytest
import sqlalchemy as sa
from prefect import flow

from data import brakes, database, runs, tables
from domain.campaigns import Run, RunStatus
from domain.guardrails import CanaryState
from domain.ledger import BatchState
from flows import run_campaign as module
from flows.process_delivery_events import process_delivery_events
from tasks import campaign, guarding, wiring
from tasks.request import CampaignRequest, Mode
from tests.data import guarded
from tests.data.guarded import Part
from tests.flows.shown import artifacts

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("installation")]
BAD = {"delivered": 500, "hard": 100}


def run_of(engine: sa.Engine, *, canary: bool) -> Run:
    now = wiring.clock()
    parts = [
        Part("google", 600, {"delivered": 600}, at=now),
        Part("yahoo", 600, BAD, canary=canary, at=now),
        Part("yahoo", 600, {}, state=BatchState.PLANNED),
    ]
    return guarded.run_of(
        engine, parts, run_id="rabcdefghjkmn", canary=CanaryState.WATCHING if canary else None, dispatched_at=None
    )


def again(engine: sa.Engine, run: Run) -> Run:
    with database.read(engine) as connection:
        return runs.get(connection, run.id)


def test_a_group_in_trouble_is_stopped_after_the_events_and_shown(engine: sa.Engine) -> None:
    run = run_of(engine, canary=False)
    process_delivery_events()
    with database.read(engine) as connection:
        (brake,) = brakes.of_run(connection, run.id, wiring.clock())
    assert (brake.mailbox_group, brake.factor) == ("yahoo", 0)
    assert again(engine, run).status is RunStatus.DISPATCHING  # the others go on
    shown = artifacts()[f"guard-{run.id}"]
    assert "**yahoo** is stopped since" in shown
    assert "hard bounces 16.67% (100 of 600)" in shown
    assert f"campaigns guards lift {brake.id} --by NAME --why REASON" in shown
    assert "| google | 600 | 600 | 600 | 0 (0.00 %) |" in shown


def test_a_bad_canary_pauses_the_run_and_its_flow_asks(engine: sa.Engine) -> None:
    run = run_of(engine, canary=True)
    process_delivery_events()
    assert again(engine, run).status is RunStatus.PAUSED
    assert "nobody else gets it" in artifacts()[f"guard-{run.id}"]
    asked: list[Any] = []

    def go_on(**facts: Any) -> module.GoOn:
        asked.append(facts)
        return module.GoOn(decision="go on", name="Ann", note="known bounces")

    @flow
    def held() -> campaign.RunState:
        request = CampaignRequest(
            campaign="news", segment="all-customers", template="new-arrivals", mode=Mode.LIVE, resume_run=run.id
        )
        state = campaign.open_run(request, "flow-1")
        assert state.status is RunStatus.PAUSED  # taking it up is no decision
        return module._hold_for_person(state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "suspend_flow_run", go_on)  # the answer came; what the flow makes of it is tested
        state = held()
        assert state.status is RunStatus.DISPATCHING
        assert flow(module._hold_for_person)(state) == state  # asked once
    (facts,) = asked
    assert facts["key"] == f"canary-{run.id}"
    assert again(engine, run).canary == CanaryState.OVERRULED


def test_a_person_ends_a_run_whose_canary_did_badly(engine: sa.Engine) -> None:
    run = run_of(engine, canary=True)

    @flow
    def ended() -> tuple[str | None, campaign.RunState]:
        guarding.watch_run(run.id)
        asked = guarding.question(run.id)
        return asked, guarding.decide(run.id, go_on=False, by="Ann", note="old list")

    asked, state = ended()
    assert asked is not None
    assert "hard bounces 16.67% (100 of 600)" in asked
    assert state.status is RunStatus.CANCELLED
    assert again(engine, run).stop_reason == "cancelled by Ann: old list"
    with database.read(engine) as connection:
        row = connection.execute(sa.select(tables.audit_log)).one()
    assert (row.actor, row.action, row.detail) == ("Ann", "cancel", {"why": "old list", "was": "paused"})
