"""From a posted webhook to a suppression in force, with no flow between; and what a flood or a failure does to it."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from data import database, events, events_effects, tables
from domain.delivery import Seen
from gateway.app import create_app
from providers.sendgrid.webhook import SendGridEvents
from tests.conftest import NOW, PEPPER
from tests.data import frozen, ledger_rows
from tests.data.frozen import Clock
from tests.gateway.test_webhooks import PATH, counted
from tests.providers.mailchimp import payloads

STAMP = int(NOW.timestamp())
_PATIENCE_SECONDS = 60.0


def element(word: str, message_id: str | None, number: int, **facts) -> dict:
    """A SendGrid event about the person with this number."""
    plain = {"event": word, "timestamp": STAMP, "email": ledger_rows.address(number), "message_id": message_id, **facts}
    return {name: value for name, value in plain.items() if value is not None}


def post(door: httpx.Client, signer, *elements: dict) -> httpx.Response:
    body = json.dumps(elements).encode() + b"\r\n"
    return door.post(PATH, content=body, headers=signer.headers(body))


def until(true: Callable[[], object]) -> None:
    """Wait for the thread; how long it takes is not judged here."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "nothing applied it"
        time.sleep(0.01)


def count(engine: sa.Engine, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(*which)).scalar_one()


def unread(engine: sa.Engine) -> int:
    return count(engine, tables.webhook_inbox, tables.webhook_inbox.c.state == "pending")


@pytest.fixture
def door(serve, make_settings):
    return serve(create_app(make_settings(apply_events=True), clock=lambda: NOW))


def test_a_complaint_stops_a_campaign_that_is_under_way(door, engine, account_id, signer):
    """Ten of twenty people were mailed; one of the other ten complains, of an earlier mail; the next claim leaves her out."""
    run = frozen.dispatching(engine, 20)
    book = frozen.book(engine, run, Clock())
    first = book.claim(run.id, worker="w1")
    with database.read(engine) as connection:
        member = tables.audience.c
        planned = dict(connection.execute(sa.select(member.address_hash, member.ordinal)).all())
    mailed = {int(one.rpartition(".")[2]) for one in first.message_ids}
    number = next(n for n in range(20) if planned[ledger_rows.hash_of(n)] not in mailed)
    assert post(door, signer, element("spamreport", None, number)).status_code == 204
    until(lambda: count(engine, tables.suppressions))
    second = book.claim(run.id, worker="w1")
    assert len(second) == 9
    assert ledger_rows.address(number) not in second.addresses
    until(lambda: counted(door, "oms_webhook_applied_seconds_count") == 1)
    assert counted(door, 'oms_webhook_bodies{state="pending"}') == 0


def test_mailchimps_events_are_applied_too(serve, make_settings, engine, account_id):
    with database.write(engine) as connection:
        ledger_rows.add_parties(connection, account_id, 2)
    secret = "abcdefghij_0123456789-ABCDEF"
    facts = {"marketing_url_secrets": [secret], "transactional_webhook_keys": [payloads.KEY]}
    settings = make_settings(mailchimp=facts, apply_events=True, public_url="https://shop.example.com")
    door = serve(create_app(settings, clock=lambda: NOW))
    left = payloads.unsubscribed(email=ledger_rows.address(0))
    assert door.post(f"/webhooks/mailchimp/{secret}", content=left).status_code == 200
    bounced = payloads.transactional(payloads.bounced(email=ledger_rows.address(1), metadata=[]))
    headers = payloads.transactional_headers(bounced)
    assert door.post("/webhooks/mailchimp-transactional", content=bounced, headers=headers).status_code == 200
    until(lambda: count(engine, tables.suppressions) == 2)
    with database.read(engine) as connection:
        suppression = tables.suppressions.c
        reasons = dict(connection.execute(sa.select(suppression.address_hash, suppression.reason)).all())
    assert reasons == {ledger_rows.hash_of(0): "unsubscribe", ledger_rows.hash_of(1): "hard_bounce"}


def test_what_another_provider_or_a_failure_left_is_the_flows(door, engine, account_id, signer):
    with database.write(engine) as connection:
        ledger_rows.add_parties(connection, account_id, 1)
        facts = {"body": b"x", "received_at": NOW, "state": "pending"}
        inbox = tables.webhook_inbox
        connection.execute(inbox.insert().values(provider="carrier pigeon", body_hash="1", strikes=0, **facts))
        connection.execute(inbox.insert().values(provider="sendgrid", body_hash="2", strikes=1, **facts))
    post(door, signer, element("spamreport", None, 0))
    until(lambda: count(engine, tables.suppressions))
    assert unread(engine) == 2
    with database.read(engine) as connection:
        assert sorted(connection.scalars(sa.select(tables.webhook_inbox.c.strikes))) == [0, 0, 1]


