"""Pushed orders: only what is authentic is kept, it is kept before the 2xx, and nothing that comes in makes a 500."""

import gzip
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, tables
from data.channels import registry
from data.channels.channel import Urgency
from data.channels.connections import Connections
from data.config import IntakeConfig
from data.intake import records
from gateway import orders
from gateway.app import create_app
from gateway.journal import Journal
from tests.conftest import LINK_KEY, NOW, PEPPER
from tests.data.intake import feed, pushes
from tests.data.intake.pushes import MEDUSA, SENDERS, SHOPIFY, WOOCOMMERCE
from tests.providers.loopback import closed_port

ROOT = Path(__file__).parents[2]
PING = b"webhook_id=7"
# Whatever stands in the payloads of these senders, none of it may be logged.
SECRETS_AND_PEOPLE = ("mara@example.com", "jana@example.com", "Ann@Example.com", "Silva", pushes.SHOPIFY_SECRET)
each_sender = pytest.mark.parametrize("sender", SENDERS, ids=lambda one: one.channel)


def kept(engine: sa.Engine) -> list[records.Record]:
    with database.read(engine) as connection:
        ids = connection.scalars(sa.select(tables.intake_records.c.id)).all()
        return records._read(connection, ids)


def counted(client: httpx.Client, line: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(each.rpartition(" ")[2]) for each in lines if each.startswith(line)), 0.0)


def post(client: httpx.Client, sender: pushes.Sender, body: bytes | None = None, **signed) -> httpx.Response:
    body = sender.body if body is None else body
    return client.post(path_of(sender), content=body, headers=sender.sign(body, **signed))


def path_of(sender: pushes.Sender) -> str:
    return f"/orders/{sender.channel}/shop"


def written(path: Path, connections: list[dict]) -> None:
    path.write_text(yaml.safe_dump({"connections": connections}), "utf-8")


@pytest.fixture
def channels(tmp_path: Path) -> Path:
    path = tmp_path / "channels.yaml"
    written(path, pushes.connections())
    return path


@pytest.fixture
def open_door(serve, make_settings, channels, account_id):
    def start(*, max_backlog: int = 1000, **gateway) -> httpx.Client:
        config = make_settings(**gateway).model_copy(
            update={"intake": IntakeConfig(channels_file=channels, max_backlog=max_backlog)}
        )
        return serve(create_app(config, clock=lambda: NOW))

    return start


@pytest.fixture
def door(open_door) -> httpx.Client:
    return open_door()


@each_sender
def test_a_signed_order_is_kept_raw_and_becomes_an_order(door, engine, sender):
    answer = post(door, sender)
    assert (answer.status_code, answer.content) == (200, b"")
    (record,) = kept(engine)
    assert record.incoming.body == sender.body
    assert (record.account_id, record.channel, record.incoming.origin) == ("shop", sender.channel, "push")
    assert (record.incoming.received_at, record.incoming.urgency) == (NOW, "0-now")
    report = feed.drained(engine, connections=Connections.model_validate({"connections": pushes.connections()}))
    assert (report.tally["loaded"], report.tally["refused"]) == (1, 0)
    with database.read(engine) as connection:
        assert connection.execute(sa.select(tables.orders.c.channel, tables.orders.c.external_id)).one() == (
            sender.channel,
            sender.external_id,
        )
    assert counted(door, f'oms_order_stored_total{{channel="{sender.channel}",known="false"}}') == 1


@each_sender
def test_the_record_is_committed_before_the_answer_begins(make_settings, engine, channels, account_id, sender):
    """The app itself, asked without a wire between: at the first byte of the answer another connection sees the row."""
    seen = []
    headers = [(name.lower().encode(), value.encode()) for name, value in sender.sign(sender.body).items()]
    scope = {"type": "http", "method": "POST", "path": path_of(sender), "headers": headers, "query_string": b""}
    config = make_settings().model_copy(update={"intake": IntakeConfig(channels_file=channels)})

    async def receive() -> dict:
        return {"type": "http.request", "body": sender.body, "more_body": False}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            seen.append((message["status"], [record.incoming.body for record in kept(engine)]))

    anyio.run(create_app(config, clock=lambda: NOW), {**scope, "root_path": ""}, receive, send)
    assert seen == [(200, [sender.body])]


