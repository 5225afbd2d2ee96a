"""Webhooks: only what is authentic is kept, it is kept before the 2xx, and nothing that comes in makes a 500."""

import base64
import gzip
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, tables
from gateway import webhooks
from gateway.app import create_app
from providers.sendgrid.config import SendGridNotConfigured
from tests.conftest import NOW
from tests.gateway.conftest import SIGNATURE, TIMESTAMP, Signer

PATH = "/webhooks/sendgrid"
BODY = json.dumps([{"event": "delivered", "email": "secret.person@example.com", "timestamp": 1795338000}]).encode()


def stored(engine: sa.Engine) -> list[tuple[str, bytes]]:
    inbox = tables.webhook_inbox.c
    with database.read(engine) as connection:
        return [(row.provider, bytes(row.body)) for row in connection.execute(sa.select(inbox.provider, inbox.body))]


def counted(client, line: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(each.rpartition(" ")[2]) for each in lines if each.startswith(line)), 0.0)


def test_an_authentic_body_is_kept_raw_and_only_once(gateway, engine, signer):
    body = BODY + b"\r\n"  # SendGrid ends bodies so, and signs that too
    answers = [gateway.post(PATH, content=body, headers=signer.headers(body)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [204] * 3
    assert stored(engine) == [("sendgrid", body)]
    assert counted(gateway, 'oms_webhook_stored_total{known="false",provider="sendgrid"}') == 1
    assert counted(gateway, 'oms_webhook_stored_total{known="true",provider="sendgrid"}') == 2


def test_the_body_is_committed_before_the_answer_begins(make_settings, engine, signer):
    """The app itself, asked without a wire between: at the first byte of the answer another connection sees the row."""
    import anyio

    seen = []
    headers = [(name.lower().encode(), value.encode()) for name, value in signer.headers(BODY).items()]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b"", "root_path": ""}

    async def receive() -> dict:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            seen.append((message["status"], stored(engine)))

    anyio.run(create_app(make_settings()), scope, receive, send)
    assert seen == [(204, [("sendgrid", BODY)])]


def test_every_flipped_byte_is_refused(gateway, engine, signer):
    body = b'[{"event":"open"}]'
    timestamp = "1795338000"
    signature = signer.sign(body, timestamp)

    def post(body: bytes, signature: bytes, timestamp: str) -> int:
        headers = {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}
        return gateway.post(PATH, content=body, headers=headers).status_code

    def flipped(text: bytes) -> list[bytes]:
        return [text[:i] + bytes([text[i] ^ 1]) + text[i + 1 :] for i in range(len(text))]

    codes = {post(wrong, signature, timestamp) for wrong in flipped(body)}
    codes |= {post(body, wrong, timestamp) for wrong in flipped(signature)}
    codes |= {post(body, signature, wrong.decode()) for wrong in flipped(timestamp.encode())}
    assert codes == {401}
    assert stored(engine) == []
    refused = counted(gateway, 'oms_webhook_refused_total{provider="sendgrid",reason="signature"}')
    assert refused == len(body) + len(signature) + len(timestamp)
    assert post(body, signature, timestamp) == 204


@pytest.mark.parametrize("missing", [SIGNATURE, TIMESTAMP])
def test_a_missing_header_is_refused(gateway, engine, signer, missing):
    headers = {name: value for name, value in signer.headers(BODY).items() if name != missing}
    assert gateway.post(PATH, content=BODY, headers=headers).status_code == 401
    assert stored(engine) == []


def test_during_a_rotation_either_key_will_do(serve, make_settings, signer):
    new = Signer()
    gateway = serve(create_app(make_settings(keys=[signer.public_key, new.public_key])))
    other = b"[]"
    assert gateway.post(PATH, content=BODY, headers=signer.headers(BODY)).status_code == 204
    assert gateway.post(PATH, content=other, headers=new.headers(other)).status_code == 204
    assert gateway.post(PATH, content=BODY, headers=Signer().headers(BODY)).status_code == 401


def test_without_a_key_the_door_stays_shut_and_says_so(serve, make_settings, engine, signer, caplog):
    gateway = serve(create_app(make_settings(keys=[])))
    assert gateway.post(PATH, content=BODY, headers=signer.headers(BODY)).status_code == 404
    assert stored(engine) == []
    assert "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty" in caplog.text


def test_a_key_that_is_none_stops_the_start(make_settings):
    with pytest.raises(SendGridNotConfigured):
        create_app(make_settings(keys=["bm90IGEga2V5"]))


@pytest.mark.parametrize("provider", ["mailchimp", "sandbox", "..%2fsendgrid", "%00", "x" * 2000])
def test_other_providers_have_no_door(gateway, engine, signer, provider):
    assert gateway.post(f"/webhooks/{provider}", content=BODY, headers=signer.headers(BODY)).status_code == 404
    assert stored(engine) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_taken(gateway, method):
    answer = gateway.request(method, PATH)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


class TestSize:
    @pytest.fixture
    def small(self, serve, make_settings):
        return serve(create_app(make_settings(max_body_bytes=10_000, body_seconds=0.3)))

    def test_the_limit_itself_fits(self, small, engine, signer):
        body = b"[" + b" " * 9_998 + b"]"
        assert small.post(PATH, content=body, headers=signer.headers(body)).status_code == 204
        assert stored(engine) == [("sendgrid", body)]

    def test_one_byte_more_is_refused(self, small, engine, signer):
        body = b"[" + b" " * 9_999 + b"]"
        assert small.post(PATH, content=body, headers=signer.headers(body)).status_code == 413
        assert stored(engine) == []
        assert counted(small, 'oms_webhook_refused_total{provider="sendgrid",reason="too_large"}') == 1

    def test_chunks_without_a_length_are_counted(self, small):
        answer = small.post(PATH, content=(b" " * 1000 for _ in range(11)))
        assert answer.status_code == 413

    def test_gzip_is_inflated_and_verified_as_the_sender_wrote_it(self, small, engine, signer):
        headers = {**signer.headers(BODY), "Content-Encoding": "gzip"}
        assert small.post(PATH, content=gzip.compress(BODY), headers=headers).status_code == 204
        assert stored(engine) == [("sendgrid", BODY)]

    def test_a_gzip_bomb_is_refused(self, small, engine):
        bomb = gzip.compress(b" " * 5_000_000)
        assert len(bomb) < 10_000
        answer = small.post(PATH, content=bomb, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 413
        assert stored(engine) == []

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", gzip.compress(BODY)[:-1], gzip.compress(BODY) + b"more", gzip.compress(b"[]") * 2],
        ids=["empty", "plain", "cut", "followed", "twice"],
    )
    def test_gzip_that_is_not_one_whole_stream_is_refused(self, small, engine, body):
        assert small.post(PATH, content=body, headers={"Content-Encoding": "gzip"}).status_code == 400
        assert stored(engine) == []

    def test_other_encodings_are_refused(self, small):
        assert small.post(PATH, content=BODY, headers={"Content-Encoding": "br"}).status_code == 415

    def test_a_body_that_never_ends_is_cut(self, small):
        with socket.create_connection((small.base_url.host, small.base_url.port), timeout=20) as wire:
            wire.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[".encode())
            assert wire.recv(1000).startswith(b"HTTP/1.1 408")


def test_with_too_much_waiting_more_is_put_off_and_not_lost(serve, make_settings, engine, signer):
    gateway = serve(create_app(make_settings(max_backlog=2)))
    bodies = [json.dumps([{"n": n}]).encode() for n in range(3)]
    answers = [gateway.post(PATH, content=body, headers=signer.headers(body)) for body in bodies]
    assert [answer.status_code for answer in answers] == [204, 204, 503]
    assert answers[2].headers["retry-after"] == "30"
    with database.write(engine) as connection:
        connection.execute(tables.webhook_inbox.update().values(state="done"))
    assert gateway.post(PATH, content=bodies[2], headers=signer.headers(bodies[2])).status_code == 204
    assert len(stored(engine)) == 3


def test_without_a_store_the_sender_is_told_to_come_again(gateway, engine, signer, caplog):
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE webhook_inbox RENAME TO gone")
    with caplog.at_level(logging.DEBUG):
        answer = gateway.post(PATH, content=BODY, headers=signer.headers(BODY))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "Traceback" not in answer.text
    assert "secret.person" not in caplog.text
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO webhook_inbox")
    assert gateway.post(PATH, content=BODY, headers=signer.headers(BODY)).status_code == 204


@contextmanager
def hanging(engine: sa.Engine) -> Iterator[None]:
    """Nobody can write to the inbox; all can read."""
    with database.write(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE webhook_inbox IN EXCLUSIVE MODE")
        yield


def numbered(gateway, signer: Signer, number: int) -> int:
    body = json.dumps([{"n": number}]).encode()
    return gateway.post(PATH, content=body, headers=signer.headers(body), timeout=30).status_code


def test_while_a_commit_hangs_others_are_put_off_at_once_and_nothing_is_lost(gateway, engine, signer):
    with ThreadPoolExecutor(1) as pool:
        with hanging(engine):
            hangs = pool.submit(numbered, gateway, signer, 0)
            deadline = time.monotonic() + 15  # less than a body waits for its commit
            while (answer := gateway.post(PATH, content=b"[]")).status_code == 401:  # read, and found to be unsigned
                assert time.monotonic() < deadline
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert hangs.result() == 204
    assert numbered(gateway, signer, 1) == 204
    assert len(stored(engine)) == 2


def test_of_a_flood_only_some_are_worked_on_at_once_and_the_others_are_told_soon(gateway, engine, signer):
    flood = webhooks._MOST_AT_ONCE + 4
    with ThreadPoolExecutor(flood) as pool:
        with hanging(engine):
            posts = [pool.submit(numbered, gateway, signer, number) for number in range(flood)]
            first, _ = wait(posts, 15, FIRST_COMPLETED)
            assert {post.result() for post in first} == {503}
        statuses = Counter(post.result() for post in posts)
    assert statuses.keys() == {204, 503}
    assert len(stored(engine)) == statuses[204]


_HEADER = st.binary(min_size=1, max_size=60).map(lambda raw: bytes(0x21 + byte % 0x5E for byte in raw))
_NOISE = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ).map(lambda document: json.dumps(document).encode()),
)
_bounded = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestNoInputMakesA500:
    @_bounded
    @given(body=_NOISE, signature=_HEADER, timestamp=_HEADER, encoding=st.sampled_from(["", "gzip", "identity", "zip"]))
    def test_unsigned(self, gateway, body, signature, timestamp, encoding):
        headers = {SIGNATURE: signature, TIMESTAMP: timestamp, "Content-Encoding": encoding}
        assert gateway.post(PATH, content=body, headers=headers).status_code in {400, 401, 413, 415}

    @_bounded
    @given(body=_NOISE)
    def test_signed(self, gateway, signer, body):
        answer = gateway.post(PATH, content=body, headers=signer.headers(body))
        assert answer.status_code in {204, 401}  # 401: SendGrid signs UTF-8 only

    @_bounded
    @given(
        method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS"]),
        room=st.sampled_from(["", "webhooks/", "unsubscribe/", "campaigns/", "health", "metrics"]),
        rest=st.text(max_size=40),
        body=st.binary(max_size=50),
    )
    def test_any_path(self, gateway, method, room, rest, body):
        from urllib.parse import quote

        answer = gateway.request(method, f"/{room}{quote(rest, safe='', errors='replace')}", content=body)
        assert answer.status_code < 500

    @pytest.mark.parametrize("path", ["/campaigns/%ff%fe", "/unsubscribe/%ff", "/campaigns/%ED%A0%80", "/?%00=%ff"])
    def test_paths_that_are_no_text(self, gateway, path):
        assert gateway.get(path).status_code in {307, 404}


def test_clock_of_the_inbox_is_the_gateways(gateway, engine, signer):
    gateway.post(PATH, content=BODY, headers=signer.headers(BODY))
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.webhook_inbox.c.received_at)) == NOW
