"""The campaign flow from gate to report, as a Prefect flow run."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prefect import flow

from data import control, database, runs, tables, topics
from data.installation import ForeignDatabase, claim
from domain.campaigns import Run, RunStatus
from domain.preferences import Topic
from flows.run_campaign import run_campaign
from tasks import reporting
from tasks.dispatch import ProviderRefuses
from tasks.gates import GateFailed
from tasks.request import CampaignRequest, Mode
from tasks.sending import ContentChanged
from tasks.wiring import CannotStart
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts

pytestmark = pytest.mark.slow


def live(**facts: Any) -> CampaignRequest:
    values = {"campaign": "news", "segment": "all-customers", "template": "new-arrivals", "mode": Mode.LIVE}
    return CampaignRequest(**{**values, **facts})


def only_run(engine: sa.Engine) -> Run:
    with database.read(engine) as connection:
        (run_id,) = connection.scalars(sa.select(tables.campaign_runs.c.id))
        return runs.get(connection, run_id)


def test_a_live_run_sends_to_everybody_once_and_leaves_readable_artifacts(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live())
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHED
    assert installation.accepted(run.id) == {f"{run.id}.{ordinal}": 1 for ordinal in range(40)}
    audit = reporting.audit_of(run.id)
    assert (audit.balanced, audit.duplicates, audit.missing) == (True, 0, 0)
    assert set(run.validation or {}) == {"orders", "features", "drift", "audience"}
    shown = artifacts()
    names = ("waterfall", "preview", "report", "progress", "validation-audience")
    assert {f"{name}-{run.id}" for name in names} <= shown.keys()
    assert "in the segment | 40" in shown[f"waterfall-{run.id}"]
    assert "## How it goes out" in shown[f"waterfall-{run.id}"]
    assert "| Gmail | 14 |" in shown[f"waterfall-{run.id}"]
    assert "The ledger balances" in shown[f"report-{run.id}"]
    for text in shown.values():  # everybody can open the UI
        assert not any(ledger_rows.address(number) in text for number in range(40))


def test_a_dry_run_sends_nothing(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live(mode=Mode.DRY_RUN))
    run = only_run(engine)
    assert run.status is RunStatus.PREVIEWED
    assert run.planned == 40
    assert installation.accepted(run.id) == {}


def test_a_run_about_a_topic_leaves_out_who_refused_it(engine: sa.Engine, installation: Esp) -> None:
    with pytest.raises(topics.UnknownTopic, match="has no topic 'offers'"):
        run_campaign(live(topic="offers"))
    with database.write(engine) as connection:
        (account_id,) = connection.scalars(sa.select(tables.accounts.c.id))
        topics.add(connection, account_id, Topic("offers", {"en": "Offers"}), now=ledger_rows.NOW)
        said = {"source": "test", "evidence": "", "now": ledger_rows.NOW}
        topics.refuse(connection, account_id, ledger_rows.hash_of(7), ["offers"], **said)
    run_campaign(live(topic="offers"))
    run = only_run(engine)
    assert run.skipped == {"topic_refused": 1}
    assert len(installation.accepted(run.id)) == 39
    assert "wants no mail about this campaign's topic" in artifacts()[f"waterfall-{run.id}"]


def test_a_failing_gate_stops_before_anything_is_sent(engine: sa.Engine, installation: Esp) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.orders.update().values(currency="EUR"))
    with pytest.raises(GateFailed, match="Stopped before anything was sent"):
        run_campaign(live())
    run = only_run(engine)
    assert run.status is RunStatus.STOPPED
    assert "validation gate" in (run.stop_reason or "")
    assert installation.accepted(run.id) == {}
    assert "❌" in artifacts()[f"validation-orders-{run.id}"]


def test_an_audience_of_nobody_is_stopped(engine: sa.Engine, installation: Esp) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.consents.delete())
    with pytest.raises(GateFailed, match="somebody to mail"):
        run_campaign(live())
    assert installation.accepted(only_run(engine).id) == {}


def test_the_same_flow_run_again_changes_nothing(engine: sa.Engine, installation: Esp) -> None:
    from tasks import campaign, dispatch

    @flow
    def twice() -> str:
        first = campaign.open_run(live(), "flow-1")
        assert campaign.open_run(live(), "flow-1").run_id == first.run_id
        campaign.freeze_audience(first.run_id)
        campaign.record_decision(first.run_id, approved=True, by="Ann", note="")
        again = campaign.record_decision(first.run_id, approved=False, by="Bob", note="too late")
        assert again.status is RunStatus.APPROVED
        dispatch.dispatch_wave(first.run_id)
        dispatch.dispatch_wave(first.run_id)
        return first.run_id

    assert set(installation.accepted(twice()).values()) == {1}
    with database.read(engine) as connection:
        log = connection.execute(sa.select(tables.audit_log)).all()
    assert [(row.actor, row.action) for row in log] == [("Ann", "approve")]


def test_a_refused_key_pauses_the_run_and_resuming_finishes_it(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    import settings

    monkeypatch.setenv("OMS_SANDBOX_API_KEY", "SG.wrong")
    settings.load.cache_clear()
    with pytest.raises(ProviderRefuses, match="nothing is lost"):
        run_campaign(live())
    run = only_run(engine)
    assert run.status is RunStatus.PAUSED
    monkeypatch.setenv("OMS_SANDBOX_API_KEY", "SG.sandbox")
    settings.load.cache_clear()
    run_campaign(live(resume_run=run.id))
    assert only_run(engine).status is RunStatus.DISPATCHED
    assert set(installation.accepted(run.id).values()) == {1}
    assert len(installation.accepted(run.id)) == 40


def test_a_cut_answer_is_never_sent_again(engine: sa.Engine, installation: Esp) -> None:
    installation.fault(drop_after_accept=1.0, next_n=1)
    run_campaign(live())
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHING  # one batch is unknown: events or the deadline will decide
    assert set(installation.accepted(run.id).values()) == {1}
    audit = reporting.audit_of(run.id)
    assert audit.balanced
    assert audit.states["open"] in {10, 15}


def test_a_template_that_changed_after_the_approval_is_not_sent(engine: sa.Engine, installation: Esp) -> None:
    from tasks import campaign, dispatch

    @flow
    def changed() -> None:
        run = campaign.open_run(live(), "flow-1")
        campaign.freeze_audience(run.run_id)
        campaign.record_decision(run.run_id, approved=True, by="Ann", note="")
        with database.write(engine) as connection:
            connection.execute(tables.campaign_runs.update().values(template_hash="what was approved"))
        dispatch.dispatch_wave(run.run_id)

    with pytest.raises(ContentChanged, match="differently from what was approved"):
        changed()
    assert installation.accepted(only_run(engine).id) == {}


def test_a_run_that_awaits_an_answer_is_not_approved_by_a_change_of_settings(
    engine: sa.Engine, installation: Esp
) -> None:
    from flows import run_campaign as module
    from tasks import campaign

    @flow
    def awaiting() -> str:
        run = campaign.open_run(live(), "flow-1")
        campaign.freeze_audience(run.run_id)
        assert "| Plan | takes about 3 seconds; largest group Gmail, 14 people" in campaign.await_approval(run.run_id)
        return run.run_id

    run_id = awaiting()
    with database.read(engine) as connection:
        state = campaign.state_of(runs.get(connection, run_id))
    assert (state.status, state.needs_approval) == ("awaiting_approval", False)
    asked = []

    def no(**_: Any) -> module.Approval:
        asked.append(True)
        return module.Approval(decision="no", name="Ann", note="not now")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "suspend_flow_run", no)  # the answer came; what the flow makes of it is tested
        with pytest.raises(module.NotApproved, match="Ann said no"):
            flow(module._approve)(state)
    assert asked == [True]
    assert only_run(engine).status is RunStatus.REJECTED


def test_the_same_flow_run_started_three_times_at_once_sends_to_everybody_once(
    engine: sa.Engine, installation: Esp
) -> None:
    from tasks import campaign, dispatch

    def once() -> str:
        run = campaign.open_run.fn(live(), "flow-1")
        run = campaign.freeze_audience.fn(run.run_id)
        run = campaign.record_decision.fn(run.run_id, approved=True, by="Ann", note="")
        dispatch.dispatch_wave.fn(run.run_id)
        return run.run_id

    @flow
    def three_times() -> set[str]:
        with ThreadPoolExecutor(3) as pool:
            return set(pool.map(lambda context: context.run(once), [copy_context() for _ in range(3)]))

    (run_id,) = three_times()
    assert installation.accepted(run_id) == {f"{run_id}.{ordinal}": 1 for ordinal in range(40)}
    assert reporting.audit_of(run_id).balanced
    assert only_run(engine).status is RunStatus.DISPATCHED


def test_a_live_run_that_begins_too_late_is_refused_and_seen(engine: sa.Engine, installation: Esp) -> None:
    from tasks import campaign, wiring

    due = wiring.clock() - timedelta(hours=3)

    @flow
    def late(mode: Mode) -> str:
        return campaign.open_run(live(mode=mode), f"flow of {mode}", due_at=due).run_id

    with pytest.raises(campaign.TooLate, match=f"it was due at {due:%Y-%m-%d %H:%M} UTC.*its window has passed"):
        late(Mode.LIVE)
    run = only_run(engine)
    assert (run.status, run.planned) == (RunStatus.STOPPED, None)
    assert "Start it anew" in (run.stop_reason or "")
    with database.write(engine) as connection:
        connection.execute(tables.campaign_runs.delete())
    late(Mode.DRY_RUN)  # it sends nothing
    assert only_run(engine).status is RunStatus.CREATED


def test_a_run_that_was_made_in_time_is_continued_however_late(engine: sa.Engine, installation: Esp) -> None:
    from tasks import campaign, wiring

    @flow
    def continued() -> None:
        run = campaign.open_run(live(), "flow-1", due_at=wiring.clock())
        long_ago = wiring.clock() - timedelta(days=3)
        assert campaign.open_run(live(), "flow-1", due_at=long_ago).run_id == run.run_id
        assert campaign.open_run(live(resume_run=run.run_id), "flow-2", due_at=long_ago).run_id == run.run_id

    continued()
    assert only_run(engine).status is RunStatus.CREATED


def test_a_copy_of_the_database_mails_nobody(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    import settings
    from tasks import campaign, dispatch

    @flow
    def copied() -> str:
        run = campaign.open_run(live(), "flow-1")
        campaign.freeze_audience(run.run_id)
        campaign.record_decision(run.run_id, approved=True, by="Ann", note="")
        with database.write(engine) as connection:  # as the row of a copy would read
            connection.execute(tables.installation.update().values(fingerprint="that of the original"))
        for step in (
            lambda: dispatch.dispatch_wave(run.run_id),
            lambda: campaign.open_run(live(), "flow-1"),
            lambda: campaign.open_run(live(resume_run=run.run_id), "flow-2"),
            lambda: campaign.open_run(live(), "flow-3"),
        ):
            with pytest.raises(ForeignDatabase, match="`campaigns environment claim --name production"):
                step()
        campaign.open_run(live(mode=Mode.DRY_RUN), "flow-4")
        return run.run_id

    run_id = copied()
    assert installation.accepted(run_id) == {}
    monkeypatch.setenv("OMS_ENVIRONMENT", "staging")
    settings.load.cache_clear()
    with pytest.raises(ForeignDatabase, match="belongs to the environment 'production', and OMS_ENVIRONMENT says"):
        run_campaign(live())
    with database.write(engine) as connection:
        claim(connection, "staging", by="Ann", now=ledger_rows.NOW)
    run_campaign(live(resume_run=run_id))
    assert len(installation.accepted(run_id)) == 40


def test_a_run_that_was_cancelled_meanwhile_sends_nothing(engine: sa.Engine, installation: Esp) -> None:
    from tasks import campaign, dispatch

    @flow
    def cancelled() -> None:
        run = campaign.open_run(live(), "flow-1")
        campaign.freeze_audience(run.run_id)
        with database.write(engine) as connection:
            control.cancel(connection, run.run_id, by="Ann", why="", now=ledger_rows.NOW)
        with pytest.raises(control.NotPossible, match="there is nothing to say yes or no to"):
            campaign.await_approval(run.run_id)
        assert campaign.record_decision(run.run_id, approved=True, by="Bob", note="").status == "cancelled"
        dispatch.dispatch_wave(run.run_id)

    cancelled()
    run = only_run(engine)
    assert run.status is RunStatus.CANCELLED
    assert installation.accepted(run.id) == {}
    assert reporting.audit_of(run.id).states["cancelled"] == 40


def test_what_is_pressed_on_the_flow_run_reaches_the_ledger(engine: sa.Engine, installation: Esp) -> None:
    from prefect import runtime
    from prefect.client.orchestration import get_client
    from prefect.exceptions import Pause
    from prefect.states import Cancelling, Suspended

    from tasks import campaign, watching

    def press(state: Any) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(runtime.flow_run.id, state, force=True)

    def interrupted(run_id: str) -> None:
        with watching.own_flow_run(run_id):
            press(Cancelling())
            raise KeyboardInterrupt  # as the signal to a cancelled flow run's process is

    @flow
    def pressed() -> None:
        run = campaign.open_run(live(), str(runtime.flow_run.id))
        campaign.freeze_audience(run.run_id)
        campaign.record_decision(run.run_id, approved=True, by="Ann", note="")
        with database.write(engine) as connection:
            runs.advance(connection, runs.get(connection, run.run_id), RunStatus.DISPATCHING)
        with watching.own_flow_run(run.run_id) as heed:
            heed()
            assert only_run(engine).status is RunStatus.DISPATCHING
            watching.leave_if_stopped()
            press(Suspended())
            heed()
        assert only_run(engine).status is RunStatus.PAUSED
        with pytest.raises(Pause):
            watching.leave_if_stopped.fn()
        assert campaign.open_run(live(), str(runtime.flow_run.id)).status == "dispatching"  # Resume starts it again
        with pytest.raises(KeyboardInterrupt):
            interrupted(run.run_id)
        assert only_run(engine).status is RunStatus.CANCELLED

    pressed(return_state=True)
    assert only_run(engine).status is RunStatus.CANCELLED


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("OMS_GATEWAY_PUBLIC_URL", "http://127.0.0.1:8000", "OMS_GATEWAY_PUBLIC_URL"),
        ("OMS_SENDGRID_VALIDATE_ONLY", "true", "OMS_SENDGRID_VALIDATE_ONLY"),
        ("OMS_SENDING_LEASE_SECONDS", "30", "OMS_SENDING_LEASE_SECONDS"),
        ("OMS_SENDING_CALL_BACK_MINUTES", "13", "OMS_SENDING_CALL_BACK_MINUTES must be at least 14"),
    ],
)
def test_a_live_run_that_could_not_be_answered_for_does_not_begin(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    import settings

    monkeypatch.setenv("OMS_SENDGRID_API_KEY", "SG.real")
    monkeypatch.setenv("OMS_GATEWAY_PUBLIC_URL", "https://shop.example.com")
    monkeypatch.setenv(variable, value)
    settings.load.cache_clear()
    with pytest.raises(CannotStart, match=complaint):
        run_campaign(live(provider="sendgrid", two_phase=True))
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.campaign_runs)) == 0


def test_a_subject_may_not_name_what_customers_do_not_have(engine: sa.Engine, installation: Esp) -> None:
    with pytest.raises(GateFailed, match="Stopped before anything was sent"):
        run_campaign(live(subject="{{ last_name }}, come back"))
    assert installation.accepted(only_run(engine).id) == {}
