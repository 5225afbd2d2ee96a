"""Management calls through the official SDK, against a real server on loopback: its faults must not come through."""

import logging
import socket
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from pydantic import SecretStr

from domain.suppression import Reason
from providers.sendgrid.config import SendGridConfig, SendGridNotConfigured
from providers.sendgrid.management import Management, ManagementError
from providers.sendgrid.suppressions import SendGridSuppressions
from tests.providers import loopback

KEY = "SG.a-key-that-must-never-be-seen"
SINCE = datetime(2026, 11, 21, tzinfo=UTC)
UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
AT = int(SINCE.timestamp()) + 60


def management(url: str, **settings: object) -> Management:
    return Management(SendGridConfig(api_key=SecretStr(KEY), base_url=url, **settings))


def read(url: str, **settings: object):
    return list(SendGridSuppressions(management(url, **settings)).suppressions(SINCE, UNTIL))


def listing(**lists: list[object]):
    """A server that pages as SendGrid does."""

    def answer(request: loopback.Received) -> loopback.Answer:
        url = urlsplit(request.target)
        query = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
        rows = lists.get(url.path.removeprefix("/v3/suppression/"), [])
        if not query:
            return loopback.Answer(200, orjson.dumps(lists.get(url.path, [])), {"Content-Type": "application/json"})
        page = rows[query["offset"] : query["offset"] + query["limit"]]
        return loopback.Answer(200, orjson.dumps(page), {"Content-Type": "application/json"})

    return loopback.answering(answer)


def test_four_lists_become_four_reasons_and_blocks_are_evidence():
    row = {"created": AT, "email": "ann@example.com"}
    with listing(
        bounces=[row | {"reason": "550 5.1.1 <ann@example.com> user unknown", "status": "5.1.1"}],
        invalid_emails=[row | {"reason": "Mail domain mentioned in email address is unknown"}],
        spam_reports=[row | {"ip": "192.0.2.1"}],
        unsubscribes=[row],
        blocks=[row | {"reason": "blocked", "status": "4.0.0"}],
    ) as server:
        listed = read(server.url)
    assert [entry.reason for entry in listed] == [
        Reason.HARD_BOUNCE,
        Reason.INVALID,
        Reason.COMPLAINT,
        Reason.UNSUBSCRIBE,
        None,
    ]
    assert [entry.listing for entry in listed] == [
        "bounces",
        "invalid_emails",
        "spam_reports",
        "unsubscribes",
        "blocks",
    ]
    assert {entry.address for entry in listed} == {"ann@example.com"}
    assert {entry.created_at for entry in listed} == {SINCE + timedelta(seconds=60)}
    assert listed[0].detail == "5.1.1 550 5.1.1 <[address]> user unknown"
    assert listed[-1].detail == "4.0.0 blocked"


def test_the_window_and_the_key_travel_with_each_call():
    with listing() as server:
        assert read(server.url + "/") == []
    assert len(server.requests) == 5
    for request in server.requests:
        query = parse_qs(urlsplit(request.target).query)
        assert query["start_time"] == [str(int(SINCE.timestamp()))]
        assert query["end_time"] == [str(int(UNTIL.timestamp()))]
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["Accept"] == "application/json"  # bounces are refused without it


GROUP = "/v3/asm/groups/42/suppressions"


def test_who_left_our_unsubscribe_group_unsubscribed_whenever_that_was():
    with listing(**{GROUP: ["ann@example.com", "bob@example.com"]}) as server:
        assert read(server.url) == []
        listed = read(server.url, asm_group_id=42)
    assert [(entry.address, entry.reason, entry.created_at, entry.dated) for entry in listed] == [
        ("ann@example.com", Reason.UNSUBSCRIBE, UNTIL, False),
        ("bob@example.com", Reason.UNSUBSCRIBE, UNTIL, False),
    ]
    assert {entry.listing for entry in listed} == {"groups/42"}
    assert [request.target for request in server.requests if "asm" in request.target] == [GROUP]


@pytest.mark.parametrize("answer", [{}, [{"email": "ann@example.com"}], ["ann@example.com", ""], [None]])
def test_a_group_that_is_no_list_of_addresses_is_an_error_not_a_gap(answer):
    with listing(**{GROUP: answer}) as server, pytest.raises(ManagementError, match="asm/groups/42") as caught:
        read(server.url, asm_group_id=42)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize(("rows", "calls"), [(499, 1), (500, 2), (501, 2), (1000, 3)])
def test_pages_of_five_hundred_are_read_to_the_end(rows, calls):
    with listing(unsubscribes=[{"created": AT, "email": f"p{n}@example.com"} for n in range(rows)]) as server:
        listed = read(server.url)
    assert [entry.address for entry in listed] == [f"p{n}@example.com" for n in range(rows)]
    assert len(server.requests) == 4 + calls


