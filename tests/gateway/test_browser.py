"""The pages for customers in a real browser: by mouse, by keyboard, without scripts, on a phone, in two languages.

What the pages do is covered over HTTP by test_preferences and test_unsubscribe; here it is what a person meets. Where the
machine has no Chromium these tests are skipped, and say so. OMS_TEST_PICTURES=<folder> keeps pictures of the pages.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from data import database, tables, topics
from domain.preferences import Topic
from gateway.app import create_app
from tests.conftest import NOW
from tests.data.frozen import Clock
from tests.gateway import browser
from tests.gateway.test_unsubscribe import change_addresses, rows, token_for

PROGRAM = browser.found()
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine (OMS_TEST_BROWSER may name one)"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Tab]:
    assert PROGRAM is not None
    with browser.tab(PROGRAM) as one:
        yield one


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = NOW
    return clock


@pytest.fixture
def base(engine: sa.Engine, account_id: str, serve, make_settings, clock: Clock) -> str:
    with database.write(engine) as connection:
        for place, (name, english, german) in enumerate(
            [("new", "New arrivals", "Neu im Laden"), ("offers", "Offers", "Angebote"), ("tips", "Tips", "Tipps")]
        ):
            topics.add(connection, account_id, Topic(name, {"en": english, "de": german}, place), now=NOW)
    client: httpx.Client = serve(create_app(make_settings(), clock=clock))
    return str(client.base_url).rstrip("/")


def keep(tab: browser.Tab, name: str) -> None:
    if folder := os.environ.get("OMS_TEST_PICTURES"):
        tab.picture(Path(folder) / f"{name}.png")


def text(tab: browser.Tab) -> str:
    return str(tab.value("document.body.innerText"))


def test_from_the_mail_to_fewer_topics_to_nothing_and_back(tab, base, engine, sent_run, clock):
    token = token_for(sent_run.id, 3)
    tab.open(f"{base}/unsubscribe/{token}")
    assert "Stop the newsletters?" in text(tab)
    keep(tab, "unsubscribe-en")
    tab.click('a[href*="preferences"]', leads_on=True)
    assert tab.value("location.pathname") == f"/preferences/{token}"
    keep(tab, "preferences-en")

    tab.click('input[value="offers"]')
    tab.click('input[value="weekly"]')
    tab.click('button[value="save"]', leads_on=True)
    assert "Your choice is saved" in text(tab)
    assert tab.value("document.querySelector('input[value=offers]').checked") is False
    assert tab.value("document.querySelector('input[value=weekly]').checked") is True
    assert [row.topic for row in rows(engine, tables.topic_refusals)] == ["offers"]
    assert [row.frequency for row in rows(engine, tables.mail_frequencies)] == ["weekly"]
    keep(tab, "saved-en")

    tab.click('button[value="unsubscribe"]', leads_on=True)
    assert "You are unsubscribed" in text(tab)
    keep(tab, "off-en")
    clock.forward(minutes=1)
    tab.click('button[value="resubscribe"]', leads_on=True)
    assert "you get mail from The Shop again" in text(tab)
    assert tab.value("document.querySelector('input[value=offers]').checked") is False  # what she chose still holds
    assert tab.value("document.cookie") == ""
    assert tab.value("history.length") >= 1


def test_in_german_on_a_phone_by_keyboard(tab, base, engine, sent_run):
    change_addresses(engine, locale="de-DE")
    tab.open(f"{base}/preferences/{token_for(sent_run.id, 3)}", **PHONE)
    assert tab.value("document.documentElement.lang") == "de"
    assert tab.value("document.documentElement.scrollWidth") <= PHONE["width"]  # nothing to scroll sideways
    keep(tab, "preferences-de-phone")
    order = []
    for _ in range(5):
        tab.key("Tab")
        order.append(tab.focused())
    assert order == [
        "INPUT topic new",
        "INPUT topic offers",
        "INPUT topic tips",
        "INPUT frequency usual",
        "BUTTON action save",
    ]
    tab.value("document.querySelector('input[value=offers]').focus()")
    tab.key(" ")
    tab.value("document.querySelector('input[value=usual]').focus()")
    tab.key("ArrowDown")
    tab.key("Tab")
    tab.key("Enter", leads_on=True)
    assert "Ihre Auswahl ist gespeichert" in text(tab)
    assert [row.topic for row in rows(engine, tables.topic_refusals)] == ["offers"]
    assert [row.frequency for row in rows(engine, tables.mail_frequencies)] == ["weekly"]
    keep(tab, "saved-de-phone")


def test_the_switch_of_languages_stays_over_links_and_buttons(tab, base, sent_run):
    tab.open(f"{base}/unsubscribe/{token_for(sent_run.id, 4)}", language="en", **PHONE)
    tab.click('a[hreflang="de"]', leads_on=True)
    assert "Newsletter abbestellen?" in text(tab)
    keep(tab, "unsubscribe-de-phone")
    tab.click("button.act", leads_on=True)
    assert "Sie sind abgemeldet" in text(tab)
    keep(tab, "unsubscribed-de-phone")
    tab.click('a[href*="preferences"]', leads_on=True)
    assert "Möchten Sie wieder etwas erhalten?" in text(tab)
    keep(tab, "off-de-phone")


def test_every_control_has_a_label_and_can_be_hit(tab, base, sent_run):
    tab.open(f"{base}/preferences/{token_for(sent_run.id, 5)}", **PHONE)
    assert tab.value("[...document.querySelectorAll('input:not([type=hidden])')].every(one => one.labels.length == 1)")
    assert tab.value("[...document.querySelectorAll('fieldset')].every(one => one.querySelector('legend'))")
    # WCAG 2.5.8 asks for 24 pixels.
    assert tab.value("Math.min(...[...document.querySelectorAll('label, button')].map(one => one.offsetHeight))") >= 24
    assert tab.value("document.querySelectorAll('script').length") == 0
    assert tab.value("performance.getEntriesByType('resource').length") == 0  # it loads nothing


_CONTRAST = """
(() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => parts(color).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor, alpha = parts(color)[3];
      if (alpha === undefined || alpha > 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('body *')].filter(one => [...one.childNodes].some(
    node => node.nodeType === 3 && node.textContent.trim()));
  return Math.min(...texts.map(one => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(tab, base, sent_run, scheme):
    """WCAG 1.4.3: 4.5 to 1."""
    tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    for path in ("unsubscribe", "preferences"):
        tab.open(f"{base}/{path}/{token_for(sent_run.id, 6)}")
        assert tab.value(_CONTRAST) >= 4.5, path
    keep(tab, f"preferences-{scheme}")
    tab.send("Emulation.setEmulatedMedia", features=[])
