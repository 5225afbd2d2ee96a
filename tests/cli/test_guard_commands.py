"""Commands about guardrails."""

import pytest
import sqlalchemy as sa

from data import brakes, database, guardrails, runs, tables
from domain.campaigns import Run
from domain.guardrails import CanaryState
from domain.policy import SendingPolicy
from tasks import wiring
from tests.cli.conftest import Campaigns
from tests.data import guarded
from tests.data.guarded import Part

BAD = {"delivered": 500, "hard": 100}


@pytest.fixture
def run(shop: sa.Engine) -> Run:
    """A run whose canary did badly, at one mailbox provider."""
    now = wiring.clock()
    parts = [Part("google", 600, {"delivered": 590}, at=now), Part("yahoo", 600, BAD, canary=True, at=now)]
    run = guarded.run_of(shop, parts, canary=CanaryState.WATCHING)
    with database.read(shop) as connection:
        observed = guardrails.observe(connection, run, now)
    with database.write(shop) as connection:
        guardrails.watch_canary(connection, run, observed, SendingPolicy())
        guardrails.guard(connection, run, observed)
        return runs.get(connection, run.id)


def test_what_holds_a_run_back_is_shown_and_lifted(run: Run, campaigns: Campaigns) -> None:
    told = campaigns("guards", "show", run.id)
    assert "Canary: breached (hard bounces 16.67% (100 of 600), where 1.0% is usual and 5.0% is bad)" in told.out
    google, yahoo = (line.split() for line in told.lines if line.startswith(("google", "yahoo")))
    assert google == ["google", "600", "590", "590", "0", "0", "0", "0", "100%"]
    assert yahoo == ["yahoo", "600", "600", "500", "100", "0", "0", "0", "0%"]
    found = campaigns("guards", "show", run.id, "--json").json
    (brake,) = found["brakes"]
    assert found["groups"]["yahoo"]["action"] == "pause"
    assert f"Brake {brake['id']} on yahoo of run {run.id}: stopped since" in told.out
    assert "Lifted: yahoo" in campaigns("guards", "lift", brake["id"], "--by", "Ann", "--why", "mended").out
    assert campaigns("guards", "show", run.id, "--json").json["brakes"] == []
    assert "is in force" in campaigns("guards", "lift", brake["id"], "--by", "Ann", "--why", "mended").mistake


def test_every_brake_of_the_account_is_shown_but_those_of_runs_that_are_over(
    run: Run, shop: sa.Engine, campaigns: Campaigns
) -> None:
    with database.write(shop) as connection:
        brakes.put(
            connection,
            account_id="shop",
            run_id=None,
            mailbox_group="gmail",
            factor=0.5,
            reason="rate",
            figures={},
            now=wiring.clock(),
            until=None,
            provider="sendgrid",
        )
    told = campaigns("guards", "show").out
    assert f"on yahoo of run {run.id}: stopped since" in told
    assert "on sendgrid at gmail: at 50% of its pace since" in told
    with database.write(shop) as connection:
        connection.execute(tables.campaign_runs.update().values(status="cancelled"))
    (brake,) = campaigns("guards", "show", "--account", "shop", "--json").json["brakes"]
    campaigns("guards", "lift", brake["id"], "--by", "Ann", "--why", "mended")
    assert "No brake is in force" in campaigns("guards", "show").out


def test_a_canary_is_overruled(run: Run, campaigns: Campaigns) -> None:
    assert "must say something" in campaigns("guards", "go-on", run.id, "--by", " ", "--why", "x").mistake
    told = campaigns("guards", "go-on", run.id, "--by", "Ann", "--why", "known bounces").out
    assert f"Continue with `campaigns resume {run.id}`" in told
    assert "its canary is overruled" in campaigns("guards", "go-on", run.id, "--by", "Ann", "--why", "again").mistake


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_run_of_which_nothing_is_known(shop: sa.Engine, campaigns: Campaigns) -> None:
    run = guarded.run_of(shop, [])
    told = campaigns("guards", "show", run.id).out
    assert "This run has no canary." in told
    assert "Nothing was accepted by an ESP yet." in told
    assert "there is no run 'nope'" in campaigns("guards", "show", "nope").mistake
