"""Scheduled sends as SendGrid keeps them, and what a cancelled mail leaves behind: nothing."""

import time

import pytest

ISSUED = "/v3/mail/batch"
SAID = "/v3/user/scheduled_sends"
HOUR = 3600


def new_batch(esp) -> str:
    answer = esp.client.post(ISSUED)
    assert answer.status_code == 201
    return answer.json()["batch_id"]


def say(esp, batch_id, status="cancel"):
    return esp.client.post(SAID, json={"batch_id": batch_id, "status": status})


def scheduled(campaign, batch_id, *, seconds=HOUR, **changes):
    return campaign(3, domain="hard.test", **changes) | {"batch_id": batch_id, "send_at": int(time.time()) + seconds}


def accepted(esp, run="run"):
    return esp.client.get("/sandbox/accepted", params={"run": run}).json()


def turn(esp, **knobs):
    esp.client.put("/sandbox/faults", json=knobs).raise_for_status()


def test_scheduled_mail_counts_as_taken_and_nothing_happens_before_its_time(esp, campaign):
    payload = scheduled(campaign, new_batch(esp))
    assert esp.send(payload).status_code == 202
    assert set(accepted(esp).values()) == {1}
    (story,) = esp.story("run.0")["acceptances"]
    assert all(event["occurred_at"] >= payload["send_at"] for event in story["events"])


def test_a_cancelled_batch_never_goes_out(esp, campaign):
    batch_id = new_batch(esp)
    esp.send(scheduled(campaign, batch_id))
    esp.send(campaign(2, run="other"))
    answer = say(esp, batch_id)
    assert (answer.status_code, answer.json()) == (201, {"batch_id": batch_id, "status": "cancel"})
    assert accepted(esp) == {}
    assert esp.client.get("/sandbox/message/run.0").status_code == 404
    assert esp.summary("run")["events_due"] == 0
    assert len(accepted(esp, "other")) == 2


def test_a_cancelled_mail_suppresses_nobody(esp, campaign, eventually):
    turn(esp, late_cancels_work=True)
    batch_id = new_batch(esp)
    payload = scheduled(campaign, batch_id, seconds=1)
    esp.send(payload)
    say(esp, batch_id)
    eventually(lambda: time.time() > payload["send_at"] + 1)
    esp.send(campaign(3, domain="hard.test", run="later"))  # the addresses are as good, or bad, as before
    assert esp.summary("later")["bounced"]["hard"] == 3


def test_mail_that_comes_after_its_batch_was_cancelled_is_taken_and_never_goes_out(esp, campaign):
    batch_id = new_batch(esp)
    say(esp, batch_id)
    answer = esp.send(scheduled(campaign, batch_id))
    assert answer.status_code == 202
    assert answer.headers["X-Message-Id"]
    assert accepted(esp) == {}


@pytest.mark.parametrize(("works", "left"), [(False, 3), (True, 0)])
def test_a_cancel_in_the_last_ten_minutes_is_no_promise(esp, campaign, works, left):
    turn(esp, late_cancels_work=works)
    batch_id = new_batch(esp)
    esp.send(scheduled(campaign, batch_id, seconds=590))
    assert say(esp, batch_id).status_code == 201
    assert esp.client.get(f"{SAID}/{batch_id}").json() == [{"batch_id": batch_id, "status": "cancel"}]
    assert len(accepted(esp)) == left


def test_a_second_post_is_refused_and_patch_changes(esp, campaign):
    batch_id = new_batch(esp)
    esp.send(scheduled(campaign, batch_id))
    assert say(esp, batch_id, "pause").status_code == 201
    assert accepted(esp) == {}
    second = say(esp, batch_id)
    assert second.status_code == 400
    assert "try PATCH" in second.json()["errors"][0]["message"]
    assert esp.client.patch(f"{SAID}/{batch_id}", json={"status": "cancel"}).status_code == 204
    assert esp.client.get(SAID).json() == [{"batch_id": batch_id, "status": "cancel"}]
    assert accepted(esp) == {}


def test_what_is_resumed_in_time_goes_under_its_old_reference(esp, campaign):
    batch_id = new_batch(esp)
    payload = scheduled(campaign, batch_id)
    reference = esp.send(payload).headers["X-Message-Id"]
    say(esp, batch_id)
    assert esp.client.delete(f"{SAID}/{batch_id}").status_code == 204
    assert esp.client.get(f"{SAID}/{batch_id}").json() == []
    assert set(accepted(esp).values()) == {1}
    (story,) = esp.story("run.0")["acceptances"]
    assert story["x_message_id"] == reference
    assert all(event["occurred_at"] >= payload["send_at"] for event in story["events"])


def test_what_was_cancelled_when_its_time_came_is_gone_for_good(esp, campaign, eventually):
    turn(esp, late_cancels_work=True)
    batch_id = new_batch(esp)
    payload = scheduled(campaign, batch_id, seconds=1)
    esp.send(payload)
    say(esp, batch_id)
    eventually(lambda: time.time() > payload["send_at"])
    assert esp.client.delete(f"{SAID}/{batch_id}").status_code == 204
    assert accepted(esp) == {}


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_of_a_batch_of_which_nothing_was_said_nothing_can_be_taken_back(esp, method):
    for batch_id in (new_batch(esp), "never-issued"):
        json = {"json": {"status": "cancel"}} if method == "patch" else {}
        assert esp.client.request(method, f"{SAID}/{batch_id}", **json).status_code == 404
        assert esp.client.get(f"{SAID}/{batch_id}").json() == []


def test_a_batch_id_must_have_been_issued(esp, campaign):
    assert esp.send(scheduled(campaign, "made-up")).status_code == 400
    assert say(esp, "made-up").status_code == 400
    assert say(esp, new_batch(esp), "stop").status_code == 400
    assert accepted(esp) == {}


@pytest.mark.parametrize("changes", [{"batch_id": 5}, {"ip_pool_name": "p"}, {"ip_pool_name": 5}, {"send_at": "soon"}])
def test_fields_of_a_wrong_shape(esp, campaign, changes):
    assert esp.send(campaign(1) | changes).status_code == 400


def test_so_many_batches_can_be_called_back_at_one_time(start, campaign):
    esp = start(most_called_back=2)
    batches = [new_batch(esp) for _ in range(3)]
    for number, batch_id in enumerate(batches):
        esp.send(scheduled(campaign, batch_id, run=f"run{number}"))
    assert [say(esp, batch_id).status_code for batch_id in batches] == [201, 201, 400]
    assert len(accepted(esp, "run2")) == 3


def test_a_restart_forgets_nothing(start, campaign):
    esp = start()
    batch_id = new_batch(esp)
    esp.send(scheduled(campaign, batch_id))
    esp.stop()
    esp = start()
    assert say(esp, batch_id).status_code == 201
    assert accepted(esp) == {}


def test_the_key_is_wanted(esp):
    esp.client.headers.pop("Authorization")
    for method, path in (("POST", ISSUED), ("GET", SAID), ("POST", SAID), ("GET", "/v3/messages?query=x")):
        assert esp.client.request(method, path, json={}).status_code == 401