def test_a_store_that_was_away_is_worked_off_when_it_is_back(door, engine, account_id, signer, monkeypatch, caplog):
    from gateway import applying

    with database.write(engine) as connection:
        ledger_rows.add_parties(connection, account_id, 1)
    real, failures = applying.events.process, iter([sa.exc.OperationalError("x", {}, Exception("secret@example.com"))])

    def process(*given, **named):
        for failure in failures:
            raise failure
        return real(*given, **named)

    monkeypatch.setattr(applying.events, "process", process)
    post(door, signer, element("spamreport", None, 0))
    until(lambda: count(engine, tables.suppressions))
    assert "could not be applied just now: OperationalError" in caplog.text
    assert "secret@" not in caplog.text


def test_without_it_the_flow_is_left_to_do_it(serve, make_settings, engine, signer):
    door = serve(create_app(make_settings(), clock=lambda: NOW))
    post(door, signer, element("spamreport", None, 0))
    assert unread(engine) == 1


class TestNobodyPosts:
    """What is there when a gateway starts, and what others store beside it."""

    def test_what_was_there_before_it_started_is_applied(self, serve, make_settings, engine, account_id):
        keep_complaint(engine, account_id)
        serve(create_app(make_settings(apply_events=True), clock=lambda: NOW))
        until(lambda: count(engine, tables.suppressions))

    def test_what_others_store_is_found(self, serve, make_settings, engine, account_id, monkeypatch):
        from gateway import applying

        monkeypatch.setattr(applying, "_LOOK_SECONDS", 0.05)
        monkeypatch.setattr(applying, "_LATE_SECONDS", 3600.0)
        looked, real = [], applying.inbox.fresh_waits
        monkeypatch.setattr(applying.inbox, "fresh_waits", lambda *given: looked.append(1) or real(*given))
        serve(create_app(make_settings(apply_events=True), clock=lambda: NOW))
        until(lambda: looked)
        keep_complaint(engine, account_id)
        until(lambda: count(engine, tables.suppressions))

    def test_nothing_is_written_while_nothing_waits(self, serve, make_settings, engine, monkeypatch):
        from gateway import applying

        looks, rounds = [], []
        monkeypatch.setattr(applying, "_LOOK_SECONDS", 0.01)
        monkeypatch.setattr(applying.Applier, "drain", lambda _: rounds.append(1))
        real = applying.inbox.fresh_waits
        monkeypatch.setattr(applying.inbox, "fresh_waits", lambda *given: looks.append(1) or real(*given))
        serve(create_app(make_settings(apply_events=True), clock=lambda: NOW))
        until(lambda: len(looks) > 20)
        assert len(rounds) == 1

    def test_it_ends_with_the_app_and_begins_anew_with_it(self, make_settings, engine, account_id):
        app = create_app(make_settings(apply_events=True), clock=lambda: NOW)
        for number in range(2):
            with living(app):
                assert len(threads()) == 1
                keep_complaint(engine, account_id, number)
            assert threads() == []
        with living(app):
            until(lambda: count(engine, tables.suppressions) == 2)

    def test_an_end_in_the_midst_of_a_flood_leaves_the_rest_for_later(
        self, make_settings, engine, account_id, monkeypatch
    ):
        from gateway import applying

        monkeypatch.setattr(applying, "_BODIES_AT_ONCE", 1)
        for number in range(3):
            keep_complaint(engine, account_id, number)
        real, app = events.process, create_app(make_settings(apply_events=True), clock=lambda: NOW)
        begun, go_on = threading.Event(), threading.Event()

        def process(*given, **named):
            begun.set()
            assert go_on.wait(_PATIENCE_SECONDS)
            return real(*given, **named)

        monkeypatch.setattr(applying.events, "process", process)
        with living(app):
            assert begun.wait(_PATIENCE_SECONDS)
            threading.Timer(0.2, go_on.set).start()
        assert threads() == []
        assert unread(engine) == 2


@contextmanager
def living(app: FastAPI) -> Iterator[None]:
    """The app between its start and its end, without a port."""
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        yield
        runner.run(lifespan.__aexit__(None, None, None))


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "applier"]


def keep_complaint(engine: sa.Engine, account_id: str, number: int = 0) -> None:
    """A body that another process stored."""
    with database.write(engine) as connection:
        if not connection.scalar(sa.select(sa.func.count()).select_from(tables.parties)):
            ledger_rows.add_parties(connection, account_id, 3)
        body = json.dumps([element("spamreport", None, number)]).encode()
        events.inbox.store(connection, provider="sendgrid", body=body, now=NOW)


