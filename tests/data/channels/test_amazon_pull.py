"""The pull from Amazon, against a login and a search that behave as the documents say."""

import urllib.parse
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from data.channels import amazon_pull
from data.channels.amazon import CHANNEL
from data.channels.api import Access, ChannelRefused, ChannelUnavailable
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import answer
from tests.providers.loopback import Received, answering

RAW = raw_orders.raw_orders("amazon/page.json")
UNTIL = datetime(2026, 3, 5, tzinfo=UTC)


class Amazon:
    """Login with Amazon and searchOrders, as the documents say."""

    def __init__(self, pages=None, *, lasts=3600):
        self.pages, self.lasts = pages or {"": ({"orders": RAW}, "")}, lasts
        self.valid, self.logins, self.searches = "", 0, []

    def __call__(self, received: Received):
        url = urllib.parse.urlsplit(received.target)
        if url.path == "/auth/o2/token":
            return self.login(dict(urllib.parse.parse_qsl(received.body.decode())))
        if received.headers.get("x-amz-access-token") != self.valid:
            return answer({"errors": [{"code": "Unauthorized", "details": "The access token has expired."}]}, 403)
        assert url.path == "/orders/2026-01-01/orders"
        query = dict(urllib.parse.parse_qsl(url.query, strict_parsing=True))
        self.searches.append(query)
        document, token = self.pages[query.get("paginationToken", "")]
        return answer(document | ({"pagination": {"nextToken": token}} if token else {}))

    def login(self, form):
        expected = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s", "refresh_token": "r"}
        if form != expected:
            return answer({"error": "invalid_grant"}, 400)
        self.logins += 1
        self.valid = f"Atza|{self.logins}"
        return answer({"access_token": self.valid, "token_type": "bearer", "expires_in": self.lasts})


def access(server, **more) -> Access:
    keys = {"user": "app", "secret": "s", "refresh_token": "r", "token_url": f"{server.url}/auth/o2/token"}
    return Access.model_validate({"url": server.url, "marketplaces": ["A1", "A2"], **keys, **more})


def pull(server, since=UNTIL - timedelta(minutes=30), until=UNTIL, **more):
    how = access(server, **more)
    with amazon_pull.PULL.open(how) as api:
        return list(amazon_pull.PULL.pages(api, how, since, until))


def test_a_pull_logs_in_asks_for_everything_and_follows_the_pages():
    amazon = Amazon({"": ({"orders": RAW[:2]}, "t1"), "t1": ({"orders": RAW[2:]}, "")})
    with answering(amazon) as server:
        pages = pull(server)
    assert amazon.logins == 1
    first, second = amazon.searches
    assert first == {
        "lastUpdatedAfter": "2026-03-04T23:30:00Z",
        "lastUpdatedBefore": "2026-03-05T00:00:00Z",
        "marketplaceIds": "A1,A2",
        "includedData": "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT",
        "maxResultsPerPage": "100",
    }
    assert second == first | {"paginationToken": "t1"}  # "all other parameters must be provided with the same values"
    assert [page.until for page in pages] == [None, UNTIL]  # no order is promised, so the cursor waits for the last
    elements = [one for page in pages for one in CHANNEL.elements(page.body, raw_orders.delivery())]
    assert [one.payload for one in elements] == RAW


def test_it_never_asks_for_the_last_two_minutes():
    amazon = Amazon()
    now = datetime.now(UTC)
    with answering(amazon) as server:
        (page,) = pull(server, now - timedelta(minutes=20), now)
    asked = datetime.fromisoformat(amazon.searches[0]["lastUpdatedBefore"])
    assert now - timedelta(minutes=3) < asked <= datetime.now(UTC) - timedelta(minutes=2)
    assert page.until <= now - timedelta(minutes=2)
    assert pull(server, now - timedelta(minutes=1), now) == []


