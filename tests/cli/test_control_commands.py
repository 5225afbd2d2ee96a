"""Pausing, continuing and cancelling runs, against a fake of Prefect's API on the wire."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from data import control, database, runs, tables
from domain.campaigns import NEXT, RunStatus
from domain.guardrails import CanaryState
from domain.ledger import BatchState
from tests.cli.conftest import Campaigns
from tests.cli.fakes import DEPLOYMENT_ID, FakeServer, flow_run, prefect_answers
from tests.data import ledger_rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

RUN_ID = "r23456789abcd"
FLOW_RUN = UUID(int=7)
EARLIER = UUID(int=8)
START = f"/api/deployments/{DEPLOYMENT_ID}/create_flow_run"
READ = f"/api/flow_runs/{EARLIER}"


def _state(kind: str) -> Any:
    from prefect.client.schemas.objects import State, StateType

    return State(type=StateType[kind], name=kind.capitalize())


@pytest.fixture
def prefect(fake: FakeServer, shop: sa.Engine) -> FakeServer:
    prefect_answers(fake)
    fake.answer("POST", START, flow_run(_state("SCHEDULED"), FLOW_RUN), status=201)
    return fake


def _known(prefect: FakeServer, kind: str) -> None:
    """What Prefect says of the flow run that made the run."""
    prefect.answer("GET", READ, flow_run(_state(kind), EARLIER))


def _add_run(engine: sa.Engine, status: RunStatus, **facts: Any) -> None:
    with database.write(engine) as connection:
        people = ledger_rows.add_parties(connection, "shop", 4)
        batches = [
            ledger_rows.BatchRow(0, 1, BatchState.ACCEPTED, "a1"),
            ledger_rows.BatchRow(2, 3, BatchState.PLANNED),
        ]
        values = {"run_id": RUN_ID, "status": status, "flow_run_id": str(EARLIER), "segment": "gone", **facts}
        ledger_rows.add_run(connection, "shop", people, batches, **values)


def _status(engine: sa.Engine) -> RunStatus:
    with database.read(engine) as connection:
        return runs.get(connection, RUN_ID).status


def _log(engine: sa.Engine) -> list[tuple[str, str, dict[str, Any]]]:
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id)).all()
    return [(row.action, row.subject, row.detail) for row in rows if row.actor.endswith("(command line)")]


def test_pause_needs_no_prefect_and_is_in_the_audit_log(shop: sa.Engine, campaigns: Campaigns) -> None:
    _add_run(shop, RunStatus.DISPATCHING)
    told = campaigns("pause", RUN_ID, "--why", "a typo", "--json").json
    assert told["status"] == "paused"
    assert told["stop_reason"].startswith("paused by ")
    assert told["stop_reason"].endswith("(command line): a typo")
    assert _log(shop) == [("pause", f"run:{RUN_ID}", {"why": "a typo", "was": "dispatching"})]
    assert f"run {RUN_ID} is paused already" in campaigns("pause", RUN_ID).mistake


@pytest.mark.parametrize("status", [RunStatus.CREATED, RunStatus.AWAITING_APPROVAL, RunStatus.SETTLED])
def test_only_a_run_that_sends_can_be_paused(shop: sa.Engine, campaigns: Campaigns, status: RunStatus) -> None:
    _add_run(shop, status)
    assert campaigns("pause", RUN_ID).mistake == f"run {RUN_ID} is {status}: only a run that is sending can be paused"


def test_cancel_asks_first_and_says_what_is_not_sent(shop: sa.Engine, campaigns: Campaigns) -> None:
    _add_run(shop, RunStatus.PAUSED)
    assert campaigns("cancel", RUN_ID).mistake == "nobody can be asked here: say --yes if it is meant"
    assert campaigns("cancel", RUN_ID, "--json").status == 2
    assert _status(shop) is RunStatus.PAUSED
    told = campaigns("cancel", RUN_ID, "--yes", "--json").json
    assert told == {"run": RUN_ID, "status": "cancelled", "cancelled_messages": 2}
    assert _log(shop) == [("cancel", f"run:{RUN_ID}", {"why": "", "was": "paused"})]
    states = campaigns("audit", RUN_ID, "--json").json["states"]
    assert (states["accepted"], states["cancelled"], states["open"]) == (2, 2, 0)
    assert campaigns("cancel", RUN_ID, "--yes").mistake == (
        f"run {RUN_ID} is cancelled: nothing is left to be cancelled"
    )
    assert "was not sent: the run was cancelled" in campaigns("explain", RUN_ID, "c3").out


@pytest.mark.parametrize(("answer", "status"), [("y\n", RunStatus.CANCELLED), ("n\n", RunStatus.PAUSED)])
def test_cancel_heeds_the_answer(
    shop: sa.Engine, campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch, answer: str, status: RunStatus
) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    _add_run(shop, RunStatus.PAUSED)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    told = campaigns("cancel", RUN_ID)
    assert _status(shop) is status
    assert told.status == (0 if status is RunStatus.CANCELLED else 2)
    assert "It cannot be taken back." in told.out


@pytest.mark.parametrize(
    "status", [RunStatus.CREATED, RunStatus.FROZEN, RunStatus.APPROVED, RunStatus.DISPATCHING, RunStatus.PAUSED]
)
def test_a_run_whose_flow_run_is_gone_is_taken_over_by_a_new_one(
    prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns, status: RunStatus
) -> None:
    _add_run(shop, status)
    told = campaigns("resume", RUN_ID, "--why", "mended", "--json").json
    assert (told["flow_run"], told["told"]) == (str(FLOW_RUN), "a new flow run takes it over")
    request = prefect.asked[START]["parameters"]["request"]
    assert (request["resume_run"], request["campaign"]) == (RUN_ID, f"campaign of {RUN_ID}")
    assert _log(shop) == [("continue", f"run:{RUN_ID}", {"flow_run": str(FLOW_RUN), "why": "mended"})]


def test_a_flow_run_that_counts_as_running_may_be_dead(
    prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns
) -> None:
    _add_run(shop, RunStatus.DISPATCHING)
    _known(prefect, "RUNNING")
    told = campaigns("resume", RUN_ID)
    assert f"another flow run counts as running still (http://127.0.0.1:{prefect.port}/runs" in told.out
    assert "no message goes twice" in told.out
    assert START in prefect.asked


def test_a_suspended_flow_run_goes_on_itself(prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns) -> None:
    _add_run(shop, RunStatus.PAUSED, stop_reason=control.SUSPENDED)
    _known(prefect, "PAUSED")
    accepted = {"status": "ACCEPT", "details": {"type": "accept_details"}, "state": None}
    prefect.answer("POST", f"{READ}/resume", accepted, status=201)
    told = campaigns("resume", RUN_ID, "--json").json
    assert (told["flow_run"], told["told"]) == (str(EARLIER), "its flow run was suspended, and goes on")
    assert START not in prefect.asked


def test_a_flow_run_that_waits_for_a_worker_is_enough(
    prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns
) -> None:
    _add_run(shop, RunStatus.DISPATCHING)
    _known(prefect, "SCHEDULED")
    assert "goes on already as soon as a worker is free" in campaigns("resume", RUN_ID).mistake
    assert prefect.asked == {}


@pytest.mark.parametrize(
    ("status", "says"), [(RunStatus.AWAITING_APPROVAL, "yes or no"), (RunStatus.PAUSED, "held by its canary")]
)
def test_a_run_that_waits_for_a_persons_word_is_not_asked_about_twice(
    prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns, status: RunStatus, says: str
) -> None:
    _add_run(shop, status, canary=CanaryState.BREACHED, stop_reason="4 of 500 bounced")
    _known(prefect, "PAUSED")
    mistake = campaigns("resume", RUN_ID).mistake
    assert says in mistake
    assert f"say it by the Resume button at http://127.0.0.1:{prefect.port}/runs" in mistake
    assert prefect.asked == {}
    _known(prefect, "FAILED")
    assert campaigns("resume", RUN_ID).status == 0
    assert prefect.asked[START]["parameters"]["request"]["resume_run"] == RUN_ID


def test_a_breached_canary_is_asked_about_anew_where_its_flow_run_is_gone(
    prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns
) -> None:
    _add_run(shop, RunStatus.PAUSED, canary=CanaryState.BREACHED)
    assert "its canary was breached: the new flow run asks a person" in campaigns("resume", RUN_ID).out
    assert _status(shop) is RunStatus.PAUSED
    assert prefect.asked[START]["parameters"]["request"]["resume_run"] == RUN_ID


@pytest.mark.parametrize("status", sorted({one for one in RunStatus if not NEXT[one]} | {RunStatus.DISPATCHED}))
def test_a_run_that_is_over_is_not_continued(
    prefect: FakeServer, shop: sa.Engine, campaigns: Campaigns, status: RunStatus
) -> None:
    _add_run(shop, status)
    assert campaigns("resume", RUN_ID).mistake == f"run {RUN_ID} is {status}: nothing is left to be continued"
    assert prefect.asked == {}


@pytest.mark.usefixtures("prefect")
def test_an_unknown_run(campaigns: Campaigns) -> None:
    for command in (["pause"], ["resume"], ["cancel", "--yes"]):
        assert campaigns(command[0], "bogus", *command[1:]).mistake.startswith("there is no run 'bogus'")
