"""The pull, against a server that filters, sorts and pages as WooCommerce's documents say (and one like Medusa's)."""

import base64
import json
import random
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from data.accounts import UnknownAccount
from data.channels import registry
from data.channels.api import ChannelRefused, ChannelUnavailable, PutOff
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connection, Connections
from data.channels.registry import UnknownChannel
from data.intake import pull
from data.intake.pull import NothingToPull, PullReport
from tests.conftest import NOW
from tests.data.intake import feed, pushes
from tests.providers.loopback import Answer, Received, answering

pytestmark = pytest.mark.usefixtures("account_id")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = f"Basic {base64.b64encode(b'ck_1:cs_1').decode()}"
TEMPLATE = json.loads(pushes.WOOCOMMERCE.body)
BUSY = Answer(503, headers={"Retry-After": "900"})
PATIENCE = Answer(429, headers={"Retry-After": "900"})
OURS = "https://mail.example.com/orders/woocommerce/shop"


def gmt(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


class WooCommerce:
    """GET /wp-json/wc/v3/orders and /webhooks. `answers`: what it says instead, request by request; None: the truth."""

    def __init__(self) -> None:
        self.orders: dict[int, dict] = {}
        self.webhooks: list[dict] = []
        self.asked: list[dict[str, str]] = []
        self.answers: list[Answer | None] = []
        self.url = ""

    def change(self, number: int, at: datetime, **fields: object) -> bytes:
        """Make or change an order; return it as a webhook's body."""
        same = {"id": number, "number": str(number), "date_created_gmt": gmt(at - DAY), "date_modified_gmt": gmt(at)}
        known = self.orders.get(number, TEMPLATE)
        self.orders[number] = known | same | fields | ({"id": number})
        return json.dumps(self.orders[number]).encode()

    def __call__(self, received: Received) -> Answer:
        if received.headers.get("Authorization") != KEY:
            return Answer(401, b'{"code": "woocommerce_rest_cannot_view"}')
        url = urllib.parse.urlsplit(received.target)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/wp-json/wc/v3/webhooks":
            return self._page(self.webhooks, query)
        assert url.path == "/wp-json/wc/v3/orders"
        self.asked.append(query)
        if self.answers and (instead := self.answers.pop(0)) is not None:
            return instead
        assert (query["dates_are_gmt"], query["order"]) == ("true", "asc")
        inside = (
            one
            for one in self.orders.values()
            if query["modified_after"] < one["date_modified_gmt"] < query["modified_before"]
        )
        by = {"modified": lambda one: one["date_modified_gmt"], "id": lambda one: one["id"]}
        return self._page(sorted(inside, key=by[query["orderby"]]), query)

    def _page(self, found: list[dict], query: dict[str, str]) -> Answer:
        page, size = int(query["page"]), int(query["per_page"])
        headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // size))}
        return Answer(200, json.dumps(found[(page - 1) * size : page * size]).encode(), headers)


@contextmanager
def open_shop() -> Iterator[WooCommerce]:
    shop = WooCommerce()
    with answering(shop) as server:
        shop.url = server.url
        yield shop


@pytest.fixture
def shop() -> Iterator[WooCommerce]:
    with open_shop() as opened:
        yield opened


def connection(shop: WooCommerce, *, webhook_secrets: tuple[str, ...] = (), **api) -> Connection:
    access = {"url": shop.url, "user": "ck_1", "secret": "cs_1", "page_size": 2, **api}
    said = {"account": "shop", "channel": "woocommerce", "webhook_secrets": webhook_secrets, "api": access}
    return Connection.model_validate(said)


def pulled(engine: sa.Engine, shop: WooCommerce, at: datetime = NOW, **given) -> PullReport:
    return pull.pull(engine, connection(shop, **given), clock=lambda: at)


def drained(engine: sa.Engine, at: datetime = NOW) -> dict[str, int]:
    known = Connections.model_validate({"connections": [{"account": "shop", "channel": "woocommerce"}]})
    return feed.drained(engine, connections=known, now=at).counts()


def cursor(engine: sa.Engine) -> sa.Row:
    with database.read(engine) as transaction:
        return transaction.execute(sa.select(tables.intake_cursors)).one()


def stored(engine: sa.Engine) -> list[sa.Row]:
    record = tables.intake_records.c
    query = sa.select(record.origin, record.urgency, record.source, record.received_at).order_by(record.id)
    with database.read(engine) as transaction:
        return list(transaction.execute(query))


def numbers(engine: sa.Engine) -> set[str]:
    with database.read(engine) as transaction:
        return set(transaction.scalars(sa.select(tables.orders.c.external_id)))


class TestHowFarBack:
    def test_the_first_pull_reaches_back_sixty_days(self, engine, shop):
        shop.change(1, NOW - 61 * DAY)
        shop.change(2, NOW - 59 * DAY)
        report = pulled(engine, shop)
        assert (report.pages, report.new, report.since, report.until) == (1, 1, NOW - 60 * DAY, NOW)
        drained(engine)
        assert numbers(engine) == {"2"}

    def test_or_as_far_as_the_connection_says(self, engine, shop):
        shop.change(1, NOW - 61 * DAY)
        shop.change(2, NOW - 99 * DAY)
        pulled(engine, shop, since_days=90)
        drained(engine)
        assert numbers(engine) == {"1"}

    def test_the_next_one_begins_a_little_before_where_the_last_one_ended(self, engine, shop):
        pulled(engine, shop)
        report = pulled(engine, shop, NOW + 15 * MINUTE)
        overlap = registry.get("woocommerce").pull.overlap
        assert overlap >= 5 * MINUTE
        assert (report.since, report.until) == (NOW - overlap, NOW + 15 * MINUTE)
        assert shop.asked[-1]["modified_after"] == gmt(NOW - overlap - timedelta(seconds=1))
        assert shop.asked[-1]["modified_before"] == gmt(NOW + 15 * MINUTE)

    def test_the_cursor_stands_where_the_last_page_says_and_not_where_we_asked(self, engine, shop):
        """WooCommerce counts whole seconds, so what changes within the present one is in the next pull."""
        pulled(engine, shop, NOW + timedelta(microseconds=900_000))
        assert cursor(engine).read_until == NOW


class TestWhatIsRead:
    def test_pages_become_records_and_orders(self, engine, shop):
        for number in range(5):
            shop.change(number, NOW - number * HOUR)
        shop.change(0, NOW - HOUR / 2)
        report = pulled(engine, shop)
        assert report.pages == report.new == len(stored(engine)) > 2
        counts = drained(engine)
        assert (counts["records"], counts["loaded"], counts["refused"]) == (report.new, 5, 0)

    def test_what_is_read_twice_changes_nothing(self, engine, shop):
        for number in range(3):
            shop.change(number, NOW - number * MINUTE - MINUTE)
        pulled(engine, shop)
        drained(engine)
        report = pulled(engine, shop, NOW + 2 * MINUTE)
        assert report.pages > 1
        counts = drained(engine, NOW + 2 * MINUTE)
        assert counts["unchanged"] == counts["orders"] > 2

    def test_an_empty_page_is_no_record_and_moves_the_cursor(self, engine, shop):
        report = pulled(engine, shop)
        assert (report.pages, report.new, stored(engine)) == (0, 0, [])
        assert cursor(engine).read_until == NOW

    def test_a_page_that_nobody_can_read_is_kept_and_becomes_a_dead_letter(self, engine, shop, monkeypatch):
        woocommerce = registry.get("woocommerce")

        def broken(_body: bytes, _delivery: object) -> Iterator:
            raise ValueError("jo@example.com")

        monkeypatch.setitem(registry.CHANNELS, "woocommerce", replace(woocommerce, elements=broken))
        shop.change(1, NOW - HOUR)
        assert pulled(engine, shop).new == 1
        drained(engine)
        (letter,) = feed.letters(engine)
        assert letter.rule == "unreadable"

    def test_a_webhook_that_never_came_is_made_up_for(self, engine, shop):
        pulled(engine, shop, NOW - HOUR)
        for number in range(1, 8):
            body = shop.change(number, NOW - number * MINUTE)
            if number not in {3, 6}:  # the planted gaps
                push = feed.Incoming(body, Origin.PUSH, "push order.created", NOW, "order.created", urgency=Urgency.NOW)
                feed.keep(engine, push, channel="woocommerce")
        drained(engine)
        assert numbers(engine) == {"1", "2", "4", "5", "7"}
        pulled(engine, shop)
        counts = drained(engine)
        assert (counts["loaded"], counts["updated"], counts["refused"]) == (2, 0, 0)
        assert numbers(engine) == {"1", "2", "3", "4", "5", "6", "7"}

    def test_medusa_is_read_by_the_same_hand(self, engine):
        orders = json.loads((pushes.PAYLOADS / "medusa/page.json").read_text())["orders"]
        page = {"orders": orders, "count": len(orders), "offset": 0, "limit": 100}
        with answering(lambda _: Answer(200, json.dumps(page).encode())) as server:
            said = {"account": "shop", "channel": "medusa", "api": {"url": server.url, "token": "sk_1"}}
            report = pull.pull(engine, Connection.model_validate(said), clock=lambda: NOW)
        assert (report.pages, report.new, report.until) == (1, 1, NOW)


class TestUrgency:
    def test_history_waits(self, engine, shop):
        shop.change(1, NOW - HOUR)
        pulled(engine, shop)
        assert [row.urgency for row in stored(engine)] == [Urgency.BULK]

    @pytest.mark.parametrize(("secrets", "urgency"), [((), Urgency.NOW), (("s",), Urgency.USUAL)])
    def test_news_are_urgent_where_no_push_brings_them(self, engine, shop, secrets, urgency):
        pulled(engine, shop)
        shop.change(1, NOW + MINUTE)
        pulled(engine, shop, NOW + 15 * MINUTE, webhook_secrets=secrets)
        assert [row.urgency for row in stored(engine)] == [urgency]

    def test_what_is_left_of_the_history_after_an_error_waits_too(self, engine, shop):
        for number in range(4):
            shop.change(number, NOW - (40 - number) * DAY)
        shop.answers = [None, BUSY]
        with pytest.raises(ChannelUnavailable):
            pulled(engine, shop)
        pulled(engine, shop, NOW + 15 * MINUTE)
        assert {row.urgency for row in stored(engine)} == {Urgency.BULK}


class TestErrors:
    def test_an_error_keeps_the_cursor_and_is_noted_and_the_next_pull_clears_it(self, engine, shop):
        pulled(engine, shop)
        shop.change(1, NOW + MINUTE)
        shop.answers = [BUSY]
        with pytest.raises(ChannelUnavailable):
            pulled(engine, shop, NOW + 15 * MINUTE)
        noted = cursor(engine)
        assert (noted.read_until, noted.asked_at) == (NOW, NOW + 15 * MINUTE)
        assert noted.error == "127.0.0.1 answers 503: the next pull goes on from the same place"
        pulled(engine, shop, NOW + 30 * MINUTE)
        assert (cursor(engine).read_until, cursor(engine).error) == (NOW + 30 * MINUTE, None)
        drained(engine)
        assert numbers(engine) == {"1"}

    def test_what_came_before_it_stays_and_the_next_pull_goes_on_behind(self, engine, shop):
        for number in range(6):
            shop.change(number, NOW - (60 - number) * HOUR)
        shop.answers = [None, None, BUSY]
        with pytest.raises(ChannelUnavailable):
            pulled(engine, shop)
        assert len(stored(engine)) == 2
        until = cursor(engine).read_until
        assert NOW - 60 * HOUR < until < NOW - 56 * HOUR  # that of the last order of the second page
        shop.asked.clear()
        pulled(engine, shop, NOW + MINUTE)
        assert shop.asked[0]["modified_after"] >= gmt(until - 6 * MINUTE)
        drained(engine)
        assert numbers(engine) == {str(number) for number in range(6)}

    def test_pulls_that_fail_again_and_again_never_walk_back(self, engine, shop):
        for number in range(40):
            shop.change(number, NOW - (40 - number) * MINUTE)
        pulled(engine, shop)
        at = NOW
        for _ in range(5):
            at += MINUTE
            shop.answers = [None, BUSY]  # the first page lies within the overlap, before the cursor
            with pytest.raises(ChannelUnavailable):
                pulled(engine, shop, at)
            assert cursor(engine).read_until == NOW

    def test_one_killed_in_the_middle_has_stored_what_its_cursor_says(self, engine, shop, monkeypatch):
        for number in range(4):
            shop.change(number, NOW - (4 - number) * HOUR)
        woocommerce = registry.get("woocommerce")

        def dying(*given: object) -> Iterator:
            yield next(iter(woocommerce.pull.pages(*given)))
            raise KeyboardInterrupt

        killed = replace(woocommerce, pull=replace(woocommerce.pull, pages=dying))
        monkeypatch.setitem(registry.CHANNELS, "woocommerce", killed)
        with pytest.raises(KeyboardInterrupt):
            pulled(engine, shop)
        assert (len(stored(engine)), cursor(engine).read_until) == (1, NOW - 3 * HOUR)
        monkeypatch.undo()
        pulled(engine, shop)
        drained(engine)
        assert numbers(engine) == {"0", "1", "2", "3"}

    def test_a_page_that_cannot_be_stored_does_not_move_the_cursor(self, engine, shop, monkeypatch):
        pulled(engine, shop)
        shop.change(1, NOW + MINUTE)

        def full(*_given: object) -> int:
            raise sa.exc.OperationalError("INSERT", {}, OSError("disk full"))

        monkeypatch.setattr(pull.records, "store", full)
        with pytest.raises(sa.exc.OperationalError):
            pulled(engine, shop, NOW + 15 * MINUTE)
        assert cursor(engine).read_until == NOW
        assert "OperationalError" in cursor(engine).error

    def test_a_wrong_key_names_what_to_check_and_repeats_nothing_of_it(self, engine, shop):
        with pytest.raises(ChannelRefused, match=r"the key in channels\.yaml is wrong"):
            pulled(engine, shop, secret="cs_wrong")
        assert "the key in channels.yaml is wrong" in cursor(engine).error
        assert "cs_wrong" not in cursor(engine).error
        assert cursor(engine).read_until is None

    def test_a_fault_of_ours_is_noted_by_its_name_only(self, engine, shop, monkeypatch):
        woocommerce = registry.get("woocommerce")

        def faulty(*_given: object) -> Iterator:
            raise KeyError("jo@example.com")

        broken = replace(woocommerce, pull=replace(woocommerce.pull, pages=faulty))
        monkeypatch.setitem(registry.CHANNELS, "woocommerce", broken)
        with pytest.raises(KeyError):
            pulled(engine, shop)
        assert cursor(engine).error == "it broke off (KeyError): the log of the flow pull-orders says where"


class TestPutOff:
    def test_a_channel_that_puts_us_off_after_some_pages_is_no_failure(self, engine, shop):
        for number in range(6):
            shop.change(number, NOW - (60 - number) * HOUR)
        shop.answers = [None, PATIENCE]
        report = pulled(engine, shop)
        assert (report.pages, report.until) == (1, NOW - 59 * HOUR)
        assert (cursor(engine).read_until, cursor(engine).error) == (NOW - 59 * HOUR, None)
        assert cursor(engine).asked_at == NOW
        pulled(engine, shop, NOW + MINUTE)
        drained(engine)
        assert numbers(engine) == {str(number) for number in range(6)}

    def test_before_the_first_it_is(self, engine, shop):
        pulled(engine, shop)
        shop.answers = [PATIENCE]
        with pytest.raises(PutOff):
            pulled(engine, shop, NOW + 15 * MINUTE)
        assert cursor(engine).error == "127.0.0.1 answers 429: the next pull goes on from the same place"
        assert cursor(engine).read_until == NOW


class TestSubscription:
    @pytest.mark.parametrize("state", ["active", "paused", "disabled"])
    def test_the_state_of_our_webhook_there_is_noted(self, engine, shop, state):
        shop.webhooks = [{"delivery_url": OURS, "topic": "order.updated", "status": state}]
        pulled(engine, shop, options={"delivery_url": OURS})
        assert cursor(engine).subscription == state

    def test_that_there_is_none_is_noted_too(self, engine, shop):
        pulled(engine, shop, options={"delivery_url": OURS})
        assert cursor(engine).subscription == "none"

    def test_a_key_that_may_not_see_it_spoils_nothing(self, engine, shop, monkeypatch):
        def refused(*_given: object) -> str:
            raise ChannelRefused("no")

        woocommerce = registry.get("woocommerce")
        blind = replace(woocommerce, pull=replace(woocommerce.pull, subscription=refused))
        monkeypatch.setitem(registry.CHANNELS, "woocommerce", blind)
        pulled(engine, shop)
        assert (cursor(engine).subscription, cursor(engine).read_until) == ("unknown", NOW)

    def test_an_error_says_nothing_of_it(self, engine, shop):
        shop.webhooks = [{"delivery_url": OURS, "topic": "order.updated", "status": "disabled"}]
        pulled(engine, shop, options={"delivery_url": OURS})
        shop.answers = [BUSY]
        with pytest.raises(ChannelUnavailable):
            pulled(engine, shop, NOW + MINUTE, options={"delivery_url": OURS})
        assert cursor(engine).subscription == "disabled"


class TestWhatCannotBe:
    def test_a_connection_without_an_api(self, engine):
        with pytest.raises(NothingToPull, match=r"csv of shop has no api in channels\.yaml"):
            pull.pull(engine, Connection(account="shop", channel="csv"), clock=lambda: NOW)

    def test_a_channel_that_cannot_be_asked(self, engine):
        said = {"account": "shop", "channel": "csv", "api": {"url": "https://x.test"}}
        with pytest.raises(NothingToPull, match="csv of shop cannot be asked, only push or send files"):
            pull.pull(engine, Connection.model_validate(said), clock=lambda: NOW)

    def test_an_adapter_that_there_is_not(self, engine):
        with pytest.raises(UnknownChannel):
            pull.pull(engine, Connection(account="shop", channel="teletext"), clock=lambda: NOW)

    def test_an_account_that_there_is_not_is_told_before_anything_is_asked(self, engine, shop):
        said = connection(shop).model_copy(update={"account": "shpo"})
        with pytest.raises(UnknownAccount, match="'shpo'"):
            pull.pull(engine, said, clock=lambda: NOW)
        assert shop.asked == []


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_and_fails_meanwhile_in_the_end_all_is_read(engine, seed) -> None:
    dice = random.Random(seed)
    at, latest = NOW - 2 * HOUR, {}
    with open_shop() as shop:
        for _ in range(12):
            for _ in range(dice.randrange(8)):
                at += dice.randrange(1, 400) * timedelta(seconds=1)
                number, total = dice.randrange(30), f"{dice.randrange(10_000, 90_000) / 100:.2f}"
                shop.change(number, at, total=total)
                latest[str(number)] = total
            at += timedelta(seconds=dice.randrange(1, 600))
            shop.answers = [dice.choice([None, None, None, BUSY, PATIENCE]) for _ in range(6)]
            with suppress(ChannelUnavailable):
                pulled(engine, shop, at)
            if dice.random() < 0.5:
                drained(engine, at)
        shop.answers = []
        pulled(engine, shop, at + HOUR)
    assert drained(engine, at + HOUR)["refused"] == 0
    with database.read(engine) as transaction:
        held = transaction.execute(sa.select(tables.orders.c.external_id, tables.orders.c.total)).all()
    assert {row.external_id: f"{row.total:.2f}" for row in held} == latest
