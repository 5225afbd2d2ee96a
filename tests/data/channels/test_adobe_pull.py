"""The pull from Adobe Commerce, against a server that searches, pages and joins as the documents say."""

import json
import urllib.parse
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from data.channels import adobe_pull
from data.channels.adobe import CHANNEL
from data.channels.api import Access, ChannelRefused, ChannelUnavailable
from data.channels.channel import Element
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import answer
from tests.providers.loopback import answering

RAW = raw_orders.raw_orders("adobe/page.json")
SALE, CANCELLED = range(2)
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, 0, 0, 0, 700_000, tzinfo=UTC)


def judged(raw):
    return raw_orders.judged(CHANNEL, Element(1, raw))


class Magento:
    """The four searches, as the documents say: all filter groups hold, and a page behind the last is the last again."""

    def __init__(self, orders, *, memos=(), shipments=(), customers=()):
        self.rows = {
            "/rest/V1/orders": orders,
            "/rest/V1/creditmemos": memos,
            "/rest/V1/shipments": shipments,
            "/rest/V1/customers/search": customers,
        }
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.after_each = lambda _magento: None

    def __call__(self, received):
        if received.headers.get("Authorization") != "Bearer t0ken":
            return answer({"message": "The consumer isn't authorized to access %resources."}, 401)
        url = urllib.parse.urlsplit(received.target)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.asked.append((url.path, query))
        found = [row for row in self.rows[url.path] if self._fits(row, query)]
        sort = [
            query[f"searchCriteria[sortOrders][{number}][field]"]
            for number in range(2)
            if f"searchCriteria[sortOrders][{number}][field]" in query
        ]
        found.sort(key=lambda row: [row.get(name) or 0 for name in sort])
        size, page = int(query["searchCriteria[pageSize]"]), int(query["searchCriteria[currentPage]"])
        last = max(1, -(-len(found) // size))
        begin = (min(page, last) - 1) * size
        reply = answer({"items": found[begin : begin + size] or None, "search_criteria": {}, "total_count": len(found)})
        self.after_each(self)
        return reply

    def _fits(self, row, query):
        for number in range(2):
            group = f"searchCriteria[filter_groups][{number}][filters][0]"
            if f"{group}[field]" not in query:
                continue
            value, wanted = str(row.get(query[f"{group}[field]"], row.get("id"))), query[f"{group}[value]"]
            how = query[f"{group}[condition_type]"]
            fits = {"gteq": value >= wanted, "lt": value < wanted, "in": value in wanted.split(",")}[how]
            if not fits:
                return False
        return True


def order(number, updated_at="2026-03-10 10:00:00", **more):
    return {"entity_id": number, "updated_at": updated_at, **more}


def pull(server, since=SINCE, until=UNTIL, **more):
    how = Access.model_validate({"url": server.url, "token": "t0ken", **more})
    with adobe_pull.PULL.open(how) as api:
        return list(adobe_pull.PULL.pages(api, how, since, until))


def ids(pages):
    return [one.payload["entity_id"] for page in pages for one in CHANNEL.elements(page.body, raw_orders.delivery())]


def test_a_pull_joins_what_the_api_keeps_apart():
    bare = [
        {name: value for name, value in raw.items() if name not in {"credit_memos", "shipments", "customer"}}
        for raw in RAW
    ]
    customer = RAW[SALE]["customer"] | {"email": "ann@example.com", "dob": "1980-01-01", "addresses": [{"city": "Ulm"}]}
    magento = Magento(bare, memos=RAW[SALE]["credit_memos"], shipments=RAW[SALE]["shipments"], customers=[customer])
    with answering(magento) as server:
        (page,) = pull(server)
    assert page.until == UNTIL.replace(microsecond=0)  # Magento counts whole seconds
    elements = list(CHANNEL.elements(page.body, raw_orders.delivery()))
    assert judged(elements[0].payload) == judged(RAW[SALE])
    assert judged(elements[1].payload) == judged(RAW[CANCELLED])
    assert b"dob" not in page.body
    path, query = magento.asked[0]
    assert (path, query) == (
        "/rest/V1/orders",
        {
            "searchCriteria[filter_groups][0][filters][0][field]": "updated_at",
            "searchCriteria[filter_groups][0][filters][0][condition_type]": "gteq",
            "searchCriteria[filter_groups][0][filters][0][value]": "2026-03-01 00:00:00",
            "searchCriteria[filter_groups][1][filters][0][field]": "updated_at",
            "searchCriteria[filter_groups][1][filters][0][condition_type]": "lt",
            "searchCriteria[filter_groups][1][filters][0][value]": "2026-04-01 00:00:00",
            "searchCriteria[sortOrders][0][field]": "updated_at",
            "searchCriteria[sortOrders][0][direction]": "ASC",
            "searchCriteria[sortOrders][1][field]": "entity_id",
            "searchCriteria[sortOrders][1][direction]": "ASC",
            "searchCriteria[pageSize]": "100",
            "searchCriteria[currentPage]": "1",
        },
    )


def test_an_empty_shop_gives_one_empty_page():
    with answering(Magento([])) as server:
        (page,) = pull(server)
    assert ids([page]) == []


def test_many_orders_come_in_pages_and_move_the_cursor():
    orders = [order(number, f"2026-03-10 10:00:{number:02}") for number in range(7)]
    with answering(Magento(orders)) as server:
        pages = pull(server, page_size=3)
    assert set(ids(pages)) == set(range(7))
    assert [page.until for page in pages] == sorted(page.until for page in pages)
    assert pages[0].until == datetime(2026, 3, 10, 10, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize("count", [6, 7])
def test_more_orders_in_one_second_than_a_page_holds(count):
    with answering(Magento([order(number) for number in range(count)])) as server:
        assert set(ids(pull(server, page_size=3))) == set(range(count))


def test_an_order_that_changes_while_the_list_is_read_hides_no_other():
    magento = Magento([order(number, f"2026-03-10 10:00:{number:02}") for number in range(6)])

    def first_one_changes(shop):
        shop.rows["/rest/V1/orders"][0]["updated_at"] = "2026-04-01 00:00:05"  # beyond what is asked for

    magento.after_each = first_one_changes
    with answering(magento) as server:
        assert set(ids(pull(server, page_size=3))) == set(range(6))


def test_joins_have_pages_too():
    memos = [{"entity_id": number, "order_id": 1, "grand_total": 1} for number in range(250)]
    magento = Magento([order(1)], memos=memos)
    with answering(magento) as server:
        (page,) = pull(server)
    assert len(json.loads(page.body)["items"][0]["credit_memos"]) == 250
    assert Counter(path for path, _ in magento.asked)["/rest/V1/creditmemos"] == 3


def test_money_goes_through_the_pull_unharmed():
    with answering(Magento([order(1, grand_total=0.1 + 0.2)])) as server:
        (page,) = pull(server)
    assert json.loads(page.body)["items"][0]["grand_total"] == 0.1 + 0.2


def test_a_wrong_token_names_what_to_check():
    with answering(Magento([])) as server, pytest.raises(ChannelRefused, match="the key in"):
        pull(server, token="wrong")


@pytest.mark.parametrize("status", [429, 503])
def test_a_shop_that_says_later_is_asked_later(status):
    magento, turns = Magento([order(1)]), iter([answer({}, status, {"Retry-After": "0"})])
    with answering(lambda received: next(turns, None) or magento(received)) as server:
        assert ids(pull(server)) == [1]
    with answering(lambda _received: answer({}, status, {"Retry-After": "900"})) as server:
        with pytest.raises(ChannelUnavailable):
            pull(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize("document", [[], {}, {"items": [{}]}, {"items": [{}] * 100, "total_count": 200}])
def test_an_answer_of_another_shape_is_not_taken_for_empty(document):
    with answering(lambda _received: answer(document)) as server, pytest.raises(ChannelUnavailable):
        pull(server, UNTIL - timedelta(hours=1))