def test_a_long_time_is_cut_into_growing_spans_without_a_gap():
    amazon = Amazon({"": ({"orders": []}, "")})
    with answering(amazon) as server:
        pages = pull(server, UNTIL - timedelta(days=60))
    spans = [(one["lastUpdatedAfter"], one["lastUpdatedBefore"]) for one in amazon.searches]
    assert len(spans) == 11  # of 20 that may be asked at once
    assert [end for _, end in spans[:-1]] == [begin for begin, _ in spans[1:]]
    assert (spans[0][0], spans[-1][1]) == ("2026-01-04T00:00:00Z", "2026-03-05T00:00:00Z")
    assert [page.until for page in pages] == sorted(page.until for page in pages)


def test_the_rate_that_is_used_up_ends_the_pull_and_keeps_what_came():
    amazon = Amazon({"": ({"orders": []}, "again"), "again": ({"orders": []}, "again")})
    with answering(amazon) as server:
        how = access(server)
        with amazon_pull.PULL.open(how) as api:
            pages = amazon_pull.PULL.pages(api, how, UNTIL - timedelta(hours=1), UNTIL)
            came = list(islice(pages, 20))
            with pytest.raises(ChannelUnavailable, match="rate limit is used up"):
                next(pages)
    assert len(came) == 20
    assert len(amazon.searches) == 20


def test_a_token_that_ended_is_renewed():
    amazon = Amazon({"": ({"orders": []}, "t1"), "t1": ({"orders": []}, "")})
    with answering(amazon) as server:
        how = access(server)
        with amazon_pull.PULL.open(how) as api:
            pages = amazon_pull.PULL.pages(api, how, UNTIL - timedelta(minutes=9), UNTIL)
            next(pages)
            amazon.valid = "ended before its time"
            assert len(list(pages)) == 1
    assert amazon.logins == 2


def test_a_token_of_no_time_is_bought_for_each_request():
    amazon = Amazon({"": ({"orders": []}, "t1"), "t1": ({"orders": []}, "")}, lasts=30)
    with answering(amazon) as server:
        pull(server)
    assert amazon.logins == 2


def test_a_wrong_secret_names_what_to_check_and_repeats_none_of_it():
    with answering(Amazon()) as server, pytest.raises(ChannelRefused, match="refresh_token") as told:
        pull(server, secret="wr0ng-secret")
    assert "wr0ng-secret" not in str(told.value)


def test_a_key_without_the_role_is_refused():
    def no_role(received):
        if "token" in received.target:
            return answer({"access_token": "Atza|x", "expires_in": 3600})
        return answer({"errors": [{"code": "Unauthorized"}]}, 403)

    with answering(no_role) as server, pytest.raises(ChannelRefused, match="lacks a scope"):
        pull(server)
    assert len(server.requests) == 2  # a fresh token is not bought again


@pytest.mark.parametrize("status", [429, 503])
def test_a_channel_that_says_later_is_asked_later(status):
    amazon = Amazon()
    turns = iter([answer({}, status, {"Retry-After": "0"})])

    def busy_once(received):
        return next(turns, None) if "orders" in received.target and not amazon.searches else None

    with answering(lambda received: busy_once(received) or amazon(received)) as server:
        (page,) = pull(server)
    assert page.until == UNTIL
    assert len([one for one in server.requests if "orders" in one.target]) == 2


def test_a_channel_that_puts_off_for_long_ends_the_pull():
    def busy(received):
        if "token" in received.target:
            return answer({"access_token": "Atza|x", "expires_in": 3600})
        return answer({}, 429, {"Retry-After": "900"})

    with answering(busy) as server, pytest.raises(ChannelUnavailable):
        pull(server)


@pytest.mark.parametrize("document", [{}, {"orders": None}, []])
def test_an_answer_of_another_shape_is_not_taken_for_empty(document):
    def odd(received):
        return answer({"access_token": "a", "expires_in": 3600} if "token" in received.target else document)

    with answering(odd) as server, pytest.raises(ChannelUnavailable, match="orders"):
        pull(server)


def test_a_version_that_is_not_there_is_told_before_anything_is_asked():
    with pytest.raises(ChannelRefused, match="v0"):
        amazon_pull.PULL.open(Access(url="https://spapi.example.com", version="v1"))