class TestFlood:
    """Far more than can be stored at once: each answer is a 2xx, whose events are applied, or a 503 that says when."""

    def test_what_is_answered_2xx_is_applied_and_the_rest_is_put_off(
        self, serve, make_settings, engine, account_id, signer
    ):
        settings = make_settings(apply_events=True, max_backlog=20)
        doors = [serve(create_app(settings, clock=lambda: NOW)) for _ in range(2)]
        with database.write(engine) as connection:
            ids = ledger_rows.add_parties(connection, account_id, 20)
            ledger_rows.add_run(connection, account_id, ids, [ledger_rows.BatchRow(0, 19)])

        def one(number: int) -> tuple[int, int, str | None]:
            event = element("open", f"run1.{number % 20}", number % 20, timestamp=STAMP + number, ip=str(number))
            answer = post(doors[number % 2], signer, event)
            return number, answer.status_code, answer.headers.get("retry-after")

        with ThreadPoolExecutor(40) as crowd:
            answers = list(crowd.map(one, range(400)))
        assert {status for _, status, _ in answers} <= {204, 503}
        assert {again for _, status, again in answers if status == 503} <= {"30"}
        taken = {number for number, status, _ in answers if status == 204}
        assert taken
        until(lambda: unread(engine) == 0)
        assert count(engine, tables.webhook_inbox) >= len(taken)
        seconds = {int(at.timestamp()) - STAMP for at in _times(engine)}
        assert taken <= seconds
        # What was put off comes again, as ESPs do it, and then nothing is missing.
        for number in set(range(400)) - seconds:
            while one(number)[1] == 503:
                until(lambda: unread(engine) == 0)
        until(lambda: unread(engine) == 0)
        assert {int(at.timestamp()) - STAMP for at in _times(engine)} == set(range(400))
        assert count(engine, tables.message_delivery, tables.message_delivery.c.seen == int(_OPENED)) == 20

    def test_too_many_under_way_are_put_off_before_they_fill_the_memory(self, door, signer, monkeypatch):
        from gateway import webhooks

        monkeypatch.setattr(webhooks, "_MOST_UNDER_WAY", 0)
        answer = post(door, signer, element("open", "run1.0", 0))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert counted(door, 'oms_webhook_refused_total{provider="sendgrid",reason="busy"}') == 1


_OPENED = Seen.OPENED | Seen.OPENED_HUMAN


def _times(engine: sa.Engine) -> list:
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(tables.delivery_events.c.occurred_at)))


def test_two_gateways_and_a_flow_at_once_apply_each_event_once(serve, make_settings, engine, account_id, signer):
    doors = [serve(create_app(make_settings(apply_events=True), clock=lambda: NOW)) for _ in range(2)]
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 30)
        ledger_rows.add_run(connection, account_id, ids, [ledger_rows.BatchRow(0, 29)])
    readers = {"sendgrid": SendGridEvents(())}
    for number in range(30):
        event = element("spamreport", f"run1.{number}", number)
        assert post(doors[number % 2], signer, event, {**event, "sg_event_id": "again"}).status_code == 204
        if number % 5 == 0:
            events.process(engine, readers=readers, pepper=PEPPER, clock=lambda: NOW, limit=100)
    until(lambda: unread(engine) == 0)
    assert count(engine, tables.suppressions) == count(engine, tables.delivery_events) == 30


def test_an_event_that_breaks_what_follows_from_it_loses_only_itself_after_three_tries(
    engine, account_id, signer, monkeypatch
):
    """Two strikes for the body, then the culprit alone becomes a dead letter, and its neighbours are applied."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 8)
        ledger_rows.add_run(connection, account_id, ids, [ledger_rows.BatchRow(0, 7)])
        body = json.dumps([element("spamreport", f"run1.{number}", number) for number in range(8)]).encode()
        events.inbox.store(connection, provider="sendgrid", body=body, now=NOW)
    real = events_effects.suppress

    def suppress(connection, new, **named):
        if any(one.ordinal == 5 for one in new):
            raise KeyError(ledger_rows.address(5))
        return real(connection, new, **named)

    monkeypatch.setattr(events_effects, "suppress", suppress)

    def process(**options):
        return events.process(
            engine, readers={"sendgrid": SendGridEvents(())}, pepper=PEPPER, clock=lambda: NOW, limit=9, **options
        )

    assert [process().failed for _ in range(2)] == [1, 1]
    assert process(fresh_only=True).bodies == 0
    last = process()
    assert (last.bodies, last.failed, last.events, last.unreadable) == (1, 0, 7, 1)
    with database.read(engine) as connection:
        (letter,) = connection.execute(sa.select(tables.dead_letters)).all()
    assert letter.row_number == 5
    assert "KeyError" in letter.reason
    assert "@" not in letter.reason
    assert count(engine, tables.suppressions) == 7
