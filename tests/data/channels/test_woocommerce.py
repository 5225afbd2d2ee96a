"""WooCommerce: figures, times, refunds, consent by plugin, notices, and the pull against a documented server."""

import base64
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from data.channels import woocommerce
from data.channels.api import Access, ChannelRefused, ChannelUnavailable
from data.channels.channel import Delivery, Ignored, Origin, Page, Unfit, Unreadable, Urgency
from domain.consent import ConsentStatus
from domain.orders import Deletion, Order, OrderStatus, OrderStep
from tests.providers.loopback import Answer, Received, Server, answering

PAYLOAD = Path(__file__).parents[2] / "payloads/orders/woocommerce/completed.json"
RECEIVED = datetime(2026, 4, 5, 12, tzinfo=UTC)
FILE = Delivery(Origin.FILE, RECEIVED)


def raw_order() -> dict[str, Any]:
    return orjson.loads(PAYLOAD.read_bytes())


def read(raw: Any, **facts: Any) -> Order:
    found = woocommerce.order(raw, Delivery(**({"origin": Origin.PUSH, "received_at": RECEIVED} | facts)))
    assert isinstance(found, Order)
    return found


def changed(change: Callable[[dict[str, Any]], Any], **facts: Any) -> Order:
    raw = raw_order()
    change(raw)
    return read(raw, **facts)


def refused(change: Callable[[dict[str, Any]], Any], **facts: Any) -> Unfit:
    with pytest.raises(Unfit) as caught:
        changed(change, **facts)
    return caught.value


def test_every_figure_of_an_order() -> None:
    order = read(raw_order())
    assert (order.external_id, order.number) == ("3727", "3727")
    assert (order.status, order.channel_status, order.is_test) == (OrderStatus.COMPLETED, "completed", False)
    assert (order.currency, order.total) == ("EUR", Decimal("53.55"))
    assert order.refunded == Decimal("19.50")  # golden case 3: the list's totals are negative
    assert (order.tax, order.shipping, order.discount) == (Decimal("8.55"), Decimal(10), Decimal(5))
    assert order.coupons == ("welcome5",)
    assert order.placed_at == datetime(2026, 3, 29, 10, 30, tzinfo=UTC)
    assert order.updated_at == datetime(2026, 4, 2, 7, tzinfo=UTC)
    assert order.cancelled_at is None
    assert [(line.sku, line.title, line.quantity, line.total, line.discount, line.tax) for line in order.lines] == [
        ("93", "Tea – green, 100 g", 2, Decimal("26.25"), Decimal("3.75"), Decimal("4.99")),
        ("CUP-1", "Cup", 1, Decimal("8.75"), Decimal("1.25"), Decimal("1.66")),
    ]
    customer = order.customer
    assert (customer.external_id, customer.email, customer.country) == ("26", "jana@example.com", "PT")
    assert (customer.first_name, customer.last_name) == ("Jana", "Silva")


def test_timeline() -> None:
    events = read(raw_order()).events
    assert [(event.step, event.at) for event in events] == [
        (OrderStep.PAID, datetime(2026, 3, 29, 10, 30, 8, tzinfo=UTC)),
        (OrderStep.SHIPPED, datetime(2026, 3, 30, 20, tzinfo=UTC)),
        (OrderStep.COMPLETED, datetime(2026, 3, 31, 16, tzinfo=UTC)),
        (OrderStep.REFUNDED, datetime(2026, 4, 2, 7, tzinfo=UTC)),
        (OrderStep.REFUNDED, datetime(2026, 4, 2, 7, tzinfo=UTC)),
    ]
    assert (events[1].carrier, events[1].tracking_number) == ("dhl", "JD9")
    assert [(event.reference, event.amount) for event in events[3:]] == [("726", Decimal(10)), ("724", Decimal("9.5"))]


def test_a_refund_as_its_own_endpoint_tells_it() -> None:
    own = {"id": 9, "amount": "4.00", "date_created_gmt": "2026-04-01T08:00:00"}
    order = changed(lambda raw: raw.update(refunds=[own]))
    refund = order.events[-1]
    assert (order.refunded, refund.at) == (Decimal(4), datetime(2026, 4, 1, 8, tzinfo=UTC))


