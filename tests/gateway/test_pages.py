"""The campaign pages: right for an empty run and a full one, and a hostile name is only text."""

import re
from datetime import timedelta

import pytest

from data import database, inbox, kpi_counts, runs, tables
from domain.campaigns import RunStatus
from gateway.app import create_app
from tests.conftest import NOW

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


def dispatching(engine, run, **values):
    """As a run that hands over just now."""
    table = tables.campaign_runs
    facts = {"status": RunStatus.DISPATCHING, "dispatch_started_at": NOW, **values}
    with database.write(engine) as connection:
        connection.execute(table.update().where(table.c.id == run.id).values(**facts))


def test_live_counters_are_those_of_the_page_and_renew_themselves_without_a_script(gateway, engine, sent_run):
    dispatching(engine, sent_run)
    whole = gateway.get(f"/campaigns/{sent_run.id}").text
    assert f'<iframe class="live" src="/campaigns/{sent_run.id}/live"' in whole
    assert "http-equiv" not in whole  # only the frame is loaded again
    answer = gateway.get(f"/campaigns/{sent_run.id}/live")
    assert '<meta http-equiv="refresh" content="5">' in answer.text
    assert "<script" not in answer.text
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert "script-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    text = text_of(answer.text)
    assert "accepted 8 delivered 7 87.5 % no answer yet 0 put off 0 0.0 % dropped 0" in text
    assert "bounced 1 12.5 % hard 1 12.50 % soft 0 0.00 %" in text
    assert "opened 3 42.9 % opened, with machines 4 57.1 %" in text
    assert "complained 0 0.00 % unsubscribed 0" in text
    assert "9:08 UTC" in text  # the last event: a delivery eight minutes after nine
    assert "Every webhook that came was read." in text


def test_no_other_page_may_be_framed(gateway, sent_run):
    for path in ("/campaigns", f"/campaigns/{sent_run.id}", "/kpis", "/campaigns/nobody/live"):
        answer = gateway.get(path)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-frame-options"] == "DENY"


def test_counters_hold_still_when_asked(gateway, engine, sent_run):
    dispatching(engine, sent_run)
    still = gateway.get(f"/campaigns/{sent_run.id}/live?still=1").text
    assert "http-equiv" not in still
    assert f'href="/campaigns/{sent_run.id}/live"' in still


@pytest.mark.parametrize(
    ("status", "hours", "every"),
    [
        (RunStatus.DISPATCHING, 30, 5),
        (RunStatus.DISPATCHED, 0.5, 5),
        (RunStatus.DISPATCHED, 3, 60),
        (RunStatus.SETTLED, 3, 60),  # people still open it
        (RunStatus.SETTLED, 60, None),
        (RunStatus.CANCELLED, 60, None),
    ],
)
def test_a_page_is_renewed_as_often_as_anything_is_to_be_expected(
    serve, make_settings, engine, sent_run, status, hours, every
):
    dispatching(engine, sent_run, status=status)
    later = NOW + timedelta(minutes=8, hours=hours)
    gateway = serve(create_app(make_settings(), clock=lambda: later))
    whole = gateway.get(f"/campaigns/{sent_run.id}").text
    live = gateway.get(f"/campaigns/{sent_run.id}/live").text
    assert ("<iframe" in whole) is (every is not None)
    assert (f'content="{every}"' in live) is (every is not None)
    if every is None:
        assert "What happened to it" in whole
        assert "opened, with machines 4" in text_of(whole)  # the counters stand in the page itself


def test_what_waits_to_be_read_is_told(gateway, engine, sent_run):
    with database.write(engine) as connection:
        inbox.store(connection, provider="sendgrid", body=b"[]", now=NOW - timedelta(seconds=75))
    text = text_of(gateway.get(f"/campaigns/{sent_run.id}/live").text)
    assert "1 webhook waits to be read, the oldest for 1 min." in text
    assert "Every webhook" not in text


def test_what_is_still_on_its_way_is_no_alarm_on_a_card(page, engine, sent_run):
    table = tables.message_delivery
    with database.write(engine) as connection:
        connection.execute(table.delete().where(table.c.run_id == sent_run.id))
    card = re.search(
        r'Delivered\s+<button.*?<div class="value (.*?)">(.*?)</div>', page(f"/campaigns/{sent_run.id}"), re.DOTALL
    )
    assert card is not None
    assert card.groups() == ("", "–")  # of nothing that nobody told anything of yet a share is no news


@pytest.mark.parametrize("name", ["nobody", "%00", "a b", "x" * 99])
def test_an_unknown_run_has_no_counters(gateway, name):
    assert gateway.get(f"/campaigns/{name}/live").status_code == 404