@pytest.mark.parametrize(
    "row",
    [
        5,
        {},
        {"created": AT},
        {"email": "ann@example.com"},
        {"created": True, "email": "ann@example.com"},
        {"created": "today", "email": "ann@example.com"},
        {"created": 2**60, "email": "ann@example.com"},
    ],
)
def test_a_row_that_is_none_is_an_error_not_a_gap(row):
    with listing(bounces=[row]) as server, pytest.raises(ManagementError, match="suppression/bounces") as caught:
        read(server.url)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"", b"\xff"])
def test_an_answer_that_is_no_list_is_one_clear_error(body):
    answer = loopback.Answer(200, body)
    with loopback.answering(lambda _: answer) as server, pytest.raises(ManagementError, match="suppression/bounces"):
        read(server.url)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500, 502, 503])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"errors":[{"message":"no: ann@example.com"}]}'])
def test_a_refusal_is_one_clear_error_with_its_status(status, body):
    answer = loopback.Answer(status, body)
    with loopback.answering(lambda _: answer) as server, pytest.raises(ManagementError) as caught:
        read(server.url)
    assert caught.value.status == status
    assert str(status) in str(caught.value)
    assert "ann@" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_key_stays_here(status):
    with loopback.answering(lambda _: loopback.Answer(200, b"[]")) as elsewhere:
        away = loopback.Answer(status, headers={"Location": elsewhere.url})
        with loopback.answering(lambda _: away) as server, pytest.raises(ManagementError) as caught:
            read(server.url)
    assert caught.value.status == status
    assert not elsewhere.requests


def test_nobody_there_is_one_clear_error():
    with pytest.raises(ManagementError, match=r"127\.0\.0\.1 refused the connection") as caught:
        read(f"http://127.0.0.1:{loopback.closed_port()}")
    assert caught.value.status is None


def test_a_server_that_says_nothing_is_left_after_the_timeout():
    over = threading.Event()

    def wait(_: loopback.Received) -> loopback.Answer:
        over.wait(loopback.PATIENCE)
        return loopback.Answer(200, b"[]")

    with loopback.answering(wait) as server:
        with pytest.raises(ManagementError, match="did not answer in time"):
            management(server.url, read_timeout_seconds=0.1).get("suppression/bounces", {})
        over.set()


def test_a_cut_answer_is_one_clear_error():
    def cut(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=cut, args=(listener,))
        thread.start()
        with pytest.raises(ManagementError, match="IncompleteRead"):
            read(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(loopback.PATIENCE)


def test_a_header_of_one_call_does_not_leak_into_the_next():
    with loopback.answering(lambda _: loopback.Answer(200, b"[]")) as server:
        manager = management(server.url)
        manager._root.suppression.bounces.get(request_headers={"X-Once": "1"})
        manager.get("suppression/bounces", {})
    assert ["X-Once" in request.headers for request in server.requests] == [True, False]


def test_the_environments_proxy_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{loopback.closed_port()}")
    monkeypatch.setenv("no_proxy", "")
    with listing() as server:
        assert read(server.url) == []


def test_the_key_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="python_http_client.client")
    with listing() as server:
        manager = management(server.url)
        manager.get("suppression/bounces", {"limit": 1, "offset": 0})
    assert KEY not in caplog.text
    assert KEY not in repr(manager)


def test_without_a_key_it_does_not_open(monkeypatch):
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.from-the-environment")  # which the SDK would take by itself
    with pytest.raises(SendGridNotConfigured):
        Management(SendGridConfig())


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_write_that_is_refused_is_one_clear_error_without_the_address(status):
    answer = loopback.Answer(status, b'{"errors":[{"message":"no: ann@example.com"}]}')
    lists = ("unsubscribes", "bounces", "groups/42")
    with loopback.answering(lambda _: answer) as server:
        sink = SendGridSuppressions(management(server.url, asm_group_id=42))
        for listing in lists:
            with pytest.raises(ManagementError) as put:
                sink.put(listing, ["ann@example.com"])
            with pytest.raises(ManagementError) as off:
                sink.take_off(listing, "ann@example.com")
            for caught in (put, off):
                assert caught.value.status == status
                assert "ann" not in str(caught.value)


def test_where_a_write_goes_nobody_is_there_and_the_address_is_not_told():
    sink = SendGridSuppressions(management(f"http://127.0.0.1:{loopback.closed_port()}"))
    with pytest.raises(ManagementError, match=r"127\.0\.0\.1 refused the connection") as caught:
        sink.take_off("unsubscribes", "ann@example.com")
    assert "ann" not in str(caught.value)


def test_an_address_with_a_slash_stays_one_part_of_the_path():
    with loopback.answering(lambda _: loopback.Answer(204)) as server:
        SendGridSuppressions(management(server.url)).take_off("unsubscribes", "a/b+c@example.com")
    assert [one.target for one in server.requests] == ["/v3/asm/suppressions/global/a%2Fb%2Bc%40example.com"]
