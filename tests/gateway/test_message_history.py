"""GET /messages/{id}: the whole history, of one's own account only, without address and without variables."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from openapi_spec_validator import validate

from data import database, inbox, tables
from domain.delivery import Seen
from domain.suppression import Stream
from tests.conftest import NOW
from tests.data import ledger_rows
from tests.gateway.message_api import CANARY, EMAIL, Program, new_key, problem


@pytest.fixture
def program(gateway, engine, account_id) -> Program:
    return Program(gateway, engine, new_key(engine))


def _become(engine: sa.Engine, message_id: str, **facts: Any) -> None:
    with database.write(engine) as connection:
        table = tables.transactional_messages
        connection.execute(table.update().where(table.c.id == message_id).values(**facts))


def _attempt(engine: sa.Engine, message_id: str, number: int, **facts: Any) -> None:
    values = {"worker": "w", "provider": "sendgrid", "route": "r", "pool": "p", "domain": "d", "decision": {}}
    values |= {"content_hash": "h", "claimed_at": NOW + timedelta(seconds=number)} | facts
    values |= {"account_id": "shop", "stream": Stream.TRANSACTIONAL}
    with database.write(engine) as connection:
        pool = {"account_id": "shop", "name": "p", "stream": Stream.TRANSACTIONAL, "created_at": NOW}
        connection.execute(database.insert(connection, tables.pools).on_conflict_do_nothing(), pool)
        row = tables.transactional_attempts.insert().values(
            id=f"{message_id}-{number}", message_id=message_id, number=number, **values
        )
        connection.execute(row)


def _delivered(engine: sa.Engine, message_id: str) -> None:
    with database.write(engine) as connection:
        inbox.store(connection, provider="sendgrid", body=b"[]", now=NOW)
        inbox_id = connection.scalar(sa.select(tables.webhook_inbox.c.id))
        event = {"inbox_id": inbox_id, "provider": "sendgrid", "run_id": message_id, "ordinal": 1, "machine": False}
        told = [
            ("delivered", 9, f"250 ok <{EMAIL}>"),
            ("deferred", 3, "451 4.7.1 later"),
        ]
        for position, (kind, seconds, detail) in enumerate(told):
            row = {"position": position, "dedupe_key": kind, "kind": kind, "detail": detail}
            at = NOW + timedelta(seconds=seconds)
            connection.execute(tables.delivery_events.insert().values(**event, **row, occurred_at=at))
        connection.execute(
            tables.transactional_delivery.insert().values(
                message_id=message_id, seen=int(Seen.DELIVERED), severity=0, delivered_at=NOW + timedelta(seconds=9)
            )
        )


def test_what_waits_has_no_history_yet(program):
    message = program.ask().json()
    told = program.show(message["id"])
    assert told.status_code == 200
    found = told.json()
    assert (found["state"], found["attempts"], found["delivery"], found["events"]) == ("planned", [], None, [])
    assert (found["template"], found["asked_by"], found["resent"]) == ("password-reset", "api", False)
    assert (found["asked_at"], found["expires_at"]) == (message["asked_at"], message["expires_at"])


def test_all_that_became_of_it_is_told(program, engine):
    message_id = program.ask().json()["id"]
    _attempt(engine, message_id, 2, finished_at=NOW + timedelta(seconds=2), outcome="accepted", detail="")
    _attempt(engine, message_id, 1, finished_at=NOW, outcome="unknown", detail=f"reset while sending to {EMAIL}")
    _become(engine, message_id, state="accepted", resent=True, accepted_at=NOW + timedelta(seconds=2))
    _delivered(engine, message_id)
    answer = program.show(message_id)
    found = answer.json()
    assert (found["state"], found["resent"], found["accepted_at"]) == ("accepted", True, "2026-11-22T09:00:02Z")
    assert [(one["number"], one["outcome"]) for one in found["attempts"]] == [(1, "unknown"), (2, "accepted")]
    assert [one["kind"] for one in found["events"]] == ["deferred", "delivered"]
    assert found["events"][1]["detail"] == "250 ok <[address]>"
    assert found["delivery"]["delivered_at"] == "2026-11-22T09:00:09Z"
    for secret in (EMAIL, CANARY, "Ann", "worker", "decision"):
        assert secret not in answer.text


def test_why_it_did_not_go_is_told(program, engine):
    message_id = program.ask().json()["id"]
    _become(engine, message_id, state="suppressed", why="complaint", finished_at=NOW)
    assert (program.show(message_id).json()["state"], program.show(message_id).json()["why"]) == (
        "suppressed",
        "complaint",
    )


@pytest.mark.parametrize("message_id", ["taaaaaaaaaaaaaaaaaaaa", "T", "t%00", "x" * 50, "..%2f", "", "t1/", "\u00e9"])
def test_what_is_not_there_is_not_there(program, message_id):
    assert problem(program.show(message_id))[0] == 404


def test_another_accounts_message_is_not_there(program, engine):
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
    other = Program(program.client, engine, new_key(engine, "second"))
    mine = program.ask().json()["id"]
    assert problem(other.show(mine)) == (404, "no-message")
    assert other.show(mine).json() == other.show("taaaaaaaaaaaaaaaaaaaa").json()


def test_reading_is_counted_too(gateway, engine, account_id):
    program = Program(gateway, engine, new_key(engine, per_minute=2))
    message_id = program.ask().json()["id"]
    assert program.show(message_id).status_code == 200
    assert problem(program.show(message_id)) == (429, "rate")


def test_the_document_is_sound_and_says_what_each_template_needs(gateway, account_id):
    document = gateway.get("/messages/openapi.json").json()
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {"/messages", "/messages/{message_id}"}
    ask = document["paths"]["/messages"]["post"]
    assert set(ask["responses"]) == {*map(str, (202, 400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503))}
    assert ask["security"] == [{"ApiKey": []}]
    (header,) = ask["parameters"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", True)
    assert "Retry-After" in ask["responses"]["429"]["headers"]
    reset = document["components"]["schemas"]["MessageRequest.password-reset"]
    assert reset["properties"]["variables"]["required"] == ["reset_url", "valid_minutes"]
    assert "coupon" not in str(document)