def test_refunded_by_status_alone() -> None:
    order = changed(lambda raw: raw.update(status="refunded", refunds=[]))
    assert (order.status, order.refunded) == (OrderStatus.REFUNDED, order.total)


def test_currencies_without_and_with_three_decimals() -> None:
    """Golden case 4. WooCommerce writes as many zeros as the shop has set."""

    def of(currency: str, total: Any, refund: str) -> Order:
        return changed(lambda raw: raw.update(currency=currency, total=total, refunds=[{"id": 1, "total": refund}]))

    assert of("JPY", "1000.00", "-300.00").refunded == Decimal(300)
    assert of("KWD", "12.375", "-0.125").total == Decimal("12.375")
    assert of("EUR", 0.1 + 0.2, "-0.1").total == Decimal("0.30")  # golden case 15
    assert refused(lambda raw: raw.update(currency="JPY", total="1000.50")).rule == "total_unreadable"


def test_naive_times_are_utc_with_gmt_and_else_the_sites() -> None:
    """Golden case 5: on that night clocks in Lisbon went from 1 to 2."""

    def site(at: str) -> Callable[[dict[str, Any]], Any]:
        return lambda raw: raw.update(date_created_gmt=None, date_created=at)

    lisbon = ZoneInfo("Europe/Lisbon")
    assert changed(site("2026-03-29T02:30:00"), zone=lisbon).placed_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert changed(site("2026-10-25T01:30:00"), zone=lisbon).placed_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    unfit = refused(site("2026-03-29T01:30:00"), zone=lisbon)
    assert (unfit.fields, "skipped" in str(unfit)) == (("date_created",), True)
    # With the GMT time beside it, what the clocks showed does not matter.
    assert changed(lambda raw: raw.update(date_created="2026-03-29T01:30:00"), zone=lisbon)


def test_observed_at_is_the_delivery_of_a_notice_and_the_reading_of_a_page() -> None:
    seen = datetime(2026, 4, 4, tzinfo=UTC)
    assert read(raw_order(), observed_at=seen).observed_at == RECEIVED
    assert read(raw_order(), origin=Origin.PULL, observed_at=seen).observed_at == seen
    assert read(raw_order(), origin=Origin.FILE).observed_at is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", OrderStatus.PLACED),
        ("on-hold", OrderStatus.PLACED),
        ("processing", OrderStatus.PAID),
        ("completed", OrderStatus.COMPLETED),
        ("wc-completed", OrderStatus.COMPLETED),
        ("cancelled", OrderStatus.CANCELLED),
        ("refunded", OrderStatus.REFUNDED),
        ("failed", OrderStatus.CANCELLED),
    ],
)
def test_statuses(word: str, status: OrderStatus) -> None:
    order = changed(lambda raw: raw.update(status=word))
    assert order.status is status
    assert (order.cancelled_at is not None) is (word == "cancelled")


def test_partially_refunded_then_cancelled() -> None:
    """Golden case 14."""
    order = changed(lambda raw: raw.update(status="cancelled"))
    assert (order.total, order.refunded, order.cancelled_at) == (Decimal("53.55"), Decimal("19.5"), order.updated_at)
    assert order.events[-1].step is OrderStep.CANCELLED


def test_an_unknown_status_is_refused_until_somebody_says_what_it_means() -> None:
    """Golden cases 13 and 17."""
    unfit = refused(lambda raw: raw.update(status="canceled"))
    assert (unfit.rule, unfit.fields) == ("status_unknown", ("status",))
    assert "options.statuses" in str(unfit)
    assert "Patch it to the one that it means" in str(unfit)
    order = changed(lambda raw: raw.update(status="packed"), options={"statuses": {"packed": "paid"}})
    assert (order.status, order.channel_status) == (OrderStatus.PAID, "packed")
    assert refused(lambda raw: raw.update(status="packed"), options={"statuses": {"packed": "sent"}})


