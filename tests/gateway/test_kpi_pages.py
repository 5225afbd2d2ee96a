"""The pages of key figures."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, kpi_counts, tables
from tests.conftest import NOW
from tests.data import ledger_rows
from tests.data.ledger_rows import BatchRow


def text_of(page: str) -> str:
    """What a reader sees, without tags, styles and needless space."""
    page = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_one_account_is_found_by_itself(gateway, account_id):
    answer = gateway.get("/kpis")
    assert (answer.status_code, answer.headers["location"]) == (307, f"/kpis/{account_id}")


def test_of_several_accounts_one_is_chosen(gateway, account_id, engine):
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
    answer = gateway.get("/kpis")
    assert f'href="/kpis/{account_id}"' in answer.text
    assert 'href="/kpis/second"' in answer.text


@pytest.mark.parametrize("name", ["nobody", "%00", "a b", "x" * 99])
def test_an_unknown_account_has_no_page(gateway, name):
    assert gateway.get(f"/kpis/{name}").status_code == 404


def test_without_mail_the_page_says_so(gateway, account_id):
    assert "No mail was sent in the last 28 days" in text_of(gateway.get(f"/kpis/{account_id}").text)


def test_the_figures_stand_by_span_and_by_mailbox_provider(gateway, account_id, engine, sent_run):
    kpi_counts.refresh(engine)
    whole = gateway.get(f"/kpis/{account_id}").text
    text = text_of(whole)
    assert "Mails accepted 8 8 8" in text
    assert "Deliverability 87.5 % (52.9–97.8) ?" in text
    assert "Gmail 4 100.0 % (51.0–100.0) above" in text
    assert whole.count("<svg") == 1
    assert "98 %" in re.search(r"<svg.*?</svg>", whole, re.DOTALL)[0]
    assert "@" not in text


@pytest.fixture
def trouble(engine, account_id):
    """Four weeks: Gmail takes all, Yahoo refuses us since six days ago, a small provider has one complaint."""
    with database.write(engine) as connection:
        (party,) = ledger_rows.add_parties(connection, account_id, 1)
        for days in range(0, 28, 3):
            row = BatchRow(0, 0, attempt=f"a{days}", finished_at=NOW - timedelta(days=days))
            ledger_rows.add_run(connection, account_id, [party], [row], run_id=f"r{days}")
    kpi_counts.refresh(engine)
    table = tables.kpi_counts
    with database.write(engine) as connection:
        kept = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        connection.execute(table.delete())
        for row in kept:
            bad = 200 if (NOW.date() - row["day"]).days <= 6 else 5
            for group, facts in (
                ("gmail", {"accepted": 5000, "delivered": 4975, "bounced_hard": 25, "fault_recipient": 25}),
                ("yahoo", {"accepted": 1000, "delivered": 1000 - bad, "bounced_block": bad, "fault_sender": bad}),
                ("proton", {"accepted": 9, "delivered": 9, "complained": int(row["day"] == NOW.date())}),
            ):
                connection.execute(table.insert().values(**{**row, "mailbox_group": group, **facts}))


@pytest.mark.usefixtures("trouble")
def test_deliverability_says_what_is_wrong_where_and_what_to_do(gateway):
    whole = gateway.get("/deliverability").text
    text = text_of(whole)
    assert "What needs attention Yahoo and AOL : Delivered 80.0 % ✗ in the last 7 days" in text
    assert "600 of 3,000 mails did not get in; most refusals are of us" in text
    assert "What to do: Send slower there, check SPF, DKIM and DMARC" in text
    assert "Gmail as it should be 50,000 mails accepted" in text
    assert "Proton past a line, but of too few to be sure 90 mails accepted" in text
    assert text.count("What to do:") == 1
    assert "Gmail tells no complaints" in text
    assert "Out of the ordinary" in text
    assert whole.count('<svg class="spark"') == 9
    assert whole.count('aria-label="Delivered over time') == 3
    assert "<script" not in whole
    assert "@" not in text


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("days=7&by=domain", "shop.example.com past a line in the last 4 days 18,027 mails accepted"),
        ("days=364&by=both", "Yahoo and AOL × shop.example.com far past a line in the last 28 days"),
        ("days=91&shop=shop", "Numbers by week From Accepted Delivered Bounced Complained"),
    ],
)
def test_a_person_picks_shop_period_and_grouping(gateway, query, told):
    text = text_of(gateway.get(f"/deliverability?{query}").text)
    assert told in text, text


@pytest.mark.parametrize("query", ["days=3", "by=nothing", "shop=nobody", "shop=%00", "days=x"])
def test_what_cannot_be_picked_has_no_page(gateway, account_id, query):
    assert gateway.get(f"/deliverability?{query}").status_code == 404


def test_of_another_shop_nothing_is_shown(gateway, engine, trouble):
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
    page = gateway.get("/deliverability?shop=second").text
    assert "No mail left in this period" in text_of(page)
    assert '<option value="second" selected>' in page


def test_without_a_shop_there_is_no_page(gateway):
    assert gateway.get("/deliverability").status_code == 404
