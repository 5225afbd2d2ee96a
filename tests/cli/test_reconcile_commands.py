"""Reconciling by hand, against a fake of Prefect's API on the wire, and what the nights found."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, reconciliations
from tests.cli.conftest import Campaigns
from tests.cli.fakes import DEPLOYMENT_ID, FakeServer, flow_run, prefect_answers
from tests.conftest import NOW

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
START = f"/api/deployments/{DEPLOYMENT_ID}/create_flow_run"


@pytest.fixture
def prefect(fake: FakeServer, shop: sa.Engine) -> FakeServer:
    from prefect.client.schemas.objects import State, StateType

    prefect_answers(fake)
    state = State(type=StateType.SCHEDULED, name="Scheduled")
    fake.answer("POST", START, flow_run(state), status=201)
    return fake


def asked(prefect: FakeServer) -> dict[str, Any]:
    return prefect.asked[START]["parameters"]


def test_the_lists_are_read_whole_where_that_is_asked_for(prefect: FakeServer, campaigns: Campaigns) -> None:
    told = campaigns("reconcile", "--whole-lists")
    assert told.status == 0
    assert asked(prefect) == {"days": 3, "dry_run": False, "whole_lists": True}
    assert told.lines[-1] == "`campaigns reconcile history` shows what it found."
    campaigns("reconcile")
    assert asked(prefect)["whole_lists"] is False


def test_a_dry_run_cannot_read_the_lists(prefect: FakeServer, campaigns: Campaigns) -> None:
    """It would compare nothing of them, and not say so."""
    assert "choose one of them" in campaigns("reconcile", "--whole-lists", "--dry-run").mistake
    assert START not in prefect.asked


def test_all_accounts_unless_one_is_named(prefect: FakeServer, campaigns: Campaigns) -> None:
    campaigns("reconcile", "--days", "7", "--dry-run")
    assert asked(prefect) == {"days": 7, "dry_run": True, "whole_lists": False}
    campaigns("reconcile", "--account", "shop")
    assert asked(prefect)["account"] == "shop"
    assert "there is no account 'bogus'" in campaigns("reconcile", "--account", "bogus").mistake
    assert "all of them unless given" in " ".join(campaigns("reconcile", "--help").out.replace("│", " ").split())


def test_the_nights_are_listed_and_a_wrong_id_is_told(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "There was no reconciliation yet" in campaigns("reconcile", "history").out
    with database.write(shop) as connection:
        days = (NOW.date() - timedelta(days=3), NOW.date())
        reconciliations.begin(connection, worker="w", days=days, account_id=None, dry_run=False, now=NOW)
    assert "not ended (nothing done; w)" in campaigns("reconcile", "history").out
    wrong = campaigns("reconcile", "history", "zzz").mistake
    assert wrong == "no reconciliation has an id that begins with 'zzz': `campaigns reconcile history` lists them"