def test_what_is_missing_is_named() -> None:
    assert refused(lambda raw: raw.pop("id")).rule == "id_missing"
    assert refused(lambda raw: raw.pop("total")).rule == "total_missing"
    assert refused(lambda raw: raw.update(date_created_gmt=None, date_created=None)).rule == "placed_at_missing"
    unfit = refused(lambda raw: raw["line_items"][1].update(total=""))
    assert (unfit.rule, unfit.fields) == ("line_total_missing", ("line_items.1.total",))


def test_guest_and_missing_address() -> None:
    """Golden cases 8 and 19."""
    order = changed(lambda raw: (raw.update(customer_id=0), raw["billing"].update(email="Jana@Example.COM")))
    assert (order.customer.external_id, order.customer.email) == ("", "Jana@Example.COM")
    assert changed(lambda raw: raw["billing"].update(email=None)).customer.email is None
    assert changed(lambda raw: raw.update(billing=None)).customer.country == "PT"


def test_ids_keep_every_digit() -> None:
    """Golden case 20."""
    (element,) = woocommerce.elements(orjson.dumps(raw_order() | {"id": 2**60 + 1}), FILE)
    assert read(element.payload).external_id == str(2**60 + 1)


@pytest.mark.parametrize(
    ("key", "value"), [("_wcpay_mode", "test"), ("_ppcp_paypal_payment_mode", "sandbox"), ("_wcpay_mode", "prod")]
)
def test_test_orders(key: str, value: str) -> None:
    """Golden case 7."""
    order = changed(lambda raw: raw["meta_data"].append({"id": 3, "key": key, "value": value}))
    assert order.is_test is (value != "prod")


def test_test_gateways_are_the_shops_to_name() -> None:
    assert read(raw_order(), options={"test_gateways": ["stripe"]}).is_test
    assert not read(raw_order(), options={"test_gateways": ["bogus"]}).is_test


@pytest.mark.parametrize("value", ["1", "yes", "TRUE", "on", 1, True])
def test_consent_of_a_plugin(value: Any) -> None:
    options = {"consent_meta_key": "_newsletter_optin", "consent_wording": "v2"}
    consent = changed(lambda raw: raw["meta_data"][0].update(value=value), options=options).customer.consent
    assert consent is not None
    assert (consent.status, consent.source, consent.wording) == (ConsentStatus.GRANTED, "woocommerce", "v2")
    assert consent.occurred_at == datetime(2026, 3, 29, 10, 30, tzinfo=UTC)


def test_silence_is_no_consent_and_a_riddle_is_asked_about() -> None:
    options = {"consent_meta_key": "_newsletter_optin"}
    for value in ("0", "no", "", 0, False):
        order = changed(lambda raw, value=value: raw["meta_data"][0].update(value=value), options=options)
        assert order.customer.consent is None
    assert read(raw_order()).customer.consent is None
    assert read(raw_order(), options={"consent_meta_key": "_other"}).customer.consent is None
    unfit = refused(lambda raw: raw["meta_data"][0].update(value="perhaps"), options=options)
    assert unfit.rule == "consent_unreadable"


# ------------------------------------------------------------------------------------------------------------- notices


def test_deletions() -> None:
    delivery = Delivery(Origin.PUSH, RECEIVED, topic="order.deleted")
    assert woocommerce.order({"id": 3727}, delivery) == Deletion("3727", RECEIVED)
    trash = woocommerce.order(raw_order() | {"status": "trash"}, Delivery(Origin.PUSH, RECEIVED, topic="order.updated"))
    assert trash == Deletion("3727", datetime(2026, 4, 2, 7, tzinfo=UTC))


