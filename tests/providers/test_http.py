"""The pooled client, and the table from httpx's exceptions to what is known."""

import socket
import ssl
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.error import URLError

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import OutcomeKind
from providers import http
from tests.providers import loopback

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def open_client(url: str, **times: float) -> httpx.Client:
    settings = {"connect": 5.0, "read": 10.0, "write": 10.0, "pool": 5.0, "connections": 2} | times
    return http.open_client(url, "SG.key", **settings)


def outcome_of_get(url: str, **times: float):
    with open_client(url, **times) as client, pytest.raises(httpx.HTTPError) as caught:
        client.get("/")
    return http.outcome_of_exception(caught.value)


def test_every_exception_class_of_httpx_is_in_the_table():
    classes = {item for item in vars(httpx).values() if isinstance(item, type) and issubclass(item, Exception)}
    assert set(http.KIND_OF_EXCEPTION) == classes


def test_only_what_happens_before_the_first_byte_is_not_sent():
    not_sent = {error for error, kind in http.KIND_OF_EXCEPTION.items() if kind is OutcomeKind.NOT_SENT}
    assert not_sent == {
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.InvalidURL,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
    }
    assert set(http.KIND_OF_EXCEPTION.values()) == {OutcomeKind.NOT_SENT, OutcomeKind.UNKNOWN}


def test_a_new_kind_of_connect_error_is_not_harmless_by_birth():
    class SentThenConnectError(httpx.ConnectError):
        pass

    assert http.outcome_of_exception(SentThenConnectError("?")).kind is OutcomeKind.UNKNOWN
    assert http.outcome_of_exception(OSError("person@example.com")).kind is OutcomeKind.UNKNOWN


def test_a_server_that_speaks_no_tls_is_not_sent():
    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        outcome = outcome_of_get(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(loopback.PATIENCE)
    assert outcome.kind is OutcomeKind.NOT_SENT
    assert outcome.detail == "ConnectError from SSLError"


def test_a_pool_without_a_free_connection_is_not_sent():
    arrived, over = threading.Event(), threading.Event()

    def wait(_: loopback.Received) -> loopback.Answer:
        arrived.set()
        over.wait(loopback.PATIENCE)
        return loopback.Answer(200)

    with loopback.answering(wait) as server, open_client(server.url, connections=1, pool=0.05) as client:
        first = threading.Thread(target=client.get, args=("/",))
        first.start()
        arrived.wait(loopback.PATIENCE)
        with pytest.raises(httpx.PoolTimeout) as caught:
            client.get("/")
        over.set()
        first.join(loopback.PATIENCE)
    assert http.outcome_of_exception(caught.value).kind is OutcomeKind.NOT_SENT
    assert len(server.requests) == 1


def test_connections_are_kept_and_one_that_the_server_closed_is_not_used_again():
    closed = threading.Event()
    connections = []

    def serve(listener: socket.socket) -> None:
        for answers in (2, 1):
            connection, _ = listener.accept()
            connections.append(connection)
            with connection:
                for _ in range(answers):
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with open_client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            statuses = [client.get("/").status_code for _ in range(2)]
            closed.wait(loopback.PATIENCE)
            statuses.append(client.get("/").status_code)
        thread.join(loopback.PATIENCE)
    assert statuses == [202, 202, 202]
    assert len(connections) == 2


def test_the_environment_decides_neither_route_nor_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{loopback.closed_port()}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with loopback.answering(lambda _: loopback.Answer(200)) as server, open_client(server.url) as client:
        client.get("/")
    assert server.requests[0].headers["Authorization"] == "Bearer SG.key"


def test_a_redirect_stays_an_answer():
    elsewhere = loopback.Answer(307, headers={"Location": "/elsewhere"})
    with loopback.answering(lambda _: elsewhere) as server, open_client(server.url) as client:
        assert client.post("/", content=b"{}").status_code == 307
    assert [request.target for request in server.requests] == ["/"]


def test_the_token_is_not_in_the_clients_text():
    with closing(open_client("https://api.sendgrid.com")) as client:
        assert "SG.key" not in repr(client) + repr(client.headers)


def test_there_is_one_tls_context():
    assert http.ssl_context() is http.ssl_context()


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("", None),
        ("120", timedelta(seconds=120)),
        (" 5 ", timedelta(seconds=5)),
        ("99999999999999999999999", timedelta(hours=1)),
        ("-5", None),
        ("1.5", None),
        ("Sun, 22 Nov 2026 09:02:00 GMT", timedelta(seconds=120)),
        ("Sun, 22 Nov 2026 08:00:00 GMT", timedelta(seconds=1)),
        ("22 Nov 2026 09:02:00 -0000", timedelta(seconds=120)),
    ],
)
def test_retry_after_is_read_in_both_spellings(header, wait):
    assert http.retry_after(header, now=NOW) == wait


@given(st.text(max_size=60))
def test_no_retry_after_breaks_the_reader(header):
    wait = http.retry_after(header, now=NOW)
    assert wait is None or timedelta(seconds=1) <= wait <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (URLError(socket.gaierror(-2, "Name or service not known")), "the name api.esp.example cannot be resolved"),
        (URLError(ConnectionRefusedError(111, "no")), "api.esp.example refused the connection"),
        (httpx.ConnectTimeout("person@example.com"), "api.esp.example did not answer in time"),
        (TimeoutError("person@example.com"), "api.esp.example did not answer in time"),
        (ssl.SSLCertVerificationError("bad"), "the certificate of api.esp.example is not good"),
        (ValueError("person@example.com"), "ValueError"),
    ],
)
def test_why_nobody_answered_is_told_to_a_person(error: Exception, words: str) -> None:
    told = http.told(error, "api.esp.example")
    assert told.startswith(words)
    assert "person@" not in told
