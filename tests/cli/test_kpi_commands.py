"""Key figures on the command line."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.delivery import BounceClass, EventKind
from domain.kpis import ALL, COUNTS
from tests.cli.conftest import Campaigns
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.test_kpi_counts import event, happened


@pytest.fixture
def sent(shop: sa.Engine) -> sa.Engine:
    """Ten mails that left today; one bounced, one was opened by a scanner."""
    now = datetime.now(UTC).replace(microsecond=0)
    with database.write(shop) as connection:
        people = ledger_rows.add_parties(connection, "shop", 10)
        ledger_rows.add_run(connection, "shop", people, [BatchRow(0, 9, attempt="a1", finished_at=now)])
    after = int((now - NOW).total_seconds()) + 30
    happened(shop, *(event(EventKind.DELIVERED, n, run_id="run1", after=after) for n in range(9)))
    happened(shop, event(EventKind.BOUNCED, 9, run_id="run1", after=after, bounce_class=BounceClass.HARD))
    happened(shop, event(EventKind.OPENED, 0, run_id="run1", after=after + 60, client="Barracuda Sentinel (EE)"))
    return shop


def test_before_any_mail_nothing_is_shown(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("kpis").lines == ["No mail was sent in the last 28 days."]


def test_the_figures_of_an_account(sent: sa.Engine, campaigns: Campaigns) -> None:
    told = campaigns("kpis", "--json").json
    (whole,) = told["groups"]
    assert told["by"] == []
    assert whole["counts"]["accepted"] == 10
    assert whole["rates"]["deliverability"] == pytest.approx(
        {"value": 0.9, "part": 9, "of": 10, "low": 0.596, "high": 0.982, "verdict": "unsure"}, abs=1e-3
    )
    assert whole["rates"]["human_open_rate"]["value"] == 0
    assert whole["time_to_inbox"]["median"] == 30
    assert whole["rules"] == [2]
    text = campaigns("kpis").out
    assert "90.0 % (59.6–98.2) ?" in text
    assert "95 % within 30 s" in text


def test_told_apart(sent: sa.Engine, campaigns: Campaigns) -> None:
    groups = campaigns("kpis", "--by", "mailbox", "--json").json["groups"]
    assert [(one["mailbox"], one["counts"]["accepted"]) for one in groups] == [
        ("gmail", 4),
        ("other", 3),
        ("outlook", 3),
    ]
    for by in ("run", "segment", "provider", "pool", "domain", "day"):
        (one,) = campaigns("kpis", "--by", by, "--json").json["groups"]
        assert one["counts"]["accepted"] == 10
    rows = list(
        csv.DictReader(io.StringIO(campaigns("kpis", "show", "--by", "domain", "--by", "mailbox", "--csv").out))
    )
    assert next((row["domain"], row["mailbox"]) for row in rows) == ("shop.example.com", "gmail")
    assert sum(int(row["bounced_hard"]) for row in rows) == 1


def test_a_csv_has_each_count_under_its_own_name(sent: sa.Engine, campaigns: Campaigns) -> None:
    (told,) = campaigns("kpis", "--by", "domain", "--json").json["groups"]
    (row,) = csv.DictReader(io.StringIO(campaigns("kpis", "--by", "domain", "--csv").out))
    assert {name: int(row[name]) for name in COUNTS} == {name: told["counts"][name] for name in COUNTS}
    assert int(row["delivered"]) == 9
    assert int(row["opened_unique"]) == 1


def test_mail_of_before_is_left_out(sent: sa.Engine, campaigns: Campaigns) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=3)
    with database.write(sent) as connection:
        people = connection.scalars(sa.select(tables.parties.c.id)).all()
        ledger_rows.add_run(connection, "shop", people, [BatchRow(0, 9, finished_at=long_ago)], run_id="run2")
    assert len(campaigns("kpis", "--days", "2", "--by", "run", "--json").json["groups"]) == 1
    assert len(campaigns("kpis", "--days", "9", "--by", "run", "--json").json["groups"]) == 2


def test_the_runs_of_a_campaign_are_one_line(sent: sa.Engine, campaigns: Campaigns) -> None:
    now, run, campaign = datetime.now(UTC).replace(microsecond=0), tables.campaign_runs, tables.campaigns
    with database.write(sent) as connection:
        people = connection.scalars(sa.select(tables.parties.c.id)).all()
        ledger_rows.add_run(connection, "shop", people, [BatchRow(0, 9, finished_at=now)], run_id="run2")
        first = connection.scalar(sa.select(run.c.campaign_id).where(run.c.id == "run1"))
        name = connection.scalar(sa.select(campaign.c.name).where(campaign.c.id == first))
    assert len(campaigns("kpis", "--by", "campaign", "--json").json["groups"]) == 2
    with database.write(sent) as connection:
        connection.execute(run.update().values(campaign_id=first))
    (whole,) = campaigns("kpis", "--by", "campaign", "--json").json["groups"]
    assert (whole["campaign"], whole["counts"]["accepted"]) == (name, 20)
    runs = campaigns("kpis", "--by", "campaign", "--by", "run", "--json").json["groups"]
    assert [(group["campaign"], group["counts"]["accepted"]) for group in runs] == [(whole["campaign"], 10)] * 2
    head, line, *_ = campaigns("kpis", "--by", "campaign").lines[1:]
    assert head.split()[:2] == ["CAMPAIGN", "ACCEPTED"]
    assert line.startswith(whole["campaign"])


def test_the_help_shows_what_a_newcomer_needs(shop: sa.Engine, campaigns: Campaigns) -> None:
    """The commands, and the options of the one that need not be named, each word of --by with what it means."""
    help_text = " ".join(campaigns("kpis", "--help").out.replace("│", " ").split())
    for words in (
        "explain What a figure means",
        "recompute Reckon all of an account's figures anew",
        "The key figures of an account, as of now.",
        "--by",
        "campaign: all runs of a campaign",
        "mailbox: who receives, such as Gmail",
        "--days",
        "[default: 28]",
        "--csv",
        "deliverability",
    ):
        assert words.lower() in help_text.lower()
    assert "bounce-rate" in campaigns("kpis", "explain", "--help").out


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_explained(campaigns: Campaigns, name: str) -> None:
    found = campaigns("kpis", "explain", name.replace("_", "-"), "--json").json
    assert {"figure", "what_it_tells", "counts", "unit", "comes_from"} <= set(found)


def test_mistakes(sent: sa.Engine, campaigns: Campaigns) -> None:
    assert "deliverability" in campaigns("kpis", "explain", "joy").mistake
    assert "nothing was changed" in campaigns("kpis", "recompute", "--rules", "9").mistake
    assert "choose one" in campaigns("kpis", "--csv", "--json").mistake


def test_history_is_reckoned_by_other_rules(sent: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("kpis", "recompute", "--rules", "1", "--json").json == {"batches": 1, "rules": 1}
    (whole,) = campaigns("kpis", "--json").json["groups"]
    assert whole["counts"]["opened_human"] == 1
    assert whole["rules"] == [1]
    assert "by rules 2" in campaigns("kpis", "recompute", "--rules", "2").out
