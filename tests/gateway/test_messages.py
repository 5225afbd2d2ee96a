"""POST /messages: one message for each Idempotency-Key, and for everything else a problem that repeats no value."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import accounts, api_keys, database, message_requests, suppressions, tables
from data.config import MessagesConfig
from domain import addresses
from domain.suppression import Reason
from gateway import messages
from gateway.app import create_app
from tests.conftest import NOW, PEPPER
from tests.data import ledger_rows
from tests.gateway.message_api import CANARY, EMAIL, Program, body, new_key, problem
from tests.gateway.test_orders import counted


@pytest.fixture
def program(gateway, engine, account_id) -> Program:
    return Program(gateway, engine, new_key(engine))


def suppress(engine: sa.Engine, reason: Reason, account_id: str = "shop") -> None:
    with database.write(engine) as connection:
        suppressions.add(
            connection,
            account_id=account_id,
            address_hash=addresses.address_hash(EMAIL, PEPPER),
            reason=reason,
            source="test",
            evidence="",
            now=NOW,
        )


def test_a_message_is_kept_and_told(program):
    answer = program.ask(useful_seconds=60)
    assert answer.status_code == 202
    told = answer.json()
    assert answer.headers["location"] == told["href"] == f"/messages/{told['id']}"
    assert told["expires_at"] == "2026-11-22T09:01:00Z"
    (row,) = program.messages()
    assert (row.id, row.state, row.urgency, row.asked_by) == (told["id"], "planned", 0, "api")
    assert (row.email, row.variables["reset_url"], row.mailbox_group) == (EMAIL, CANARY, "other")
    assert row.address_hash == addresses.address_hash(EMAIL, PEPPER)
    assert counted(program.client, 'oms_message_asked_total{replayed="false"}') == 1


def test_the_group_of_the_mailbox_is_known(program):
    program.ask(recipient={"email": "ann@gmail.com"})
    assert program.messages()[0].mailbox_group == "gmail"


def test_the_same_request_gets_the_same_answer_and_no_second_message(program, engine):
    first = program.ask()
    with database.write(engine) as connection:
        connection.execute(tables.transactional_messages.update().values(state="accepted"))
    document = body()
    again = program.post(
        content=json.dumps(dict(reversed(document.items())), indent=3),
        headers={"content-type": "application/json; charset=utf-8"},
    )
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(program.messages()) == 1


def test_the_same_key_with_another_body_is_refused(program):
    program.ask()
    assert problem(program.ask(useful_seconds=5)) == (409, "key-reused")
    assert problem(program.ask(recipient={"email": "eve@example.com"})) == (409, "key-reused")
    assert len(program.messages()) == 1


def test_a_template_that_changed_meanwhile_changes_no_answer(program, engine):
    first = program.ask()
    suppress(engine, Reason.HARD_BOUNCE)
    assert program.ask().content == first.content
    assert problem(program.ask("k2")) == (422, "recipient-refused")


def test_at_once_they_make_one_message(program):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: program.ask("same"), range(16)))
    assert {one.status_code for one in answers} == {202}
    assert len({one.content for one in answers}) == 1
    assert sum("idempotent-replayed" not in one.headers for one in answers) == 1
    assert len(program.messages()) == 1


def test_a_forgotten_key_still_names_its_message(program, engine):
    first = program.ask()
    with database.write(engine) as connection:
        assert message_requests.forget(connection, NOW) == 0
        assert message_requests.forget(connection, NOW + timedelta(seconds=1)) == 1
    assert program.ask().content == first.content
    assert problem(program.ask(recipient={"email": "eve@example.com"})) == (409, "key-reused")
    assert len(program.messages()) == 1


def test_two_accounts_may_use_one_key(program, engine):
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
    other = Program(program.client, engine, new_key(engine, "second"))
    ids = {program.ask().json()["id"], other.ask().json()["id"]}
    assert len(ids) == 2


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer oms_x", "Basic b21zOng=", "Bearer oms_" + "a" * 43])
def test_without_a_key_nobody_comes_in(program, header):
    headers = {"Idempotency-Key": "k", **({"Authorization": header} if header else {})}
    answer = program.client.post("/messages", json=body(), headers=headers)
    assert problem(answer) == (401, "no-key")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert problem(program.client.get("/messages/tx", headers=headers)) == (401, "no-key")
    assert program.messages() == []


def test_a_revoked_key_lets_nobody_in(program, engine):
    with database.write(engine) as connection:
        (row,) = api_keys.listing(connection, "shop")
        assert api_keys.revoke(connection, "shop", row.name, actor="test", now=NOW)
    assert problem(program.ask()) == (401, "no-key")


def test_scopes_say_what_a_key_may_do(program, engine):
    mine = program.ask().json()["id"]
    reader = Program(program.client, engine, new_key(engine, scopes=("messages:read",)))
    assert problem(reader.ask("k2")) == (403, "scope")
    assert reader.show(mine).status_code == 200
    resets = Program(program.client, engine, new_key(engine, scopes=("messages:send:password-reset",)))
    assert resets.ask("k3").status_code == 202
    assert problem(resets.ask("k4", template="shipped")) == (403, "scope")
    assert problem(resets.show(mine)) == (403, "scope")
    shipped = Program(program.client, engine, new_key(engine, scopes=("messages:read:shipped",)))
    assert problem(shipped.show(mine)) == (404, "no-message")


def test_the_key_is_kept_nowhere(program, engine, everything):
    assert program.secret not in str(everything())


@pytest.mark.parametrize("key", [None, "", "a b", "x" * 256, "schl\u00fcssel".encode("latin-1")])
def test_a_key_that_is_none_is_refused(program, key):
    assert problem(program.post(key, json=body())) == (400, "idempotency-key")


@pytest.mark.parametrize("reason", [Reason.HARD_BOUNCE, Reason.COMPLAINT, Reason.ERASED, Reason.INVALID])
def test_who_must_not_be_mailed_is_refused_with_the_reason(program, engine, reason):
    suppress(engine, reason)
    answer = program.ask()
    assert problem(answer) == (422, "recipient-refused")
    assert answer.json()["reason"] == reason
    assert program.messages() == []


def test_who_unsubscribed_gets_what_she_asked_for(program, engine):
    suppress(engine, Reason.UNSUBSCRIBE)
    assert program.ask().status_code == 202


def test_a_marketplaces_address_is_not_mailed(program):
    answer = program.ask(recipient={"email": "x1@marketplace.amazon.de"})
    assert (problem(answer), answer.json()["reason"]) == ((422, "recipient-refused"), "relay")


def test_a_key_has_its_rate_over_all_gateways(serve, make_settings, engine, account_id, monkeypatch):
    first, second = (serve(create_app(make_settings(), clock=lambda: NOW)) for _ in range(2))
    secret = new_key(engine, per_minute=4)
    programs = [Program(one, engine, secret) for one in (first, second)]
    answers = [programs[number % 2].ask(f"k{number}") for number in range(6)]
    assert [one.status_code for one in answers] == [202] * 4 + [429] * 2
    assert problem(answers[-1]) == (429, "rate")
    assert answers[-1].headers["retry-after"] == "16"


def test_too_much_that_waits_is_put_off(serve, make_settings, engine, account_id):
    config = make_settings().model_copy(update={"messages": MessagesConfig(max_backlog=1)})
    program = Program(serve(create_app(config, clock=lambda: NOW)), engine, new_key(engine))
    assert program.ask().status_code == 202
    other = Program(serve(create_app(config, clock=lambda: NOW)), engine, program.secret)
    answer = other.ask("k2")
    assert (problem(answer), answer.headers["retry-after"]) == ((503, "unavailable"), "30")
    assert other.ask("k1").status_code == 202  # what was kept is answered


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/messages", 405),
        ("GET", "/messages", 405),
        ("DELETE", "/messages/t1", 405),
        ("GET", "/messages/a/b", 404),
        ("POST", "/messages/", 404),
    ],
)
def test_what_is_not_there_is_a_problem_too(program, method, path, status):
    answer = program.client.request(method, path, headers=program.auth)
    assert problem(answer)[0] == status
    assert ("allow" in answer.headers) == (status == 405)


def test_no_value_is_logged_or_counted(program, access_log, caplog, monkeypatch):
    with caplog.at_level(logging.DEBUG):
        program.ask("the-key-itself")
        program.ask("the-key-itself", useful_seconds=7)
        program.ask("k2", variables={"reset_url": CANARY})
        program.show(program.messages()[0].id)
        monkeypatch.setattr(message_requests, "ask", _broken)
        assert problem(program.ask("k3")) == (500, "fault")
    for secret in (CANARY, EMAIL, program.secret, "the-key-itself"):
        assert secret not in caplog.text
        assert secret not in program.client.get("/metrics").text
    assert "ValueError in _broken" in caplog.text


def _broken(_connection: Any, request: message_requests.Request, *_: Any, **__: Any) -> None:
    raise ValueError(f"cannot keep {request.variables} for {request.email}")


def test_a_store_that_is_away_is_told_as_such(program, engine, monkeypatch):
    def away(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("INSERT", {"email": EMAIL}, OSError(CANARY))

    for place, name in ((api_keys, "find"), (api_keys, "draw"), (message_requests, "known"), (accounts, "get")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, away)
            answer = program.ask()
            assert (problem(answer), answer.headers["retry-after"]) == ((503, "unavailable"), "5")
    assert program.ask().status_code == 202


def test_a_store_that_hangs_makes_nobody_wait_for_long(program, engine, monkeypatch):
    """Other pages answer meanwhile, and who asks again finds what was kept after all."""
    monkeypatch.setattr(messages, "_SECONDS", 0.2)
    let_go, kept = threading.Event(), message_requests.ask

    def hanging(*args: Any, **given: Any) -> Any:
        let_go.wait(20)
        return kept(*args, **given)

    monkeypatch.setattr(message_requests, "ask", hanging)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: program.ask(f"k{number}"), range(12)))
        assert {problem(one) for one in answers} == {(503, "unavailable")}
        assert program.client.get("/messages/openapi.json").status_code == 200
        let_go.set()
    monkeypatch.setattr(messages, "_SECONDS", 10.0)
    assert program.ask("k0").status_code == 202
    assert sum(row.template == "password-reset" for row in program.messages()) >= 1
