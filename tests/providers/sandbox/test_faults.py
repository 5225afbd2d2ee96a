"""The knobs: what the client sees, and what was accepted all the same."""

import socket

import httpx
import pytest

from providers.sandbox import faults


def turn(esp, **knobs):
    esp.client.put("/sandbox/faults", json=knobs).raise_for_status()


def outcome(esp, payload):
    try:
        return esp.send(payload).status_code
    except httpx.TransportError:
        return "cut"


def test_429_has_no_body_and_accepts_nothing(esp, campaign):
    turn(esp, rate_429=1)
    answer = esp.send(campaign(1000))
    assert (answer.status_code, answer.content) == (429, b"")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert answer.headers["X-RateLimit-Reset"].isdigit()
    assert esp.summary()["accepted"] == 0


def test_500_accepts_nothing(esp, campaign):
    turn(esp, rate_500=1)
    assert esp.send(campaign(1)).status_code == 500
    assert esp.summary()["accepted"] == 0


def test_a_connection_cut_after_acceptance_was_accepted(esp, campaign):
    turn(esp, drop_after_accept=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        esp.send(campaign(1000))
    assert esp.summary("run")["distinct"] == 1000


def test_a_connection_cut_before_acceptance_was_not(esp, campaign):
    turn(esp, drop_before_accept=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        esp.send(campaign(1000))
    assert esp.summary()["accepted"] == 0


def test_a_refusal_is_answered_even_when_acceptances_are_cut(esp, mail):
    turn(esp, drop_after_accept=1)
    assert esp.send(mail(subject=None)).status_code == 400


def test_faults_stop_after_the_next_n(esp, campaign):
    turn(esp, rate_500=1, next_n=2)
    outcomes = [outcome(esp, campaign(1, run=f"run{number}")) for number in range(4)]
    assert outcomes == [500, 500, 202, 202]


def test_the_same_seed_gives_the_same_sequence(esp, campaign):
    knobs = {"rate_429": 0.25, "rate_500": 0.25, "drop_before_accept": 0.2, "drop_after_accept": 0.2, "seed": 7}

    def sequence(seed):
        turn(esp, **knobs | {"seed": seed})
        return [outcome(esp, campaign(1)) for _ in range(30)]

    first = sequence(7)
    assert sequence(7) == first
    assert set(first) == {202, 429, 500, "cut"}
    assert sequence(8) != first


def test_latency_lets_the_client_time_out_and_accepts_all_the_same(esp, campaign, eventually):
    turn(esp, latency_ms=300)
    with pytest.raises(httpx.ReadTimeout):
        esp.client.post("/v3/mail/send", json=campaign(1), timeout=httpx.Timeout(5, read=0.05))
    eventually(lambda: esp.summary()["accepted"] == 1)


def test_a_client_that_leaves_in_mid_request_leaves_no_traceback(esp, caplog):
    host, port = httpx.URL(esp.url).host, httpx.URL(esp.url).port
    with socket.create_connection((host, port)) as connection:
        head = "POST /v3/mail/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer SG.test-key\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
    esp.stop()
    assert "Traceback" not in caplog.text


def test_held_events_stay_due(start, receiver, eventually, campaign):
    esp = start(webhook_url=receiver.url)
    turn(esp, hold_events=True)
    esp.send(campaign(5, domain="delivered.test"))
    assert esp.summary()["events_due"] >= 10
    assert receiver.posts == []
    turn(esp)
    eventually(lambda: esp.summary()["events_due"] == 0)
    assert len(receiver.taken) >= 10


def test_the_knobs_can_be_read_and_want_the_key(esp):
    turn(esp, latency_ms=5, next_n=3)
    shown = esp.client.get("/sandbox/faults").json()
    assert (shown["latency_ms"], shown["next_n"], shown["rate_429"]) == (5, 3, 0.0)
    turn(esp)
    assert esp.client.get("/sandbox/faults").json() == faults.Faults().model_dump(mode="json")
    assert httpx.get(f"{esp.url}/sandbox/faults").status_code == 401
    assert httpx.put(f"{esp.url}/sandbox/faults", json={}).status_code == 401


@pytest.mark.parametrize("knobs", [{"rate_429": 0.6, "rate_500": 0.6}, {"rate_429": 2}, {"rate429": 1}, {"next_n": -1}])
def test_knobs_that_cannot_be(esp, knobs):
    assert esp.client.put("/sandbox/faults", json=knobs).status_code == 400
    assert esp.client.get("/sandbox/faults").json() == faults.Faults().model_dump(mode="json")


def test_only_sends_are_disturbed(esp):
    turn(esp, drop_before_accept=1)
    assert esp.client.get("/health").json() == {"status": "ok"}
    assert esp.summary()["accepted"] == 0


@pytest.mark.parametrize(
    ("on", "method", "path"),
    [
        ("new_schedule", "POST", "/v3/mail/batch"),
        ("call_back", "POST", "/v3/user/scheduled_sends"),
        ("call_back", "DELETE", "/v3/user/scheduled_sends/x"),
        ("look_up", "GET", "/v3/user/scheduled_sends"),
        ("look_up", "GET", "/v3/messages"),
    ],
)
def test_other_calls_are_disturbed_when_they_are_named(esp, campaign, on, method, path):
    turn(esp, rate_500=1, on=[on])
    assert esp.client.request(method, path).status_code == 500
    assert esp.send(campaign(1)).status_code == 202


def test_a_cancel_may_be_done_and_its_answer_cut(esp):
    batch_id = esp.client.post("/v3/mail/batch").json()["batch_id"]
    turn(esp, drop_after_accept=1, on=["call_back"])
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        esp.client.post("/v3/user/scheduled_sends", json={"batch_id": batch_id, "status": "cancel"})
    assert esp.client.get("/v3/user/scheduled_sends").json() == [{"batch_id": batch_id, "status": "cancel"}]
