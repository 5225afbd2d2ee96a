"""The pull from Medusa, against a server that filters, sorts and pages as the documents say."""

import base64
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest

from data.channels import medusa_pull
from data.channels.api import Access, ChannelRefused, ChannelUnavailable
from data.channels.medusa import CHANNEL
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import answer
from tests.providers.loopback import answering

RAW = raw_orders.raw_orders("medusa/page.json")
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
KEY = base64.b64encode(b"sk_test:").decode()


class Medusa:
    """GET /admin/orders as the documents say."""

    def __init__(self, orders):
        self.orders, self.asked = orders, []
        self.after_each = lambda _medusa: None

    def __call__(self, received):
        if received.headers.get("Authorization") != f"Basic {KEY}":
            return answer({"message": "Unauthorized"}, 401)
        url = urllib.parse.urlsplit(received.target)
        assert url.path == "/admin/orders"
        query = dict(urllib.parse.parse_qsl(url.query))
        self.asked.append(query)
        begin, end = (datetime.fromisoformat(query[f"updated_at[{how}]"]) for how in ("$gte", "$lt"))
        found = [one for one in self.orders if begin <= datetime.fromisoformat(one["updated_at"]) < end]
        found.sort(key=lambda one: one["updated_at"])
        offset, limit = int(query["offset"]), int(query["limit"])
        page = {"orders": found[offset : offset + limit], "count": len(found), "offset": offset, "limit": limit}
        reply = answer(page)
        self.after_each(self)
        return reply


def order(number, at="2026-03-10T10:00:00.000Z"):
    return {"id": f"order_{number}", "updated_at": at}


def pull(server, since=SINCE, until=UNTIL, **more):
    how = Access.model_validate({"url": server.url, "token": "sk_test", **more})
    with medusa_pull.PULL.open(how) as api:
        return list(medusa_pull.PULL.pages(api, how, since, until))


def ids(pages):
    return [one.payload["id"] for page in pages for one in CHANNEL.elements(page.body, raw_orders.delivery())]


def test_a_pull_asks_with_the_secret_key_for_all_that_an_order_needs():
    medusa = Medusa(RAW)
    with answering(medusa) as server:
        (page,) = pull(server, until=UNTIL + timedelta(days=9))
    assert len(ids([page])) == 3
    assert page.until == UNTIL + timedelta(days=9)
    (query,) = medusa.asked
    asked = query.pop("fields").split(",")
    assert {"+email", "+payment_status", "+no_notification", "*items", "*transactions", "*fulfillments.labels"} <= set(
        asked
    )
    assert all(name[0] in "+*" for name in asked)  # without a sign, a name would replace what the list shows anyway
    assert query == {
        "updated_at[$gte]": "2026-03-01T00:00:00+00:00",
        "updated_at[$lt]": "2026-04-10T00:00:00+00:00",
        "order": "updated_at",
        "limit": "100",
        "offset": "0",
    }


def test_many_orders_come_in_pages_and_move_the_cursor():
    with answering(Medusa([order(number, f"2026-03-10T10:00:{number:02}.500Z") for number in range(7)])) as server:
        pages = pull(server, page_size=3)
    assert set(ids(pages)) == {f"order_{number}" for number in range(7)}
    assert [page.until for page in pages] == sorted(page.until for page in pages)
    assert pages[0].until == datetime(2026, 3, 10, 10, 0, 2, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("count", [6, 7])
def test_more_orders_at_one_instant_than_a_page_holds(count):
    with answering(Medusa([order(number) for number in range(count)])) as server:
        assert set(ids(pull(server, page_size=3))) == {f"order_{number}" for number in range(count)}


def test_an_order_that_changes_while_the_list_is_read_hides_no_other():
    medusa = Medusa([order(number, f"2026-03-10T10:00:{number:02}.500Z") for number in range(6)])

    def first_one_changes(shop):
        shop.orders[0]["updated_at"] = "2026-04-01T00:00:05.000Z"  # beyond what is asked for

    medusa.after_each = first_one_changes
    with answering(medusa) as server:
        assert set(ids(pull(server, page_size=3))) == {f"order_{number}" for number in range(6)}


def test_a_wrong_key_names_what_to_check():
    with answering(Medusa([])) as server, pytest.raises(ChannelRefused, match="the key in"):
        pull(server, token="sk_wrong")


@pytest.mark.parametrize("status", [429, 503])
def test_a_shop_that_says_later_is_asked_later(status):
    medusa, turns = Medusa([order(1)]), iter([answer({}, status, {"Retry-After": "0"})])
    with answering(lambda received: next(turns, None) or medusa(received)) as server:
        assert ids(pull(server)) == ["order_1"]
    with answering(lambda _received: answer({}, status, {"Retry-After": "900"})) as server:
        with pytest.raises(ChannelUnavailable):
            pull(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize("document", [[], {}, {"orders": [{}]}, {"orders": [{}], "count": 9}])
def test_an_answer_of_another_shape_is_not_taken_for_empty(document):
    with answering(lambda _received: answer(document)) as server, pytest.raises(ChannelUnavailable):
        pull(server)
