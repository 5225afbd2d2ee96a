"""Every template in a real browser, at the width of a phone and of a desk, light and dark: nothing sticks out.

Where the machine has no Chromium these tests are skipped, and say so. OMS_TEST_PICTURES=<folder> keeps pictures; those of
docs/images were made so, by `python -m tests.data.template_sheet`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data import content, messages
from domain import template_fields
from tests.gateway import browser

PROGRAM = browser.found()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine (OMS_TEST_BROWSER may name one)")
CONSTANTS = {"shop_name": "Salt & Vinyl", "postal_address": "1 Market Street, 12345 Town", "sender_name": "Sam"}
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk"
PHONE, DESK = 375, 800
OUTSIDE = """[...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && box.height && getComputedStyle(one).display != 'none'
        && (box.right > document.documentElement.clientWidth + 0.5 || box.left < -0.5);
}).map(one => one.tagName + ' ' + one.textContent.slice(0, 30)).join('; ')"""


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Tab]:
    assert PROGRAM is not None
    with browser.tab(PROGRAM) as one:
        yield one


def opened(tab: browser.Tab, folder: Path, html: str, *, width: int, scheme: str = "light") -> None:
    page = folder / "mail.html"
    page.write_text(html, "utf-8")
    tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.open(page.as_uri(), width=width, height=700)


def rendered(name: str, **changed: object) -> str:
    template = content.load(name)
    values = {**template_fields.samples(template.purpose), **changed}
    known = template_fields.allowed(template.purpose)
    return messages.render_message(template, {k: v for k, v in values.items() if k in known}, CONSTANTS).html


@pytest.mark.parametrize("name", content.names())
@pytest.mark.parametrize("width", [320, PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(tab: browser.Tab, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    opened(tab, tmp_path, rendered(name), width=width, scheme=scheme)
    assert tab.value(OUTSIDE) == ""
    assert tab.value("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("OMS_TEST_PICTURES"):
        tab.picture(Path(folder) / f"{name}-{scheme}-{width}.png")


@pytest.mark.parametrize("name", content.names())
def test_long_words_stay_within_a_phone(tab: browser.Tab, tmp_path: Path, name: str) -> None:
    items = [{"name": LONG, "note": LONG, "quantity": 12, "price": {"amount": "12345678.90", "currency": "EUR"}}]
    long = {"first_name": LONG, "order_number": LONG, "line_items": items, "cart_items": items, "carrier": LONG}
    opened(tab, tmp_path, rendered(name, **long, tracking_number=LONG, payment_method=LONG), width=PHONE)
    assert tab.value(OUTSIDE) == ""


def test_the_two_schemes_differ_and_the_preheader_is_not_seen(tab: browser.Tab, tmp_path: Path) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        opened(tab, tmp_path, rendered("shipped"), width=PHONE, scheme=scheme)
        colours.add(tab.value("getComputedStyle(document.querySelector('.sheet')).backgroundColor"))
        assert tab.value("document.querySelector('.preheader').getClientRects().length") == 0
    assert len(colours) == 2


def test_a_button_can_be_hit_with_a_thumb(tab: browser.Tab, tmp_path: Path) -> None:
    opened(tab, tmp_path, rendered("password-reset"), width=PHONE)
    assert tab.value("document.querySelector('.fill a').getBoundingClientRect().height") >= 44