@pytest.mark.parametrize("kept", [None, ["total"], ["line_items"]])
def test_an_order_under_the_topic_of_deletions_deletes_nothing(kept: list[str] | None) -> None:
    """The signature covers the body and not the topic, so whoever has seen one notice could delete its order."""
    raw = raw_order() if kept is None else {name: raw_order()[name] for name in ("id", *kept)}
    with pytest.raises(Unfit, match="nothing was deleted") as caught:
        woocommerce.order(raw, Delivery(Origin.PUSH, RECEIVED, topic="order.deleted"))
    assert caught.value.rule == "deletion_with_an_order"
    assert "example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("topic", "change"),
    [("customer.updated", {}), ("action.woocommerce_add_to_cart", {}), ("order.created", {"status": "checkout-draft"})],
)
def test_what_is_no_order_is_ignored(topic: str, change: dict[str, Any]) -> None:
    found = woocommerce.order(raw_order() | change, Delivery(Origin.PUSH, RECEIVED, topic=topic))
    assert isinstance(found, Ignored)


def test_elements() -> None:
    page = orjson.dumps([raw_order(), raw_order()])
    assert [element.position for element in woocommerce.elements(page, FILE)] == [1, 2]
    with pytest.raises(Unreadable, match="no JSON"):
        list(woocommerce.elements(b"webhook_id=1", FILE))


def test_signature_topic_and_the_unsigned_ping() -> None:
    push = woocommerce.CHANNEL.push
    assert push is not None
    body = b'{"id":3727}'
    signature = base64.b64encode(hmac.new(b"new", body, hashlib.sha256).digest()).decode()
    headers = {
        "x-wc-webhook-signature": signature,
        "x-wc-webhook-topic": "order.updated",
        "x-wc-webhook-delivery-id": "d1",
    }
    assert [push.verify(headers, body, secret, RECEIVED) for secret in ("new", "old", "")] == [True, False, False]
    assert not push.verify(headers, body[:-1], "new", RECEIVED)
    assert not push.verify({}, body, "new", RECEIVED)
    unsigned = base64.b64encode(hmac.new(b"", body, hashlib.sha256).digest()).decode()
    assert not push.verify({"x-wc-webhook-signature": unsigned}, body, "", RECEIVED)
    meta = push.meta(headers, body, RECEIVED)
    assert (meta.topic, meta.delivery_id, meta.urgency, meta.probe) == ("order.updated", "d1", Urgency.NOW, False)
    assert push.meta({"x-wc-webhook-topic": "product.updated"}, body, RECEIVED).urgency is Urgency.USUAL
    assert push.is_probe({}, b"webhook_id=123")
    assert not push.is_probe({}, b'webhook_id=123&order={"id":1}')
    assert not push.is_probe({}, body)


# ------------------------------------------------------------------------------------------------------------- fuzzing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(raw=JSON)
def test_any_json_gives_a_reason(raw: Any) -> None:
    with pytest.raises(Unfit):
        woocommerce.order(raw, FILE)


@given(data=st.data())
def test_a_spoilt_order_is_read_or_refused(data: st.DataObject) -> None:
    raw = raw_order()
    for _ in range(data.draw(st.integers(1, 3))):
        here: Any = raw
        while True:
            keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(here[key], dict | list) or data.draw(st.booleans()):
                here[key] = data.draw(JSON)
                break
            here = here[key]
    found: Any
    try:
        found = woocommerce.order(
            raw, Delivery(Origin.FILE, RECEIVED, options={"consent_meta_key": "_newsletter_optin"})
        )
    except Unfit as unfit:
        found = unfit
    assert isinstance(found, Order | Unfit)
    assert not isinstance(found, Unfit) or "example.com" not in str(found)


# ------------------------------------------------------------------------------------------------------------ the pull

SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
ACCESS = {"user": "ck_test", "secret": SecretStr("cs_test")}


