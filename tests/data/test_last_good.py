from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, last_good, runs, tables
from data.last_good import Snapshot
from domain.campaigns import Refinement, Run, RunStatus
from domain.rules import Operator, Rule
from tests.data import frozen
from tests.data.frozen import NOW

pytestmark = pytest.mark.usefixtures("account_id")
DAY = timedelta(days=1)
PASSED, FAILED = {"passed": True}, {"passed": False}
RULE = Rule(field="orders", operator=next(iter(Operator)), value="3")


def earlier(engine: sa.Engine, days_ago: int, *, people: int = 3, verdicts: dict | None = None, **facts: object) -> str:
    """A run that was frozen; it passed its gates unless told otherwise."""
    with database.write(engine) as connection:
        ids = connection.scalars(sa.select(tables.parties.c.id)).all() or frozen.consenting_parties(connection, 5)
        run = frozen.freeze(connection, list(ids)[:people], live=False, **facts)
        runs.note_validation(connection, run, verdicts or {"orders": PASSED, "audience": PASSED})
        at = NOW - days_ago * DAY
        table = tables.campaign_runs
        connection.execute(table.update().where(table.c.id == run.id).values(created_at=at, frozen_at=at))
    return run.id


def found(engine: sa.Engine, **facts: object) -> Snapshot | None:
    with database.write(engine) as connection:
        run: Run = runs.create(connection, frozen.plan(**facts), flow_run_id=None, now=NOW)
        return last_good.find(connection, run)


def found_id(engine: sa.Engine, **facts: object) -> str | None:
    one = found(engine, **facts)
    return one and one.run_id


def test_the_newest_of_the_campaign_is_offered_with_the_way_to_use_it(engine: sa.Engine) -> None:
    earlier(engine, 9)
    newest = earlier(engine, 2)
    offer = found(engine)
    assert offer == Snapshot(newest, 3, NOW - 2 * DAY, same_campaign=True)
    assert offer.sentence(campaign="news", now=NOW) == (
        f"The last good snapshot is run {newest} of this campaign: 3 members, frozen 2 days ago (2026-11-20 09:00 UTC)."
        f" To mail those, fill in 'Use the members of run' with {newest}, or `campaigns run news … --members-of {newest}`;"
        " consent and suppressions are looked up anew."
    )


def test_without_one_of_the_campaign_another_campaigns_is_offered(engine: sa.Engine) -> None:
    other = earlier(engine, 1, campaign="other")
    offer = found(engine)
    assert offer is not None
    assert (offer.run_id, offer.same_campaign) == (other, False)
    own = earlier(engine, 30)
    assert found_id(engine) == own


@pytest.mark.parametrize(
    "facts",
    [
        {"verdicts": {"orders": PASSED, "audience": FAILED}},
        {"verdicts": {"orders": FAILED, "audience": PASSED}},
        {"verdicts": {"orders": PASSED}},
        {"segment": "somebody"},
        {"people": 0},
        {"refinement": Refinement(arguments={"category": "toys"})},
        {"refinement": Refinement(rules=(RULE,))},
        {"refinement": Refinement(members_of="rabc")},
    ],
    ids=[
        "audience failed",
        "orders failed",
        "not judged",
        "other segment",
        "nobody",
        "other arguments",
        "rules",
        "lent",
    ],
)
def test_what_is_not_good_or_not_the_same_is_not_offered(engine: sa.Engine, facts: dict) -> None:
    good = earlier(engine, 5)
    earlier(engine, 1, **facts)
    assert found_id(engine) == good


@pytest.mark.parametrize("status", [RunStatus.STOPPED, RunStatus.REJECTED])
def test_a_run_that_was_stopped_or_refused_is_not_offered(engine: sa.Engine, status: RunStatus) -> None:
    earlier(engine, 1)
    with database.write(engine) as connection:
        connection.execute(tables.campaign_runs.update().values(status=status))
    assert found(engine) is None


def test_the_same_refinement_is_the_same_choice_whomever_it_excludes(engine: sa.Engine) -> None:
    one = earlier(engine, 1, refinement=Refinement(rules=(RULE,), exclude=("vip",)))
    assert found_id(engine, refinement=Refinement(rules=(RULE,))) == one
    assert found(engine) is None


def test_another_accounts_run_is_never_offered(engine: sa.Engine) -> None:
    earlier(engine, 1)
    with database.write(engine) as connection:
        from tests.data import ledger_rows

        ledger_rows.add_account(connection, "other")
    assert found(engine, account_id="other") is None


def test_a_run_that_takes_members_already_is_offered_no_others(engine: sa.Engine) -> None:
    one = earlier(engine, 1)
    assert found(engine, refinement=Refinement(members_of=one)) is None
