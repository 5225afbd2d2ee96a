"""Starting runs, against a fake of Prefect's API on the wire."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.cli.conftest import Campaigns
from tests.cli.fakes import DEPLOYMENT_ID, FakeServer, flow_run, prefect_answers

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FLOW_RUN = UUID(int=7)
START = f"/api/deployments/{DEPLOYMENT_ID}/create_flow_run"
RUN = ("run", "news", "--segment", "loyal", "--template", "new-arrivals")


def _state(kind: str, message: str | None = None) -> Any:
    from prefect.client.schemas.objects import State, StateType

    return State(type=StateType[kind], name=kind.capitalize(), message=message)


@pytest.fixture
def prefect(fake: FakeServer, shop: sa.Engine) -> FakeServer:
    prefect_answers(fake)
    fake.answer("POST", START, flow_run(_state("SCHEDULED"), FLOW_RUN), status=201)
    return fake


def test_a_dry_run_is_started_as_the_form_would(prefect: FakeServer, campaigns: Campaigns) -> None:
    told = campaigns(*RUN, "--json")
    assert told.status == 0
    page = f"http://127.0.0.1:{prefect.port}/runs/flow-run/{FLOW_RUN}"
    expected = {"flow_run": str(FLOW_RUN), "name": "brave-otter", "state": "Scheduled", "message": "", "page": page}
    assert told.json == expected
    request = prefect.asked[START]["parameters"]["request"]
    assert (request["campaign"], request["segment"], request["template"]) == ("news", "loyal", "new-arrivals")
    assert request["mode"].startswith("1 · Dry run")
    assert campaigns(*RUN).lines == ["brave-otter: Scheduled", page]


def test_every_option_arrives(prefect: FakeServer, campaigns: Campaigns) -> None:
    options = {
        "topic": "offers",
        "provider": "sendgrid",
        "limit": 100,
        "holdout_percent": 5,
        "seed": 9,
        "subject": "Hello",
        "sender_name": "Ann",
        "sender_mailbox": "news",
        "account": "shop",
    }
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert campaigns(*RUN, "--live", *words).status == 0
    request = prefect.asked[START]["parameters"]["request"]
    assert {name: request[name] for name in options} == options
    assert request["mode"].startswith("2 · Live")
    assert request["two_phase"] is False


def test_mail_that_can_be_called_back(prefect: FakeServer, campaigns: Campaigns) -> None:
    assert campaigns(*RUN, "--two-phase").status == 0
    assert prefect.asked[START]["parameters"]["request"]["two_phase"] is True


def test_the_segment_is_refined_as_in_the_form(prefect: FakeServer, campaigns: Campaigns) -> None:
    words = ["--with", "category=a=b toys", "--only", "net_revenue at least 100", "--without", "loyal"]
    words += ["--only", "bought category is toys in the last 90 days", "--without", "lapsed", "--priority", "3"]
    asked = ("run", "news", "--segment", "bought-category", "--template", "new-arrivals")
    assert campaigns(*asked, *words).status == 0
    request = prefect.asked[START]["parameters"]["request"]
    assert request["parameters"]["category"] == "a=b toys"
    assert request["only"] == [
        {"field": "net revenue", "operator": "at least", "value": "100", "days": 0},
        {"field": "bought category", "operator": "is", "value": "toys", "days": 90},
    ]
    assert (request["without"], request["priority"]) == (["loyal", "lapsed"], 3)
    assert campaigns(*asked, "--members-of", "r23456789abcd").status == 0
    assert prefect.asked[START]["parameters"]["request"]["members_of"] == "r23456789abcd"


@pytest.mark.parametrize(
    ("kind", "status"), [("COMPLETED", 0), ("PAUSED", 0), ("FAILED", 1), ("CRASHED", 1), ("CANCELLED", 1)]
)
def test_waiting_ends_when_it_is_over_or_asks(
    prefect: FakeServer, campaigns: Campaigns, kind: str, status: int
) -> None:
    prefect.answer("GET", f"/api/flow_runs/{FLOW_RUN}", flow_run(_state(kind, "as it went"), FLOW_RUN))
    told = campaigns(*RUN, "--wait", "--json")
    assert (told.status, told.json["state"]) == (status, kind.capitalize())
    assert told.json["message"] == ("" if kind == "PAUSED" else "as it went")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "Missing argument 'CAMPAIGN'"),
        (["run", "news"], "Missing option '--segment'"),
        (["run", "news", "--segment", "bogus", "--template", "new-arrivals"], "--segment: there is no segment 'bogus'"),
        (["run", "news", "--segment", "loyal", "--template", "bogus"], "--template: there is no template 'bogus'"),
        ([*RUN, "--provider", "bogus"], "--provider: there is no provider 'bogus'"),
        ([*RUN, "--holdout-percent", "51"], "Invalid value for '--holdout-percent'"),
        ([*RUN, "--limit", "0"], "Invalid value for '--limit'"),
        ([*RUN, "--seed", "-1"], "Invalid value for '--seed'"),
        ([*RUN, "--subject", "two\nlines"], "--subject: this must be one line"),
        ([*RUN, "--sender-mailbox", "a@b"], "--sender-mailbox: What stands before the @"),
        ([*RUN, "--with", "category"], "--with: write NAME=VALUE, such as category=toys"),
        ([*RUN, "--with", "category=a", "--with", "category=b"], "--with: category is given twice"),
        ([*RUN, "--with", "category=toys"], "--with: segment 'loyal' has no parameter 'category'"),
        ([*RUN, "--with", "shoe_size=44"], "--with: no segment has a parameter 'shoe_size'"),
        ([*RUN, "--only", "netrevenue at least 5"], "there is no field “netrevenue”; did you mean “net revenue”?"),
        ([*RUN, "--only", "orders at least many"], "--only: “orders at least many”: “many” is not a whole number"),
        ([*RUN, "--without", "loyall"], "--without: there is no segment 'loyall': did you mean loyal"),
        ([*RUN, "--members-of", "last"], "--members-of: The id of a run whose members are taken as they were"),
        (
            [*RUN, "--members-of", "r23456789abcd", "--only", "orders >= 2"],
            "the members of run r23456789abcd are taken",
        ),
        ([*RUN, "--priority", "10"], "Invalid value for '--priority'"),
        (["run", "ab", *RUN[2:]], "CAMPAIGN: Needed: 3 or more letters"),
        (["run", "new§", *RUN[2:]], "CAMPAIGN: Needed: 3 or more letters, digits"),
    ],
)
def test_wrong_requests_are_refused_before_anything_starts(
    prefect: FakeServer, campaigns: Campaigns, arguments: list[str], says: str
) -> None:
    assert says in campaigns(*arguments).mistake
    assert prefect.asked == {}


@pytest.mark.usefixtures("shop")
def test_prefect_that_is_not_there(campaigns: Campaigns) -> None:
    assert "Prefect does not answer at http://127.0.0.1:" in campaigns(*RUN).mistake


def test_a_missing_deployment(prefect: FakeServer, campaigns: Campaigns) -> None:
    del prefect.answers["GET", "/api/deployments/name/run-campaign/run-campaign"]
    assert "the deployment 'run-campaign' does not exist yet: `campaigns up` makes it" in campaigns(*RUN).mistake


def test_a_request_that_prefect_refuses(prefect: FakeServer, campaigns: Campaigns) -> None:
    prefect.answer("POST", START, {"detail": "Validation failed for field 'segment'"}, status=409)
    mistake = campaigns(*RUN).mistake
    assert "Prefect refuses this (409: Validation failed for field 'segment')" in mistake
    assert "`campaigns doctor`" in mistake
