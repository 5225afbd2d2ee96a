"""The plan of a run, at the keyboard."""

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.campaigns import RunStatus
from tests.cli.conftest import Campaigns
from tests.data import ledger_rows


@pytest.fixture
def run_id(shop: sa.Engine) -> str:
    """A dry run: 7 planned people, 3 at Gmail and 2 at Outlook."""
    with database.write(shop) as connection:
        people = ledger_rows.add_parties(connection, "shop", 7)
        run = ledger_rows.add_run(connection, "shop", people, [], status=RunStatus.PREVIEWED, live=False)
        connection.execute(tables.campaign_runs.update().values(template="new-arrivals"))
        return run


def test_the_plan_of_a_dry_run(run_id: str, campaigns: Campaigns) -> None:
    lines = campaigns("plan", run_id).lines
    assert lines[0] == "run1: 7 people, in about a second were it to begin now"
    assert lines[1].startswith("handed over to the ESP until ")
    assert lines[2].startswith("released to the mailbox providers until ")
    assert " ".join(lines[3].split()) == "MAILBOX PROVIDER PEOPLE A MINUTE UNTIL LARGEST DAY LIMITED BY"
    assert [line.split()[0] for line in lines[4:7]] == ["Gmail", "All", "Outlook.com"]
    assert all(line.endswith("answers of sendgrid") for line in lines[4:7])
    found = campaigns("plan", run_id, "--json").json
    assert [(one["group"], one["people"]) for one in found["groups"]] == [("gmail", 3), ("other", 2), ("outlook", 2)]
    assert (found["run"], found["people"], found["left"], found["warnings"]) == ("run1", 7, 0, [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_run_that_was_sent_has_no_plan_any_more(run_id: str, shop: sa.Engine, campaigns: Campaigns) -> None:
    with database.write(shop) as connection:
        connection.execute(tables.campaign_runs.update().values(status=RunStatus.AWAITING_APPROVAL))
    assert campaigns("plan", run_id).status == 0
    with database.write(shop) as connection:
        connection.execute(tables.campaign_runs.update().values(status=RunStatus.DISPATCHED))
    assert "run run1 is dispatched: a plan is of a run" in campaigns("plan", run_id).mistake
    assert "there is no run 'bogus'" in campaigns("plan", "bogus").mistake
