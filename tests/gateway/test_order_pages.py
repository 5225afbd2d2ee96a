"""The pages of an order's mail and of the transactional lane: what support and operators see."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, dispatchers, tables, transactional
from data.transactional import AskedBy, Wanted
from domain.transactional import Timing, Urgency
from gateway.app import create_app
from tests.conftest import NOW
from tests.gateway import browser
from tests.gateway.test_browser import _CONTRAST, PHONE, PROGRAM, keep
from tests.gateway.test_kpi_pages import text_of

ASKED = NOW - timedelta(minutes=20)


def add_order(engine: sa.Engine, external_id: str = "1001", **facts: Any) -> int:
    party = {"account_id": "shop", "external_id": f"c{external_id}", "email": "johanna@delivered.test"}
    party |= {"address_hash": "h", "created_at": NOW, "updated_at": NOW}
    order = {"account_id": "shop", "channel": "shopify", "external_id": external_id, "number": f"#{external_id}"}
    order |= {
        "status": "paid",
        "channel_status": "paid",
        "currency": "EUR",
        "total": Decimal(44),
        "refunded": Decimal(0),
    }
    order |= {
        "placed_at": ASKED,
        "updated_at": ASKED,
        "is_test": False,
        "content_hash": "x",
        "first_recorded_at": ASKED,
    }
    with database.write(engine) as connection:
        order["party_id"] = connection.scalar(tables.parties.insert().values(**party).returning(tables.parties.c.id))
        asked = tables.orders.insert().values(**order | facts).returning(tables.orders.c.id)
        return int(connection.scalar(asked) or 0)


def add_message(
    engine: sa.Engine,
    message_id: str,
    order_id: int,
    template: str = "order-confirmation",
    *,
    step: str = "placed",
    delivery: dict[str, Any] | None = None,
    attempt: dict[str, Any] | None = None,
    urgency: Urgency = Urgency.CONFIRMATION,
    **facts: Any,
) -> None:
    wanted = Wanted(
        id=message_id,
        account_id="shop",
        template=template,
        timing=Timing(urgency, timedelta(hours=6)),
        asked_by=AskedBy.ORDER,
        order_id=order_id,
        step=step,
        variables={"secret": "s3cret-code"},
    )
    table = tables.transactional_messages
    with database.write(engine) as connection:
        transactional.ask(connection, [wanted], now=ASKED)
        if facts:
            connection.execute(table.update().where(table.c.id == message_id).values(**facts))
        if attempt is not None:
            told = {
                "id": f"a-{message_id}",
                "account_id": "shop",
                "stream": "transactional",
                "message_id": message_id,
                "number": 1,
                "worker": "w",
                "provider": "sendgrid",
            }
            told |= {"route": "sendgrid-transactional", "pool": "tx", "domain": "shop.test", "decision": {}}
            told |= {"content_hash": "x", "claimed_at": ASKED, "finished_at": ASKED + timedelta(seconds=1)}
            pool = {"account_id": "shop", "name": "tx", "stream": "transactional", "created_at": ASKED}
            connection.execute(database.insert(connection, tables.pools).values(pool).on_conflict_do_nothing())
            connection.execute(tables.transactional_attempts.insert().values(**told | attempt))
        if delivery is not None:
            told = {"message_id": message_id, "severity": 0} | delivery
            connection.execute(tables.transactional_delivery.insert().values(**told))


@pytest.fixture
def order_id(engine: sa.Engine, account_id: str) -> int:
    """One was delivered, one was not sent, one waits."""
    order = add_order(engine)
    accepted = {"state": "accepted", "accepted_at": ASKED + timedelta(seconds=1), "finished_at": ASKED, "attempts": 1}
    answer = {"outcome": "accepted", "status_code": 202}
    seen = {"seen": 5 | 128 | 256, "delivered_at": ASKED + timedelta(seconds=6)}
    seen |= {"opened_at": ASKED + timedelta(minutes=3), "human_opened_at": ASKED + timedelta(minutes=3)}
    add_message(engine, "tconfirmation", order, attempt=answer, delivery=seen, **accepted)
    over = {"state": "suppressed", "why": "hard_bounce", "finished_at": NOW - timedelta(minutes=9)}
    add_message(engine, "tpaid", order, "payment-received", step="paid", **over)
    add_message(engine, "tshipped", order, "shipped", step="shipped", urgency=Urgency.SHIPPING)
    return order


@pytest.mark.usefixtures("order_id")
def test_an_order_s_messages_are_told_in_plain_sentences(gateway) -> None:
    answer = gateway.get("/support/shop/1001")
    assert answer.status_code == 200
    text = text_of(answer.text)
    assert "3 messages about this order: 1 accepted by a sending service, 1 delivered." in text
    assert "Accepted by sendgrid at 22 Nov 2026, 09:40:01 CET, delivered 09:40:06, opened 09:43:00" in text
    assert "Not sent: the address hard-bounced. Ask the customer for another one." in text
    assert "Waits: no dispatcher is at work" in text
    assert "campaigns messages resend tpaid --why" in text
    assert "campaigns messages resend tshipped" not in text
    assert "j***@d***.test" in text
    assert "johanna" not in answer.text
    assert "s3cret" not in answer.text


@pytest.mark.usefixtures("order_id")
def test_an_order_is_found_by_the_number_that_the_customer_reads(gateway) -> None:
    assert "Find" in text_of(gateway.get("/support").text)
    answer = gateway.get("/support", params={"account": "shop", "order": "#1001"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/support/shop/1001")


def test_an_id_with_a_slash_and_markup_has_its_page(gateway, engine, account_id) -> None:
    add_order(engine, "A/1<b>")
    answer = gateway.get("/support", params={"account": "shop", "order": "A/1<b>"})
    page = gateway.get(answer.headers["location"])
    assert page.status_code == 200
    assert "<b>" not in page.text.partition("<body>")[2]


def test_an_order_without_a_message_says_why(gateway, engine, account_id) -> None:
    add_order(engine, notify=False)
    assert "mails its customers itself" in text_of(gateway.get("/support/shop/1001").text)


@pytest.mark.parametrize(
    "path", ["/support/shop/77", "/support/nobody/1001", "/support/shop/%00", "/support/shop/" + "x" * 200]
)
def test_what_is_not_there_is_told_on_a_page(gateway, account_id, path) -> None:
    answer = gateway.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_two_orders_of_one_number_are_not_mixed_up(gateway, engine, account_id) -> None:
    add_order(engine)
    add_order(engine, "2002", channel="amazon", number="#1001")
    answer = gateway.get("/support/shop/1001")
    assert answer.status_code == 404
    assert "Several orders are called so" in text_of(answer.text)
    (link,) = re.findall(r'href="([^"]*channel=amazon)"', answer.text)
    assert "amazon" in text_of(gateway.get(html.unescape(link)).text)
    assert gateway.get("/support/shop/1001", params={"channel": "shopify"}).status_code == 200


@pytest.mark.usefixtures("order_id")
def test_the_lane_shows_what_waits_and_how_long_it_took(gateway) -> None:
    text = text_of(gateway.get("/lane").text)
    assert "No dispatcher is at work, and mail that customers wait for is due since 20 min" in text
    assert "confirmation 0 – 2 1 1 0 0 1.00 s 1.00 s" in text
    assert "shipping 1 20 min 1 0 0 0 0 – –" in text
    assert "sendgrid 1 1 0 0 0 0.0 %" in text


@pytest.mark.usefixtures("order_id")
def test_what_waits_is_a_metric(gateway, engine) -> None:
    told = gateway.get("/metrics").text
    assert 'oms_lane_open{urgency="shipping"} 1.0' in told
    assert 'oms_lane_oldest_due_seconds{urgency="shipping"} 1200.0' in told
    assert 'oms_lane_oldest_due_seconds{urgency="security"} 0.0' in told
    assert "oms_dispatchers 0.0" in told
    with database.write(engine) as connection:
        dispatchers.note(connection, "d", started_at=NOW, now=NOW)
    assert "oms_dispatchers 1.0" in gateway.get("/metrics").text


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Tab]:
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine (OMS_TEST_BROWSER may name one)")
    with browser.tab(PROGRAM) as one:
        yield one


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("order_id")
def test_the_pages_fit_a_phone_and_are_readable(tab, serve, make_settings) -> None:
    base = str(serve(create_app(make_settings(), clock=lambda: NOW)).base_url).rstrip("/")
    for path, name in (("/support", "find"), ("/support/shop/1001", "order"), ("/lane", "lane")):
        tab.open(f"{base}{path}", width=1100, height=900)
        keep(tab, f"{name}-wide")
        assert tab.value(_CONTRAST) >= 4.5
        tab.open(f"{base}{path}", **PHONE)
        keep(tab, f"{name}-phone")
        assert tab.value("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.usefixtures("order_id")
@pytest.mark.parametrize("path", ["/orders", "/orders/shop/1001", "/webhooks/shop", "/messages/support"])
def test_no_page_lies_below_what_is_open_to_the_world(gateway, path: str) -> None:
    """docs/operations.md has the proxy let these through without a login."""
    answer = gateway.get(path)
    assert answer.status_code in {401, 404, 405}
    assert "about this order" not in answer.text
