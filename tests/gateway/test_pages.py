"""The campaign pages: right for an empty run and a full one, and a hostile name is only text."""

import re

import pytest

from data import database, kpi_counts, runs, tables
from domain.campaigns import RunStatus

HOSTILE = '<script>alert("1")</script>&{{ 7*7 }}'


@pytest.fixture
def page(gateway):
    def get(path: str) -> str:
        answer = gateway.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return answer.text

    return get


def text_of(page: str) -> str:
    """What a reader sees, without tags, styles and needless space."""
    page = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_front_door_leads_to_the_campaigns(gateway):
    answer = gateway.get("/")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/campaigns"


def test_without_runs_the_list_says_how_to_start_one(page):
    assert "No campaign has run yet" in page("/campaigns")


def test_the_list_has_each_run_with_its_stored_figures(page, engine, sent_run, new_run):
    other = new_run(campaign="New arrivals")
    kpi_counts.refresh(engine)
    text = page("/campaigns")
    assert f'href="/campaigns/{sent_run.id}"' in text
    assert f'href="/campaigns/{other.id}"' in text
    assert "87.5 %" in text  # 7 of 8 delivered


def test_a_run_of_which_nothing_is_known_yet_has_a_page(page, new_run):
    text = text_of(page(f"/campaigns/{new_run().id}"))
    assert "Choosing people" in text
    assert "The audience has not been chosen yet." in text
    assert "Nothing has been sent yet." in text
    assert text.count("No events yet.") == 2
    assert "No checks have run yet." in text


def test_a_full_run_tells_its_story(page, sent_run):
    whole = page(f"/campaigns/{sent_run.id}")
    text = text_of(whole)
    assert "7 of 8 mails were delivered. 3 people opened theirs, and 2 clicked." in text
    assert "Why did 3 people not get it?" in text
    assert "1 33.3 % unsubscribed" in text
    assert "1 33.3 % is held out, so that the effect can be measured" in text
    assert "(hard bounce)" in text
    assert "3 people; with machine opens 4" in text
    assert "delivered 7 87.5 %" in text
    assert "Gmail 4 4 100.0 %" in text
    assert "All others 4 3 75.0 %" in text
    assert "every address is valid 8 of 8" in text
    assert whole.count("<svg") == 2
    assert whole.count('role="img" aria-label="') == 2
    assert 'href="/campaigns"' in whole


def test_a_stopped_run_says_why(page, engine, new_run):
    run = new_run()
    with database.write(engine) as connection:
        runs.advance(connection, run, RunStatus.STOPPED, stop_reason="14 first names are missing")
    assert "14 first names are missing" in text_of(page(f"/campaigns/{run.id}"))


def test_pages_show_no_addresses(page, sent_run):
    for path in ("/campaigns", f"/campaigns/{sent_run.id}"):
        text = page(path)
        assert not re.search(r"[\w.]+@(?!media)[\w.]+", text)
        assert "person3" not in text


def test_names_are_text_and_never_markup(page, engine, new_run, account_id):
    run = new_run(campaign=HOSTILE, segment=HOSTILE)
    with database.write(engine) as connection:
        connection.execute(tables.accounts.update().values(name=HOSTILE))
        runs.advance(connection, run, RunStatus.STOPPED, stop_reason=HOSTILE)
    for path in ("/campaigns", f"/campaigns/{run.id}"):
        text = page(path)
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert "{{ 7*7 }}" in text


@pytest.mark.parametrize(
    "run_id", ["rnobody234567", "%00", "x" * 500, "a.b", "..%2f..%2fetc", HOSTILE.replace("/", "")]
)
def test_an_unknown_run_has_a_page_that_leads_back(gateway, run_id):
    answer = gateway.get(f"/campaigns/{run_id}")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert 'href="/campaigns"' in answer.text or "%2f" in run_id
    assert "<script" not in answer.text


def test_without_a_store_a_reader_is_asked_to_come_again(gateway, engine, sent_run):
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE campaign_runs RENAME TO gone")
    answer = gateway.get(f"/campaigns/{sent_run.id}")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "try again in a minute" in answer.text
    assert "campaign_runs" not in answer.text


def test_looking_at_pages_writes_nothing(page, gateway, sent_run, everything):
    before = everything()
    for path in ("/campaigns", f"/campaigns/{sent_run.id}"):
        page(path)
        assert gateway.head(path).status_code == 200
    assert everything() == before
