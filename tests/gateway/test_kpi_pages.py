"""The pages of key figures."""

import re

import pytest

from data import database, kpi_counts
from tests.data import ledger_rows


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
    assert "Deliverability 87.5 % (52.9–97.8) ⚠" in text
    assert "Gmail 4 100.0 % (51.0–100.0) above" in text
    assert whole.count("<svg") == 1
    assert "98 %" in re.search(r"<svg.*?</svg>", whole, re.DOTALL)[0]
    assert "@" not in text
