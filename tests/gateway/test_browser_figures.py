"""Live counters and deliverability in a real browser: they renew themselves without a script, and fit a phone."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from data import database, kpi_counts, kpi_marks, tables
from domain.campaigns import RunStatus
from domain.delivery import Seen
from gateway.app import create_app
from tests.conftest import NOW
from tests.gateway import browser
from tests.gateway.test_browser import _CONTRAST, PHONE, PROGRAM, keep

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine (OMS_TEST_BROWSER may name one)"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
_FRAME = "document.querySelector('iframe.live').contentDocument"
_WIDE = {"width": 1100, "height": 900}


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Tab]:
    assert PROGRAM is not None
    with browser.tab(PROGRAM) as one:
        yield one


@pytest.fixture
def base(engine: sa.Engine, serve, make_settings, sent_run) -> str:
    """A run that hands over just now, and figures of all."""
    table = tables.campaign_runs
    facts = {"status": RunStatus.DISPATCHING, "dispatch_started_at": NOW}
    with database.write(engine) as connection:
        connection.execute(table.update().where(table.c.id == sent_run.id).values(**facts))
    kpi_counts.refresh(engine)
    return str(serve(create_app(make_settings(), clock=lambda: NOW)).base_url).rstrip("/")


def counted(tab: browser.Tab, label: str) -> str:
    """What the frame says of one counter."""
    rows = f"[...{_FRAME}.querySelectorAll('dl div')]"
    return str(tab.value(f"{rows}.find(one => one.querySelector('dt').innerText === {label!r})?.innerText"))


def test_the_counters_go_on_while_the_page_stands_still(tab, base, engine, sent_run):
    tab.open(f"{base}/campaigns/{sent_run.id}", **_WIDE)
    assert counted(tab, "complained").split() == ["complained", "0", "0.00", "%"]
    assert tab.value("document.querySelectorAll('script').length") == 0
    page, entries = tab.value("performance.timeOrigin"), tab.value("history.length")
    tab.value("scrollTo(0, 400)")
    table = tables.message_delivery
    one = (table.c.run_id == sent_run.id) & (table.c.ordinal == 3)
    with database.write(engine) as connection:
        seen = table.c.seen.bitwise_or(int(Seen.COMPLAINED))
        connection.execute(table.update().where(one).values(seen=seen, complained_at=NOW))
        kpi_marks.note(connection, [(sent_run.id, 3)])
    came = browser.until(lambda: counted(tab, "complained").split() == ["complained", "1", "14.29", "%"])
    assert came, "the frame was not renewed"
    assert tab.value("performance.timeOrigin") == page  # the page itself was not loaded again
    assert tab.value("scrollY") == 400
    assert tab.value("history.length") == entries  # Back still leads where it led


def test_hold_still_stops_it(tab, base, sent_run):
    tab.open(f"{base}/campaigns/{sent_run.id}", **_WIDE)
    tab.value(f"{_FRAME}.querySelector('a').click()")
    assert browser.until(lambda: "Renew" in str(tab.value(f"{_FRAME}.body.innerText")))
    assert tab.value(f"{_FRAME}.querySelector('meta[http-equiv]')") is None


@pytest.mark.parametrize("size", [_WIDE, {"width": 800, "height": 900}, PHONE], ids=["wide", "tablet", "phone"])
def test_the_frame_holds_all_counters_without_a_scroll_bar(tab, base, sent_run, size):
    tab.open(f"{base}/campaigns/{sent_run.id}", **size)
    assert browser.until(lambda: tab.value(f"{_FRAME}.readyState") == "complete")
    heights = tab.value(f"[{_FRAME}.documentElement.scrollHeight, {_FRAME}.documentElement.clientHeight].join()")
    whole, seen = map(int, str(heights).split(","))
    assert whole <= seen
    assert tab.value("document.documentElement.scrollWidth") <= size["width"]
    keep(tab, f"live-{size['width']}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_deliverability_fits_a_phone_and_can_be_read(tab, base, scheme):
    tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.open(f"{base}/deliverability", **PHONE)
    assert tab.value("document.documentElement.scrollWidth") <= PHONE["width"]
    assert tab.value("document.querySelectorAll('.spark').length") == 6
    assert tab.value(_CONTRAST) >= 4.5  # WCAG 1.4.3
    assert tab.value("[...document.querySelectorAll('select')].every(one => one.labels.length == 1)")
    keep(tab, f"deliverability-{scheme}")
    tab.send("Emulation.setEmulatedMedia", features=[])


def test_a_grouping_is_picked_by_mouse(tab, base):
    tab.open(f"{base}/deliverability", **_WIDE)
    tab.value("document.querySelector('select[name=by]').value = 'domain'")
    tab.click("button.act", leads_on=True)
    assert "by=domain" in tab.value("location.search")
    assert "shop.example.com" in tab.value("document.querySelector('section.card .title').innerText")
