"""POST /v3/mail/send over a real connection: who gets in, what is answered, what is kept."""

import httpx
import pytest


def test_an_accepted_request_is_answered_as_sendgrid_does(esp, mail):
    answer = esp.send(mail())
    assert answer.status_code == 202
    assert answer.content == b""
    assert "content-type" not in answer.headers
    assert len(answer.headers["X-Message-Id"]) == 22


@pytest.mark.parametrize("path", ["/v3/suppression/bounces", "/v3/user/webhooks/event/settings/signed"])
def test_every_endpoint_of_sendgrid_wants_the_key(esp, path):
    assert httpx.get(esp.url + path).status_code == 401
    assert esp.client.get(path).status_code == 200


def test_a_wrong_key_is_told_in_sendgrids_words(esp, mail):
    answer = esp.client.post("/v3/mail/send", json=mail(), headers={"Authorization": "Bearer SG.other"})
    assert answer.status_code == 401
    message = "The provided authorization grant is invalid, expired, or revoked"
    assert answer.json() == {"errors": [{"message": message, "field": None, "help": None}]}
    assert esp.summary()["accepted"] == 0


def test_a_refusal_names_what_is_wrong_and_keeps_nothing(esp, mail, personalization):
    answer = esp.send(mail(personalization("a@delivered.test", "run.0"), personalization("nobody", "run.1")))
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == "personalizations.1.to.0.email"
    assert esp.summary()["accepted"] == 0


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"a":"' + b"x" * (30 * 1024 * 1024) + b'"}', "application/json", 413),
    ],
)
def test_what_is_no_request_at_all(esp, content, content_type, status):
    answer = esp.client.post("/v3/mail/send", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v3/mail/send", 405), ("GET", "/v3/nothing", 404)])
def test_unknown_ways_have_sendgrids_shape(esp, method, path, status):
    answer = esp.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["errors"][0]) == {"message", "field", "help"}


def test_sandbox_mode_checks_and_keeps_nothing(esp, mail):
    mode = {"sandbox_mode": {"enable": True}}
    assert esp.send(mail(mail_settings=mode)).status_code == 200
    assert esp.send(mail(mail_settings=mode, subject=None)).status_code == 400
    assert esp.summary()["accepted"] == 0


def test_acceptances_are_counted_by_message_and_run(esp, mail, personalization, campaign):
    esp.send(campaign(3, domain="delivered.test", run="one"))
    esp.send(mail(personalization("p1@delivered.test", "one.1")))
    esp.send(campaign(1, run="one.more"))
    accepted = esp.client.get("/sandbox/accepted", params={"run": "one"}).json()
    assert accepted == {"one.0": 1, "one.1": 2, "one.2": 1}
    assert esp.client.get("/sandbox/accepted", params={"run": "other"}).json() == {}


def test_copies_are_not_acceptances(esp, mail, personalization):
    main = personalization("a@delivered.test", "run.0")
    esp.send(mail(main | {"cc": [{"email": "c@delivered.test"}], "bcc": [{"email": "d@delivered.test"}]}))
    assert esp.client.get("/sandbox/accepted", params={"run": "run"}).json() == {"run.0": 1}
    assert len(esp.story("run.0")["acceptances"]) == 3


def test_a_message_without_our_id_is_kept_under_sendgrids(esp, mail, personalization):
    reference = esp.send(mail(personalization("a@delivered.test"))).headers["X-Message-Id"]
    (acceptance,) = esp.story(f"{reference}.0")["acceptances"]
    assert acceptance["x_message_id"] == reference


def test_a_message_tells_its_address_only_to_the_key(esp, mail):
    reference = esp.send(mail()).headers["X-Message-Id"]
    (acceptance,) = esp.story("run.0")["acceptances"]
    assert acceptance["address"] == "anna@delivered.test"
    assert (acceptance["attempt_id"], acceptance["x_message_id"]) == ("attempt-1", reference)
    assert [event["kind"] for event in acceptance["events"] if not event["repeated"]] == ["processed", "delivered"]
    assert "anna" not in httpx.get(f"{esp.url}/sandbox/message/run.0").text
    assert esp.client.get("/sandbox/message/run.9").status_code == 404


def test_a_thousand_go_in_at_once(esp, campaign):
    assert esp.send(campaign(1000)).status_code == 202
    assert esp.summary("run")["distinct"] == 1000
    assert esp.send(campaign(1001)).status_code == 400
