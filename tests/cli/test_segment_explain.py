"""`segments explain`: what a support agent reads out."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from tests.cli.conftest import Campaigns
from tests.data import ledger_rows
from tests.data.test_features_incremental import START, Shop, order
from tests.tasks.test_diffs import freeze

DORMANT = ("segments", "explain", "dormant", "--with", "days=90")


@pytest.fixture
def here(shop: sa.Engine) -> Shop:
    found = Shop(shop, "shop")
    found.take_in(order(1, START - timedelta(days=100), customer=1), order(2, START, customer=2))
    found.refresh()
    return found


def test_each_condition_and_each_stage(campaigns: Campaigns, here: Shop) -> None:
    told = campaigns(*DORMANT, "--customer", "web/c1", "--campaign", "spring", "--holdout-percent", 0)
    assert told.status == 0
    assert told.lines[:2] == [
        "Customer web/c1 is in dormant, as of 2026-06-01 12:00 UTC.",
        "  days since the latest counted order: 100, must be more than 90: yes",
    ]
    assert told.lines[-1] == (
        "Would get it: no, because: never agreed to marketing mail: no word of theirs is on record."
    )
    assert "@" not in told.out
    found = campaigns(*DORMANT, "--customer", "c1", "--json").json
    assert (found["in_segment"], found["would_get_it"]) == (True, False)
    assert [one["name"] for one in found["stages"] if one["passes"] is False] == ["consent"]


def test_rules_and_expressions(campaigns: Campaigns, here: Shop) -> None:
    told = campaigns("segments", "explain", "not dormant", "--customer", "c2", "--only", "orders at least 2")
    assert told.lines[0].startswith("Customer c2 is not in not dormant")
    assert any(line.endswith("the customer has 1: no") for line in told.lines)


def test_the_audit_log_knows_who_asked(shop: sa.Engine, campaigns: Campaigns, here: Shop) -> None:
    campaigns(*DORMANT, "--customer", "c1")
    with database.read(shop) as connection:
        (log,) = connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "read")).all()
    assert log.subject.startswith("party:")
    assert log.detail == {"segment": "dormant"}


def test_who_was_outside_a_run_hears_why_and_where_to_ask(campaigns: Campaigns, here: Shop) -> None:
    run = freeze(here)
    assert campaigns("explain", run.id, "c2").lines[1:] == [
        "  days since the latest counted order: 0, must be more than 90: no",
        "  How it is now: campaigns segments explain dormant --customer c2",
    ]
    assert campaigns("explain", run.id, "c2", "--json").json["failed_conditions"] == [
        "days since the latest counted order: 0, must be more than 90: no"
    ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_mistakes(campaigns: Campaigns, here: Shop) -> None:
    assert campaigns(*DORMANT, "--customer", "c9").mistake == "account 'shop' has no customer 'c9'"
    assert "bogus" in campaigns("segments", "explain", "bogus", "--customer", "c1").mistake
    assert "days" in campaigns("segments", "explain", "dormant", "--with", "days=x", "--customer", "c1").mistake
    assert campaigns("segments", "explain", "dormant", "--only", "nonsense", "--customer", "c1").mistake
    with database.write(here.engine) as connection:
        ledger_rows.add_account(connection, "other")
        ledger_rows.add_parties(connection, "other", 1)
    without = campaigns("segments", "explain", "dormant", "--customer", "c0", "--account", "other")
    assert "no customer features yet" in without.mistake
