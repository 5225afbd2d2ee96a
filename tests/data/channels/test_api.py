"""The client of the pulls, against real servers that put it off, break off, and lead elsewhere."""

import socket
import time
from collections.abc import Iterator
from email.utils import formatdate

import httpx
import pytest
from pydantic import ValidationError

from data.channels.api import Access, Api, ChannelRefused, ChannelUnavailable, Pace, PutOff, json_of
from tests.providers.loopback import Answer, Received, answering, closed_port, on_each_connection


class Clock:
    """A time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def api(url: str, clock: Clock, *, per_second: float = 1000, burst: int = 1000, **given) -> Api:
    pace = Pace(per_second, burst, sleep=clock.sleep, clock=clock)
    return Api(url, headers={"X-Token": "s3cret"}, pace=pace, sleep=clock.sleep, **given)


def in_turn(*answers: Answer) -> Iterator[Answer]:
    yield from answers
    while True:
        yield answers[-1]


def test_a_page_is_asked_for_with_the_token_and_what_is_wanted(clock):
    with answering(lambda _: Answer(200, b'{"orders": []}')) as server, api(server.url, clock) as shop:
        answer = shop.get("/orders", {"since": "2026-03-01T00:00:00+01:00", "page": 2})
    assert json_of(answer) == {"orders": []}
    (request,) = server.requests
    assert request.target == "/orders?since=2026-03-01T00%3A00%3A00%2B01%3A00&page=2"
    assert (request.headers["X-Token"], request.headers["Accept"]) == ("s3cret", "application/json")
    assert clock.slept == []


def test_a_query_is_posted_as_json_or_as_a_form(clock):
    with answering(lambda _: Answer(200, b"{}")) as server, api(server.url, clock) as shop:
        shop.post("/graphql", {"query": "{shop}"})
        shop.post("/login", {"user": "a b"}, form=True)
    assert [request.body for request in server.requests] == [b'{"query":"{shop}"}', b"user=a+b"]


class TestAskingAgain:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
    def test_a_server_that_fails_is_asked_again_after_growing_pauses(self, clock, status):
        answers = in_turn(*[Answer(status)] * 3, Answer(200, b"[]"))
        with answering(lambda _: next(answers)) as server, api(server.url, clock) as shop:
            assert json_of(shop.get("/orders")) == []
        assert len(server.requests) == 4
        assert clock.slept == [1, 2, 4]

    def test_five_times_in_all_and_then_it_is_said(self, clock):
        with (
            answering(lambda _: Answer(500)) as server,
            api(server.url, clock) as shop,
            pytest.raises(ChannelUnavailable, match=r"127.0.0.1 answers 500: the next pull goes on"),
        ):
            shop.get("/orders")
        assert len(server.requests) == 5
        assert clock.slept == [1, 2, 4, 8]

    @pytest.mark.parametrize("status", [429, 503])
    def test_who_says_how_long_is_obeyed(self, clock, status):
        answers = in_turn(Answer(status, headers={"Retry-After": "7"}), Answer(200, b"[]"))
        with answering(lambda _: next(answers)) as server, api(server.url, clock) as shop:
            shop.get("/orders")
        assert clock.slept == [7]

    def test_or_until_when(self, clock):
        until = formatdate(time.time() + 40, usegmt=True)
        answers = in_turn(Answer(503, headers={"Retry-After": until}), Answer(200, b"[]"))
        with answering(lambda _: next(answers)) as server, api(server.url, clock) as shop:
            shop.get("/orders")
        assert 0 < clock.slept[0] <= 40

    @pytest.mark.parametrize("said", ["", "soon", "-3", "nan", "Wed, 99 Foo 2026 07:28:00 GMT"])
    def test_who_says_nothing_sensible_is_asked_soon(self, clock, said):
        answers = in_turn(Answer(429, headers={"Retry-After": said}), Answer(200, b"[]"))
        with answering(lambda _: next(answers)) as server, api(server.url, clock) as shop:
            shop.get("/orders")
        assert all(0 <= pause <= 1 for pause in clock.slept)

    @pytest.mark.parametrize("said", ["61", "900", "inf"])
    def test_who_says_later_than_a_minute_is_left_to_the_next_pull(self, clock, said):
        with (
            answering(lambda _: Answer(429, headers={"Retry-After": said})) as server,
            api(server.url, clock) as shop,
            pytest.raises(PutOff),
        ):
            shop.get("/orders")
        assert len(server.requests) == 1
        assert clock.slept == []

    def test_being_put_off_is_told_apart_from_being_broken(self, clock):
        for status, error in ((429, PutOff), (500, ChannelUnavailable)):
            with (
                answering(lambda _, status=status: Answer(status)) as server,
                api(server.url, clock) as shop,
                pytest.raises(ChannelUnavailable) as caught,
            ):
                shop.get("/orders")
            assert type(caught.value) is error

    def test_a_connection_that_breaks_is_made_again(self, clock):
        turns = iter([False, False, True])

        def behave(connection: socket.socket, _head: bytes) -> None:
            if next(turns):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")

        def patient_get(server_url: str) -> httpx.Response:
            with api(server_url, clock) as shop:
                return shop.post("/orders", {})

        with on_each_connection(behave) as server:
            assert json_of(patient_get(server.url)) == []
        assert len(server.requests) == 3

    def test_nobody_there(self, clock):
        with (
            api(f"http://127.0.0.1:{closed_port()}", clock) as shop,
            pytest.raises(ChannelUnavailable, match=r"127.0.0.1 ConnectError"),
        ):
            shop.get("/orders")
        assert clock.slept == [1, 2, 4, 8]

    def test_a_body_that_does_not_inflate_is_asked_for_again(self, clock):
        answers = in_turn(Answer(200, b"no gzip", {"Content-Encoding": "gzip"}), Answer(200, b"[]"))
        with answering(lambda _: next(answers)) as server, api(server.url, clock) as shop:
            assert json_of(shop.get("/orders")) == []

    def test_resting_because_an_answer_says_so(self, clock):
        with api("http://127.0.0.1", clock) as shop:
            shop.rest(0)
            shop.rest(12.5)
            with pytest.raises(PutOff):
                shop.rest(61)
        assert clock.slept == [12.5]


class TestRefused:
    @pytest.mark.parametrize(
        ("status", "told"),
        [
            (401, "the key in channels.yaml is wrong, has expired or lacks a scope"),
            (403, "the key in channels.yaml is wrong, has expired or lacks a scope"),
            (404, "check url and version in channels.yaml"),
            (400, "check url and version in channels.yaml"),
        ],
    )
    def test_it_is_not_asked_again_and_the_message_says_what_to_check(self, clock, status, told):
        with (
            answering(lambda _: Answer(status, b"jo@example.com")) as server,
            api(server.url, clock) as shop,
            pytest.raises(ChannelRefused) as caught,
        ):
            shop.get("/orders?key=s3cret")
        assert str(caught.value) == f"127.0.0.1/orders answers {status}: {told}"
        assert len(server.requests) == 1


class TestElsewhere:
    def test_a_link_of_the_same_shop_is_followed(self, clock):
        with answering(lambda _: Answer(200, b"[]")) as server, api(server.url, clock) as shop:
            shop.get(f"{server.url}/orders?page=2")
        assert [request.target for request in server.requests] == ["/orders?page=2"]

    def test_one_to_another_host_port_or_scheme_is_not(self, clock):
        with answering(lambda _: Answer(200, b"[]")) as other, answering(lambda _: Answer(200, b"[]")) as server:
            port = server.url.rpartition(":")[2]
            links = [
                f"{other.url}/orders",
                f"http://localhost:{port}/orders",
                f"https://127.0.0.1:{port}/orders",
                f"http://127.0.0.1:{port}@example.com/orders",
            ]
            with api(server.url, clock) as shop:
                for link in links:
                    with pytest.raises(ChannelRefused, match="another host"):
                        shop.get(link)
                with pytest.raises(ChannelRefused, match="no address"):
                    shop.get("http://127.0.0.1:x/orders")
                shop.get(f"//{other.url.removeprefix('http://')}/orders")  # has no scheme: it stays in the shop
        assert other.requests == []
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed_and_the_token_stays(self, clock, status):
        with answering(lambda _: Answer(200, b"[]")) as other:

            def lead(received: Received) -> Answer:
                return Answer(status, headers={"Location": f"{other.url}{received.target}"})

            with answering(lead) as server, api(server.url, clock) as shop:
                with pytest.raises(ChannelRefused, match=f"answers {status}: check url"):
                    shop.get("/orders")
                assert len(server.requests) == 1
        assert other.requests == []

    def test_no_proxy_of_the_environment_gets_the_token(self, clock, monkeypatch):
        with answering(lambda _: Answer(200, b"[]")) as proxy, answering(lambda _: Answer(200, b"[]")) as server:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            with api(server.url, clock) as shop:
                shop.get("/orders")
        assert proxy.requests == []


class TestPace:
    def test_a_burst_goes_at_once_and_then_as_many_as_the_channel_bears(self, clock):
        pace = Pace(2, 3, sleep=clock.sleep, clock=clock)
        for _ in range(7):
            pace.wait()
        assert clock.slept == [0.5] * 4

    def test_what_was_not_used_comes_back_up_to_the_burst(self, clock):
        pace = Pace(2, 3, sleep=clock.sleep, clock=clock)
        for _ in range(3):
            pace.wait()
        clock.now += 1000
        for _ in range(4):
            pace.wait()
        assert clock.slept == [0.5]

    def test_a_wait_beyond_a_minute_is_left_to_the_next_pull(self, clock):
        pace = Pace(0.0056, 2, sleep=clock.sleep, clock=clock)
        pace.wait()
        pace.wait()
        for _ in range(3):
            with pytest.raises(PutOff, match="rate limit is used up"):
                pace.wait()
        clock.now += 1 / 0.0056
        pace.wait()  # those that were refused have cost nothing
        assert clock.slept == []

    def test_tries_count_as_requests_do(self, clock):
        answers = in_turn(Answer(500), Answer(200, b"[]"))
        with answering(lambda _: next(answers)) as server, api(server.url, clock, per_second=0.1, burst=1) as shop:
            shop.get("/orders")
        assert clock.slept == [1, 9]


class TestAccess:
    @pytest.mark.parametrize("url", ["my-shop.myshopify.com", "ftp://x", "https://", "http://[1", "https://a b", ""])
    def test_an_address_is_a_whole_one(self, url):
        if url:
            with pytest.raises(ValidationError, match="needs the whole address"):
                Access.model_validate({"url": url})

    def test_the_slash_that_many_paste_is_cut_off(self):
        assert Access.model_validate({"url": "https://shop.example.com/"}).url == "https://shop.example.com"

    @pytest.mark.parametrize("key", ["shpat_…", "ck_1\n", " ck_1", "ck 1", "ck\x00"])
    @pytest.mark.parametrize("name", ["token", "secret", "refresh_token", "user"])
    def test_a_key_that_can_be_none_is_refused_without_repeating_it(self, name, key):
        with pytest.raises(ValidationError) as caught:
            Access.model_validate({"url": "https://x.test", name: key})
        (mistake,) = caught.value.errors(include_input=False, include_context=False)
        assert "copy it anew" in mistake["msg"]
        assert key.strip() not in mistake["msg"]

    def test_keys_are_not_shown(self):
        access = Access.model_validate({"url": "https://x.test", "token": "s3cret", "secret": "s3cret"})
        assert "s3cret" not in repr(access)


def test_numbers_that_are_not_whole_stay_as_they_were_written():
    assert json_of(httpx.Response(200, content=b'{"a": 1.10, "b": 3}')) == {"a": "1.10", "b": 3}
    with pytest.raises(ChannelUnavailable):
        json_of(httpx.Response(200, content=b"<html>"))