@dataclass
class Site:
    """WooCommerce's endpoints over a few orders."""

    orders: dict[int, str]  # number → date_modified_gmt
    webhooks: list[dict[str, str]] = field(default_factory=list)
    first_answers: list[Answer] = field(default_factory=list)
    on_page: Callable[["Site", int], None] = lambda _site, _page: None
    tells_totals: bool = True
    answered: int = 0

    def answer(self, request: Received) -> Answer:
        if request.headers.get("Authorization") != "Basic " + base64.b64encode(b"ck_test:cs_test").decode():
            return Answer(401, b'{"code":"woocommerce_rest_cannot_view"}')
        if self.first_answers:
            return self.first_answers.pop(0)
        url = urlsplit(request.target)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        listed = self._webhooks() if url.path == "/wp-json/wc/v3/webhooks" else self._orders(asked)
        size, page = int(asked["per_page"]), int(asked["page"])
        pages = ceil(len(listed) / size)
        headers = {"X-WP-Total": str(len(listed)), "X-WP-TotalPages": str(pages)} if self.tells_totals else {}
        answer = Answer(200, orjson.dumps(listed[(page - 1) * size : page * size]), headers)
        self.on_page(self, page)
        return answer

    def _webhooks(self) -> list[Any]:
        return [{"id": number, **webhook} for number, webhook in enumerate(self.webhooks)]

    def _orders(self, asked: dict[str, str]) -> list[Any]:
        """By time of change WordPress sorts by nothing else: those of one second come in another order each time."""
        assert (asked["dates_are_gmt"], asked["order"]) == ("true", "asc")
        after, before = asked["modified_after"], asked["modified_before"]
        within = sorted((at, number) for number, at in self.orders.items() if after < at < before)
        self.answered += 1
        random.Random(self.answered).shuffle(within)
        within.sort(key={"modified": lambda one: one[0], "id": lambda one: one[1]}[asked["orderby"]])
        return [raw_order() | {"id": number, "number": str(number), "date_modified_gmt": at} for at, number in within]


