"""Refusals in words that nobody knows, on the command line."""

import csv
import io

import sqlalchemy as sa

from data import brakes, database, tables
from tasks import wiring
from tests.cli.conftest import Campaigns
from tests.data import guarded
from tests.data.guarded import Part
from tests.data.ledger_rows import NOW


def test_texts_are_listed_the_commonest_first(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "None: the table of bounces knew" in campaigns("bounces", "unknown").out
    same = {"provider": "sendgrid", "mailbox_group": "gmail", "first_seen": NOW, "last_seen": NOW, "example": "471 x 1"}
    with database.write(shop) as connection:
        rows = [{"text": "471 x <n>", "count": 2, **same}, {"text": "=cmd", "count": 9, **same}]
        connection.execute(tables.unknown_replies.insert(), rows)
    assert [one["text"] for one in campaigns("bounces", "unknown", "--json").json] == ["=cmd", "471 x <n>"]
    told = campaigns("bounces", "unknown", "--limit", "1").out
    assert "=cmd" in told
    assert "471" not in told
    _, first, second = csv.reader(io.StringIO(campaigns("bounces", "unknown", "--csv").out))
    assert (first[0], second[0]) == ("'=cmd", "471 x <n>")
    assert "not both" in campaigns("bounces", "unknown", "--csv", "--json").mistake


def test_a_pause_of_one_provider_is_shown_with_the_run_and_lifted(shop: sa.Engine, campaigns: Campaigns) -> None:
    run = guarded.run_of(shop, [Part("gmail", 10, {"delivered": 10}, at=wiring.clock())])
    with database.write(shop) as connection:
        brakes.put(
            connection,
            account_id="shop",
            run_id=None,
            mailbox_group="gmail",
            factor=0.0,
            reason="authentication: 550 5.7.26 unauthenticated",
            figures={},
            now=wiring.clock(),
            until=None,
            provider="sendgrid",
        )
    (brake,) = campaigns("guards", "show", run.id, "--json").json["brakes"]
    told = campaigns("guards", "show", run.id).out
    assert f"Brake {brake['id']} on sendgrid at gmail" in told
    assert "until it is lifted: authentication: 550 5.7.26 unauthenticated" in told
    assert campaigns("guards", "lift", brake["id"], "--by", "Ann", "--why", "DKIM mended").out
    assert campaigns("guards", "show", run.id, "--json").json["brakes"] == []


def test_an_account_has_limits_of_its_own(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "5 in a row, 12 of who opened (its own)" in campaigns("account", "limit", "--soft", "5/12").out
    assert campaigns("account", "limit", "--soft", "default", "--json").json["in_force"]["soft_bounces"] == 7
    for wrong in ("5", "12/5", "0/0"):
        assert campaigns("account", "limit", "--soft", wrong).mistake
