"""Tokens for who posts webhooks: an hour long, good at each gateway, gone with their secret."""

import base64
from datetime import timedelta

import pytest

from gateway.app import create_app
from gateway.oauth import PATH, TokenDesk
from tests.conftest import NOW
from tests.gateway.test_webhooks import BODY, counted, stored
from tests.gateway.test_webhooks import PATH as WEBHOOK

CLIENT, SECRET, OLD = "sendgrid", "the-secret-of-the-client", "the-former-secret-of-it"
GRANT = {"grant_type": "client_credentials"}
SETTINGS = {"webhook_oauth_client_id": CLIENT, "webhook_oauth_client_secrets": [SECRET, OLD]}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(serve, make_settings, clock):
    return serve(create_app(make_settings(sendgrid=SETTINGS), clock=clock))


def basic(client: str = CLIENT, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


def bearer(door, **changes) -> dict[str, str]:
    answer = door.post(PATH, data=GRANT, headers=basic(), **changes)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_token_and_a_signature_together_open_the_door(door, engine, signer):
    headers = bearer(door) | signer.headers(BODY)
    assert door.post(WEBHOOK, content=BODY, headers=headers).status_code == 204
    assert len(stored(engine)) == 1


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer x", "Bearer 99999999999.1.x", "Basic x", "Bearer \xe4"]
)
def test_a_signature_alone_does_not(door, engine, signer, authorization):
    headers: dict = signer.headers(BODY)
    if authorization is not None:
        headers["Authorization"] = authorization.encode("latin-1")
    assert door.post(WEBHOOK, content=BODY, headers=headers).status_code == 401
    assert stored(engine) == []
    assert counted(door, 'oms_webhook_refused_total{provider="sendgrid",reason="token"}') == 1


def test_a_token_alone_does_not_either(door, engine):
    assert door.post(WEBHOOK, content=BODY, headers=bearer(door)).status_code == 401
    assert stored(engine) == []


def test_each_changed_character_of_a_token_is_noticed():
    desk = TokenDesk(CLIENT, [SECRET], Clock())
    token = desk.issue()
    assert desk.admits(f"Bearer {token}")
    assert desk.admits(f"bearer {token}")
    for place, one in enumerate(token):
        assert not desk.admits(f"Bearer {token[:place]}{chr(ord(one) ^ 1)}{token[place + 1 :]}")


def test_it_is_over_after_an_hour(door, signer, clock):
    headers = bearer(door) | signer.headers(BODY)
    clock.now = NOW + timedelta(minutes=59)
    assert door.post(WEBHOOK, content=BODY, headers=headers).status_code == 204
    clock.now = NOW + timedelta(hours=1)
    assert door.post(WEBHOOK, content=BODY, headers=headers).status_code == 401


def test_another_gateway_knows_it_and_a_secret_taken_away_takes_it_along(serve, make_settings, signer):
    def gateway(*secrets: str):
        facts = {"webhook_oauth_client_id": CLIENT, "webhook_oauth_client_secrets": secrets}
        return serve(create_app(make_settings(sendgrid=facts)))

    headers = {"Authorization": bearer(gateway(SECRET))["Authorization"], **signer.headers(BODY)}
    assert gateway("a-new-secret-of-the-client", SECRET).post(WEBHOOK, content=BODY, headers=headers).status_code == 204
    assert gateway("a-new-secret-of-the-client").post(WEBHOOK, content=BODY, headers=headers).status_code == 401


class TestTheDesk:
    def test_it_answers_as_the_rfc_says(self, door):
        answer = door.post(PATH, data=GRANT, headers=basic())
        assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
        assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 3600)
        assert answer.headers["cache-control"] == "no-store"

    def test_the_client_may_name_itself_in_the_form(self, door):
        form = {**GRANT, "client_id": CLIENT, "client_secret": OLD}
        assert door.post(PATH, data=form).status_code == 200

    @pytest.mark.parametrize(
        "headers", [basic(secret="wrong"), basic(client="wrong"), basic("", ""), {"Authorization": "Basic =="}, {}]
    )
    def test_nobody_else_gets_one(self, door, headers):
        answer = door.post(PATH, data=GRANT, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
        assert "Basic" in answer.headers["www-authenticate"]

    @pytest.mark.parametrize("form", [{}, {"grant_type": "password"}])
    def test_another_grant_is_refused(self, door, form):
        answer = door.post(PATH, data=form, headers=basic())
        assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})

    def test_a_body_without_end_is_refused(self, door):
        assert door.post(PATH, content=b"a" * 20_000, headers=basic()).status_code == 413

    def test_without_a_client_there_is_no_desk(self, gateway):
        assert gateway.post(PATH, data=GRANT, headers=basic()).status_code == 404
