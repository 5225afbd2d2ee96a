"""`segments explain`: what a support agent reads out."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from tests.cli.conftest import Campaigns
from tests.data import ledger_rows
from tests.data.living_shop import START, Shop, order
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
        "Customer web/c1 is in dormant with days 90, as of 2026-06-01 12:00 UTC.",
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


def test_a_segment_that_looks_through_orders_says_what_was_ordered(campaigns: Campaigns, here: Shop) -> None:
    asked = ("segments", "explain", "bought-category", "--with", "category=toys", "--customer", "c1")
    named = "bought-category with category toys (by default days 365, orders 1)"
    assert campaigns(*asked).lines[:4] == [
        f"Customer c1 is not in {named}, as of 2026-06-01 12:00 UTC.",
        f"  {named}: Bought from one category within the last year: no",
        "    1 counted order in the last 365 days, the latest: web/1 on 21 February 2026 12:00 UTC",
        "    no order names category toys",
    ]


def test_the_code_is_for_machines(campaigns: Campaigns, here: Shop) -> None:
    asked = ("segments", "explain", "vip", "--customer", "c1")
    assert "customers." not in campaigns(*asked).out
    found = campaigns(*asked, "--json").json
    (code,) = [one["code"] for one in found["code"]]
    assert code == "customers.net_revenue >= customers.net_revenue.quantile(0.9, interpolation='lower')"
    assert any("the bound of the shop's top tenth" in line for line in found["conditions"])


def test_excluded_segments(campaigns: Campaigns, here: Shop) -> None:
    told = campaigns(*DORMANT, "--customer", "c1", "--without", "vip", "--without", "all-customers")
    (line,) = [line for line in told.lines if "excluded segment" in line]
    assert line.rstrip().endswith("belongs to a segment that this run leaves out: all-customers")
    assert "bogus" in campaigns(*DORMANT, "--customer", "c1", "--without", "bogus").mistake


def test_a_number_of_a_file_is_found_by_its_channel(campaigns: Campaigns, here: Shop) -> None:
    change = tables.parties.update().where(tables.parties.c.external_id == "c1").values(numbering="")
    with database.write(here.engine) as connection:
        connection.execute(change)
    assert campaigns(*DORMANT, "--customer", "web/c1").lines[0].startswith("Customer web/c1 is in dormant")
    assert campaigns(*DORMANT, "--customer", "csv/c1").mistake == "account 'shop' has no customer 'csv/c1'"
    with database.write(
        here.engine
    ) as connection:  # who has the numbering's number comes before who ordered through it
        connection.execute(
            tables.parties.update()
            .where(tables.parties.c.external_id == "c2")
            .values(external_id="c1", numbering="web")
        )
    assert campaigns(*DORMANT, "--customer", "web/c1").lines[0].startswith("Customer web/c1 is not in dormant")
    assert "the shop's own" in campaigns(*DORMANT, "--customer", "c1").mistake