def orders(count: int) -> dict[int, str]:
    start = datetime(2026, 3, 5, tzinfo=UTC)
    return {number: (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S") for number in range(1, count + 1)}


def pull(server: Server, since: datetime = SINCE, **more: Any) -> list[Page]:
    channel = woocommerce.CHANNEL.pull
    assert channel is not None
    access = Access(url=server.url, **(ACCESS | more))
    with channel.open(access) as api:
        api._sleep = lambda _seconds: None
        return list(channel.pages(api, access, since, UNTIL))


def numbers(pages: list[Page]) -> list[int]:
    return [order["id"] for page in pages for order in orjson.loads(page.body)]


def test_pages_until_the_last() -> None:
    """Each begins in the second in which the one before it ended."""
    with answering(Site(orders(5)).answer) as server:
        pages = pull(server, page_size=3)
    assert [numbers([page]) for page in pages] == [[1, 2, 3], [3, 4, 5]]
    assert [page.until for page in pages] == [datetime(2026, 3, 5, 0, 3, tzinfo=UTC), UNTIL]


def edited_at_once(count: int) -> dict[int, str]:
    """Some orders, of which the middle ones changed in one second."""
    return orders(count) | dict.fromkeys(range(3, count - 1), "2026-03-05T00:03:00")


@pytest.mark.parametrize("tells_totals", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_more_changed_in_one_second_than_a_page_holds(size: int, *, tells_totals: bool) -> None:
    for start in range(3 if size == 1 else 10):  # each time they are sorted otherwise
        site = Site(edited_at_once(20), tells_totals=tells_totals, answered=1000 * start)
        with answering(site.answer) as server:
            pages = pull(server, page_size=size)
        assert set(numbers(pages)) == set(range(1, 21))
        assert pages[-1].until == UNTIL
        assert_promises(pages, site.orders)


def assert_promises(pages: list[Page], changed_at: dict[int, str]) -> None:
    """What a page says of its time holds: all that changed before it was read by then."""
    seen: set[int] = set()
    for page in pages:
        seen |= set(numbers([page]))
        assert page.until is not None
        until = page.until.strftime("%Y-%m-%dT%H:%M:%S")
        assert {number for number, at in changed_at.items() if at < until} <= seen


@pytest.mark.parametrize("moved", [{3}, {3, 4}, {4, 9}, set(range(3, 10))])
@pytest.mark.parametrize("at_answer", [2, 3, 4, 5])
def test_one_of_many_in_one_second_changes_meanwhile(moved: set[int], at_answer: int) -> None:
    def touch(site: Site, _page: int) -> None:
        if site.answered == at_answer:
            site.orders |= dict.fromkeys(moved, "2026-05-01T00:00:00")

    with answering(Site(edited_at_once(20), on_page=touch).answer) as server:
        pages = pull(server, page_size=2)
    # What moved before it was read lies behind the span: the next pull has it.
    assert set(range(1, 21)) - moved <= set(numbers(pages))
    assert pages[-1].until == UNTIL


def test_an_order_that_does_not_say_when_it_changed_hides_no_other() -> None:
    site = Site(orders(5))

    def answer(request: Received) -> Answer:
        given = site.answer(request)
        listed = orjson.loads(given.body)
        for one in listed:
            if one["id"] in nameless:
                one["date_modified_gmt"] = None
        return Answer(given.status, orjson.dumps(listed), given.headers)

    nameless = {2}
    with answering(answer) as server:
        assert set(numbers(pull(server, page_size=2))) == {1, 2, 3, 4, 5}
    nameless = {1, 2}
    with answering(answer) as server, pytest.raises(ChannelUnavailable, match="date_modified_gmt"):
        pull(server, page_size=2)


def test_both_bounds_and_a_page_of_nothing() -> None:
    with answering(Site(orders(5)).answer) as server:
        again = pull(server, since=datetime(2026, 3, 5, 0, 4, tzinfo=UTC))
        nothing = pull(server, since=datetime(2026, 3, 6, tzinfo=UTC))
    assert numbers(again) == [4, 5]
    assert [(page.body, page.until) for page in nothing] == [(b"[]", UNTIL)]


def test_without_the_totals_a_short_page_is_the_last() -> None:
    with answering(Site(orders(5), tells_totals=False).answer) as server:
        assert set(numbers(pull(server, page_size=2))) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("moved", [{1}, {1, 2}, {2, 3}, {1, 2, 3, 4}])
def test_an_order_that_changes_meanwhile_hides_no_other(moved: set[int]) -> None:
    """It leaves the list, and what stands behind it moves up onto a page that was read already."""

    def touch(site: Site, page: int) -> None:
        if page == 1 and site.answered == 2:
            site.orders |= dict.fromkeys(moved, "2026-05-01T00:00:00")

    with answering(Site(orders(9), on_page=touch).answer) as server:
        pages = pull(server, page_size=2)
    assert set(range(1, 10)) - moved <= set(numbers(pages))
    assert pages[-1].until == UNTIL


def test_429_with_retry_after() -> None:
    site = Site(orders(1), first_answers=[Answer(429, b"", {"Retry-After": "1"}), Answer(503)])
    with answering(site.answer) as server:
        assert numbers(pull(server)) == [1]


def test_what_cannot_be_used() -> None:
    with answering(Site(orders(1)).answer) as server:
        with pytest.raises(ChannelRefused, match="lacks a scope") as caught:
            pull(server, secret=SecretStr("cs_other"))
        assert "cs_other" not in str(caught.value)
    for body in (b"<html>", b'{"code":"rest_no_route"}'):
        with (
            answering(Site({}, first_answers=[Answer(200, body)]).answer) as server,
            pytest.raises(ChannelUnavailable),
        ):
            pull(server)


OURS = "https://intake.example.com/orders/woocommerce/shop"


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (["active", "active"], "active"),
        (["active", "paused"], "paused"),
        (["active", "paused", "disabled"], "disabled"),
        ([], "none"),
    ],
)
def test_subscription(states: list[str], state: str) -> None:
    theirs = {"status": "disabled", "topic": "order.updated", "delivery_url": "https://other.example.com"}
    products = {"status": "disabled", "topic": "product.updated", "delivery_url": OURS}
    ours = [{"status": one, "topic": "order.updated", "delivery_url": f"{OURS}/"} for one in states]
    channel = woocommerce.CHANNEL.pull
    assert channel is not None
    assert channel.subscription is not None
    with answering(Site({}, [theirs, products, *ours]).answer) as server:
        for options, expected in (({"delivery_url": OURS}, state), ({}, "unknown")):
            access = Access(url=server.url, options=options, **ACCESS)
            with channel.open(access) as api:
                assert channel.subscription(api, access) == expected