@pytest.mark.slow
def test_a_gateway_that_is_killed_after_its_answer_has_lost_nothing(engine, database_url, channels, account_id):
    port = closed_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OMS_")},
        "PYTHONPATH": str(ROOT),
        "OMS_DATABASE_URL": database_url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_GATEWAY_PORT": str(port),
        "OMS_INTAKE_CHANNELS_FILE": str(channels),
    }
    command = [sys.executable, "-m", "cli.serve", "gateway"]
    process = subprocess.Popen(command, cwd=channels.parent, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            _until_it_answers(client, process)
            statuses = [post(client, WOOCOMMERCE, b'{"id": %d}' % number).status_code for number in range(20)]
            process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert statuses == [200] * 20
    assert len(kept(engine)) == 20


def _until_it_answers(client: httpx.Client, process: subprocess.Popen) -> None:
    for _ in range(600):
        assert process.poll() is None, "the gateway ended by itself"
        try:
            client.get("/health")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the gateway did not start")


class TestSignature:
    @each_sender
    def test_another_body_secret_or_no_signature_is_refused_and_nothing_is_kept(self, door, engine, sender):
        other_secret = "whsec_" + "A" * 32 if sender is MEDUSA else "another"
        signed = sender.sign(sender.body)
        attempts = {
            "body": (sender.body + b" ", signed),
            "secret": (sender.body, sender.sign(sender.body, secret=other_secret)),
            "missing": (sender.body, {name: value for name, value in signed.items() if name != sender.signature}),
            "empty": (sender.body, signed | {sender.signature: ""}),
            "another's": (sender.body, signed | {sender.signature: "v1,AAAA" if sender is MEDUSA else "AAAA"}),
        }
        for name, (body, headers) in attempts.items():
            answer = door.post(path_of(sender), content=body, headers=headers)
            assert answer.status_code == 401, name
        assert kept(engine) == []
        assert counted(door, f'oms_order_refused_total{{channel="{sender.channel}",reason="signature"}}') == 5
        assert post(door, sender).status_code == 200

    def test_a_signature_of_one_channel_opens_no_other(self, door, engine):
        headers = SHOPIFY.sign(SHOPIFY.body) | {"X-WC-Webhook-Signature": SHOPIFY.sign(SHOPIFY.body)[SHOPIFY.signature]}
        assert door.post(path_of(WOOCOMMERCE), content=SHOPIFY.body, headers=headers).status_code == 401
        assert kept(engine) == []

    def test_while_a_secret_is_changed_either_will_do(self, door, engine):
        assert post(door, WOOCOMMERCE, secret=pushes.WOO_SECRET).status_code == 200
        assert post(door, WOOCOMMERCE, b'{"id": 1}', secret=pushes.OLD_WOO_SECRET).status_code == 200
        assert len(kept(engine)) == 2

    def test_an_old_secret_that_was_taken_out_opens_no_more_without_a_restart(self, door, engine, channels):
        assert post(door, WOOCOMMERCE, secret=pushes.OLD_WOO_SECRET).status_code == 200
        changed = pushes.connections()
        changed[1]["webhook_secrets"] = [pushes.WOO_SECRET]
        written(channels, changed)
        os.utime(channels, ns=(1, 1))  # whatever the clock of the file system, it is another time
        assert post(door, WOOCOMMERCE, b'{"id": 1}', secret=pushes.OLD_WOO_SECRET).status_code == 401

    def test_a_recorded_push_is_refused_when_its_time_is_over(self, door, engine):
        assert post(door, MEDUSA, at=NOW - timedelta(minutes=6)).status_code == 401
        assert post(door, MEDUSA, at=NOW - timedelta(minutes=4)).status_code == 200


class TestWhichDoor:
    @pytest.mark.parametrize(
        "path",
        ["woocommerce/other", "magento/shop", "woo/shop", "x" * 2000 + "/shop", "%00/shop", "..%2f/shop"],
    )
    def test_there_is_none_of_another_name(self, door, engine, path):
        answer = door.post(f"/orders/{path}", content=WOOCOMMERCE.body, headers=WOOCOMMERCE.sign(WOOCOMMERCE.body))
        assert answer.status_code == 404
        assert "<" not in answer.text  # a line for machines
        assert kept(engine) == []

    def test_a_connection_without_a_secret_has_no_door_and_the_log_says_why(self, door, engine, channels, caplog):
        written(channels, [{"account": "shop", "channel": "woocommerce"}])
        os.utime(channels, ns=(1, 1))
        assert post(door, WOOCOMMERCE, secret="").status_code == 404
        assert "woocommerce of shop has no webhook_secrets in channels.yaml" in caplog.text
        assert kept(engine) == []

    def test_an_adapter_that_takes_no_pushes_has_no_door(self, door, engine, monkeypatch):
        monkeypatch.setitem(registry.CHANNELS, "shopify", replace(registry.get("shopify"), push=None))
        assert post(door, SHOPIFY).status_code == 404
        assert kept(engine) == []

    def test_unknown_doors_are_counted_without_their_names(self, door):
        door.post("/orders/magento/jo@example.com")
        assert counted(door, 'oms_order_refused_total{channel="unknown",reason="no_door"}') == 1
        assert "jo@example.com" not in door.get("/metrics").text

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
    def test_only_post_is_taken(self, door, method):
        assert door.request(method, path_of(SHOPIFY)).status_code == 405

    def test_a_new_connection_needs_no_restart(self, serve, make_settings, channels, engine, account_id):
        channels.unlink()
        config = make_settings().model_copy(update={"intake": IntakeConfig(channels_file=channels)})
        door = serve(create_app(config, clock=lambda: NOW))
        assert post(door, SHOPIFY).status_code == 404
        written(channels, pushes.connections())
        assert post(door, SHOPIFY).status_code == 200

    @pytest.mark.parametrize(
        ("mistake", "told"),
        [
            ("connections: [{channel: shopify, webhook_secrets: [s3cret]}]", "connections.0.account: Field required"),
            ("connections: [s3cret", "channels.yaml is no YAML, line"),
            (
                "connections: [{account: shop, channel: shopify, adapter: shopfy, webhook_secrets: [s3cret]}]",
                "there is no adapter 'shopfy'",
            ),
        ],
    )
    def test_a_mistake_in_the_file_puts_off_and_names_itself(self, door, channels, engine, caplog, mistake, told):
        channels.write_text(mistake, "utf-8")
        os.utime(channels, ns=(1, 1))
        answer = post(door, SHOPIFY)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert told in caplog.text
        assert "s3cret" not in caplog.text
        assert counted(door, 'oms_order_refused_total{channel="unknown",reason="settings"}') == 1
        written(channels, pushes.connections())
        assert post(door, SHOPIFY).status_code == 200

    def test_an_account_that_is_not_there_is_told_apart_from_a_store_that_is_down(self, door, channels, engine, caplog):
        written(channels, pushes.connections("shpo"))
        os.utime(channels, ns=(1, 1))
        answer = door.post("/orders/shopify/shpo", content=SHOPIFY.body, headers=SHOPIFY.sign(SHOPIFY.body))
        assert answer.status_code == 503
        assert "channels.yaml names the account shpo, and there is none" in caplog.text
        assert counted(door, 'oms_order_refused_total{channel="shopify",reason="settings"}') == 1


class TestWooCommercesPing:
    def test_it_is_answered_with_200_and_not_kept(self, door, engine):
        """WC_Webhook::deliver_ping takes every other answer for a failure, other 2xx too. It is not signed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert door.post(path_of(WOOCOMMERCE), content=PING, headers=headers).status_code == 200
        assert kept(engine) == []

    @pytest.mark.parametrize("body", [PING + b"&x=1", b"webhook_id=", b"webhook_id=7;", b"", b"{}", b"[]"])
    def test_what_is_almost_one_needs_a_signature(self, door, engine, body):
        assert door.post(path_of(WOOCOMMERCE), content=body).status_code == 401
        assert kept(engine) == []

    @pytest.mark.parametrize("sender", [SHOPIFY, MEDUSA], ids=lambda one: one.channel)
    def test_no_other_channel_has_it(self, door, sender):
        assert door.post(path_of(sender), content=PING).status_code == 401


def test_woocommerce_still_speaks_http_1_0(door, engine):
    body = b'{"id": 1}'
    head = "".join(f"{name}: {value}\r\n" for name, value in WOOCOMMERCE.sign(body).items())
    with socket.create_connection((door.base_url.host, door.base_url.port), timeout=20) as wire:
        wire.sendall(
            f"POST {path_of(WOOCOMMERCE)} HTTP/1.0\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
        assert b" 200 " in wire.recv(1000).partition(b"\r\n")[0]
    assert [record.incoming.body for record in kept(engine)] == [body]


class TestTwice:
    @each_sender
    def test_a_second_delivery_of_one_body_is_applied_once(self, door, engine, sender):
        assert [post(door, sender).status_code for _ in range(3)] == [200] * 3  # each with a delivery id of its own
        assert len(kept(engine)) == 1
        assert counted(door, f'oms_order_stored_total{{channel="{sender.channel}",known="true"}}') == 2
        assert post(door, sender).status_code == 200
        report = feed.drained(engine, connections=Connections.model_validate({"connections": pushes.connections()}))
        assert (report.tally["loaded"], report.tally["orders"]) == (1, 1)

    def test_one_state_under_two_topics_is_applied_once(self, door, engine):
        """orders/paid and orders/updated come with one body, and either may be the only one that arrives."""
        known = Connections.model_validate({"connections": pushes.connections()})
        for topic in ("orders/paid", "orders/updated"):
            assert post(door, SHOPIFY, topic=topic).status_code == 200
        assert len(kept(engine)) == 2
        tally = feed.drained(engine, connections=known).tally
        assert (tally["loaded"], tally["unchanged"], tally["refused"]) == (1, 1, 0)
        assert feed.count(engine, tables.orders) == 1

    def test_an_order_that_is_deleted_restored_and_deleted_again_is_deleted(
        self, serve, make_settings, channels, engine, account_id
    ):
        """The body of order.deleted is the id alone, so both are the same bytes; WooCommerce repeats no delivery."""
        config = make_settings().model_copy(update={"intake": IntakeConfig(channels_file=channels)})
        minutes = iter(range(100))
        door = serve(create_app(config, clock=lambda: NOW + timedelta(minutes=next(minutes))))
        known = Connections.model_validate({"connections": pushes.connections()})
        for topic in ("order.created", "order.deleted", "order.restored", "order.deleted"):
            body = json.loads(WOOCOMMERCE.body)
            if topic == "order.restored":
                body["date_modified_gmt"] = f"{NOW + timedelta(minutes=2):%Y-%m-%dT%H:%M:%S}"
            sent = b'{"id":3727}' if topic == "order.deleted" else json.dumps(body).encode()
            assert post(door, WOOCOMMERCE, sent, topic=topic).status_code == 200
            feed.drained(engine, connections=known, now=NOW + timedelta(hours=1))
        assert len(kept(engine)) == 4
        with database.read(engine) as connection:
            assert connection.scalar(sa.select(tables.orders.c.deleted_at)) is not None

    def test_two_deliveries_at_one_moment_are_kept_once(self, door, engine):
        async def both() -> list[int]:
            async with (
                httpx.AsyncClient(base_url=door.base_url, timeout=30) as client,
                anyio.create_task_group() as group,
            ):
                found: list[int] = []

                async def one() -> None:
                    headers = SHOPIFY.sign(SHOPIFY.body)
                    found.append(
                        (await client.post(path_of(SHOPIFY), content=SHOPIFY.body, headers=headers)).status_code
                    )

                for _ in range(10):
                    group.start_soon(one)
            return found

        assert anyio.run(both) == [200] * 10
        assert len(kept(engine)) == 1


class TestSize:
    def test_gzip_is_inflated_and_verified_as_it_was_signed(self, door, engine):
        headers = {**SHOPIFY.sign(SHOPIFY.body), "Content-Encoding": "gzip"}
        answer = door.post(path_of(SHOPIFY), content=gzip.compress(SHOPIFY.body), headers=headers)
        assert answer.status_code == 200
        assert [record.incoming.body for record in kept(engine)] == [SHOPIFY.body]

    def test_too_large_is_refused_also_when_it_is_a_bomb(self, open_door, engine):
        small = open_door(max_body_bytes=2000)
        fits = b'{"id": 1}'.ljust(2000)
        assert post(small, WOOCOMMERCE, fits).status_code == 200
        assert post(small, WOOCOMMERCE, fits + b" ").status_code == 413
        bomb = gzip.compress(b" " * 1_000_000)
        headers = {**WOOCOMMERCE.sign(b" " * 1_000_000), "Content-Encoding": "gzip"}
        assert small.post(path_of(WOOCOMMERCE), content=bomb, headers=headers).status_code == 413
        assert len(kept(engine)) == 1
        assert counted(small, 'oms_order_refused_total{channel="woocommerce",reason="too_large"}') == 2


class TestBackPressure:
    def test_a_channel_with_too_much_waiting_is_put_off_and_the_others_are_not(self, open_door, engine):
        door = open_door(max_backlog=3)
        bodies = [json.dumps({"id": number}).encode() for number in range(5)]
        answers = [post(door, WOOCOMMERCE, body) for body in bodies]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 503, 503]
        assert answers[3].headers["retry-after"] == "30"
        assert counted(door, 'oms_order_refused_total{channel="woocommerce",reason="backlog"}') == 2
        assert post(door, SHOPIFY).status_code == 200
        assert len(kept(engine)) == 4

    def test_what_is_known_fills_nothing(self, open_door):
        door = open_door(max_backlog=2)
        assert [post(door, WOOCOMMERCE).status_code for _ in range(5)] == [200] * 5

    def test_it_is_taken_again_as_soon_as_there_is_room(self, open_door, engine, monkeypatch):
        monkeypatch.setattr(orders, "_COUNTED_SECONDS", 0.0)
        door = open_door(max_backlog=1)
        assert post(door, WOOCOMMERCE).status_code == 200
        assert post(door, WOOCOMMERCE, b'{"id": 1}').status_code == 503
        feed.drained(engine, connections=Connections.model_validate({"connections": pushes.connections()}))
        assert post(door, WOOCOMMERCE, b'{"id": 1}').status_code == 200

    def test_what_waits_in_quarantine_counts(self, open_door, engine):
        documents = [feed.document([feed.row(name)], urgency=Urgency.NOW) for name in "12"]
        feed.keep(engine, *documents, channel="woocommerce")
        with database.write(engine) as connection:
            connection.execute(tables.intake_records.update().values(state="held"))
        assert post(open_door(max_backlog=2), WOOCOMMERCE).status_code == 503

    def test_too_many_at_one_moment_are_put_off_before_they_fill_the_memory(self, open_door, engine, monkeypatch):
        door = open_door()
        monkeypatch.setattr(orders, "_MOST_UNDER_WAY", 0)
        answer = post(door, WOOCOMMERCE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert counted(door, 'oms_order_refused_total{channel="unknown",reason="busy"}') == 1
        monkeypatch.undo()
        assert post(door, WOOCOMMERCE).status_code == 200

    def test_files_that_wait_put_no_push_off(self, open_door, engine):
        feed.keep(engine, *(feed.document([feed.row(name)]) for name in "123"), channel="woocommerce")
        assert post(open_door(max_backlog=2), WOOCOMMERCE).status_code == 200

    def test_a_store_that_hangs_is_answered_for(self, open_door, monkeypatch):
        monkeypatch.setattr(orders, "_STORE_SECONDS", 0.05)
        monkeypatch.setattr(Journal, "keep", lambda *_: Future())
        answer = post(open_door(), WOOCOMMERCE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


class TestStoreAway:
    def test_one_that_hung_is_written_to_again_as_soon_as_it_answers(self, open_door, engine, monkeypatch):
        """Who was put off meanwhile has gone; that must not stop the one thread that writes for all."""
        door = open_door()
        assert post(door, WOOCOMMERCE, b'{"id": 1}').status_code == 200
        monkeypatch.setattr(orders, "_STORE_SECONDS", 0.2)
        with database.write(engine) as connection:  # SQLite has one writer
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE intake_records IN SHARE MODE")
            assert [post(door, WOOCOMMERCE, b'{"id": %d}' % number).status_code for number in (2, 3)] == [503] * 2
        monkeypatch.undo()
        assert [post(door, WOOCOMMERCE, b'{"id": %d}' % number).status_code for number in (2, 3, 4)] == [200] * 3
        assert sorted(record.incoming.body for record in kept(engine)) == [b'{"id": %d}' % n for n in (1, 2, 3, 4)]

    def test_the_sender_is_told_to_come_again_and_no_address_is_logged(self, door, engine, caplog):
        with database.write(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE intake_records RENAME TO gone")
        with caplog.at_level(logging.DEBUG):
            answer = post(door, SHOPIFY)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "30"
        assert "an order of shopify could not be stored" in caplog.text
        assert counted(door, 'oms_order_refused_total{channel="shopify",reason="database"}') == 1
        with database.write(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO intake_records")
        assert post(door, SHOPIFY).status_code == 200
        assert not any(word in caplog.text for word in SECRETS_AND_PEOPLE)

    def test_a_store_that_refuses_the_row_is_no_500(self, door, engine, caplog):
        post(door, WOOCOMMERCE)  # the backlog has been counted
        with database.write(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE intake_records RENAME COLUMN body_hash TO gone")
        with caplog.at_level(logging.DEBUG):
            assert post(door, WOOCOMMERCE, b'{"id": 9, "billing": {"email": "jana@example.com"}}').status_code == 503
        assert not any(word in caplog.text for word in SECRETS_AND_PEOPLE)


def test_no_log_holds_anything_of_a_body_or_a_secret(door, engine, caplog, monkeypatch):
    for name in ("uvicorn", "uvicorn.access"):  # which Prefect, where it was imported, keeps from the others
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="uvicorn.access"):
        for sender in SENDERS:
            post(door, sender)
            post(door, sender)
            door.post(path_of(sender), content=sender.body)
            door.post(f"/orders/{sender.channel}/nobody", content=sender.body, headers=sender.sign(sender.body))
        feed.drained(engine, connections=Connections.model_validate({"connections": pushes.connections()}))
    assert "POST /orders/shopify/shop" in caplog.text  # the access log is among what was captured
    assert not any(word in caplog.text for word in SECRETS_AND_PEOPLE)


_bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_HEADER = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
_NOISE = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ).map(lambda document: json.dumps(document).encode()),
)


class TestNoInputMakesA500:
    @_bounded
    @given(body=_NOISE, noise=_HEADER, sender=st.sampled_from(SENDERS))
    def test_unsigned(self, door, body, noise, sender):
        value = noise.strip().encode("latin-1")
        headers = {name: value for name in sender.sign(body) if name.lower() != "content-type"}
        assert door.post(path_of(sender), content=body, headers=headers).status_code == 401

    @_bounded
    @given(body=_NOISE, noise=_HEADER, sender=st.sampled_from(SENDERS))
    def test_signed(self, door, engine, body, noise, sender):
        value = noise.strip().encode("latin-1")
        strange = {"X-Shopify-Topic": value, "X-Shopify-Triggered-At": value, "X-WC-Webhook-Topic": value}
        headers = sender.sign(body) | strange | {"webhook-topic": value}
        assert door.post(path_of(sender), content=body, headers=headers).status_code == 200

    def test_and_whatever_was_kept_can_be_drained(self, door, engine):
        for sender in SENDERS:
            for body in (
                b"",
                b"[]",
                b"null",
                b"[[[",
                b'"\\ud800"',
                b"\xff\xfe",
                b'{"id": 1e999}',
                b'[{"id": "\\u0000"}]',
            ):
                assert post(door, sender, body).status_code == 200
        known = Connections.model_validate({"connections": pushes.connections()})
        report = feed.drained(engine, connections=known)
        assert report.tally["records"] == len(kept(engine))
        assert report.tally["loaded"] == 0
