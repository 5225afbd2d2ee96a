"""What survives the death of the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
SERVE = """
import sys, uvicorn
from providers.sandbox.app import create_app
from providers.sandbox.config import SandboxConfig
config = SandboxConfig(store=sys.argv[1], port=int(sys.argv[2]), api_key="SG.test-key", event_delay_seconds=0)
uvicorn.run(create_app(config), host=config.host, port=config.port, log_level="error", ws="none")
"""


def test_a_killed_sandbox_still_knows_what_it_accepted_and_posts_it(
    start, receiver, eventually, campaign, tmp_path, unused_port
):
    store = str(tmp_path / "sandbox.db")
    url = f"http://127.0.0.1:{unused_port}"
    process = subprocess.Popen([sys.executable, "-c", SERVE, store, str(unused_port)], cwd=ROOT)
    try:
        eventually(lambda: _answers(url))
        headers = {"Authorization": "Bearer SG.test-key"}
        signed = "/v3/user/webhooks/event/settings/signed"
        key = httpx.get(url + signed, headers=headers).json()
        answer = httpx.post(f"{url}/v3/mail/send", json=campaign(300, domain="hard.test"), headers=headers)
        assert answer.status_code == 202
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    again = start(store=store, webhook_url=receiver.url)
    accepted = again.client.get("/sandbox/accepted", params={"run": "run"}).json()
    assert accepted == {f"run.{number}": 1 for number in range(300)}
    eventually(lambda: again.summary()["events_due"] == 0)
    bounced = {event["message_id"] for event in receiver.taken if event["event"] == "bounce"}
    assert bounced == set(accepted)
    assert len(again.client.get("/v3/suppression/bounces").json()) == 300
    assert again.client.get(signed).json() == key


def test_what_was_posted_is_not_posted_again(start, receiver, eventually, campaign):
    first = start(webhook_url=receiver.url)
    first.send(campaign(10, domain="delivered.test"))
    eventually(lambda: first.summary()["events_due"] == 0)
    first.stop()
    posts = len(receiver.posts)
    second = start(webhook_url=receiver.url)
    second.send(campaign(1, domain="delivered.test", run="second"))
    eventually(lambda: second.summary()["events_due"] == 0)
    assert {event["message_id"] for event in receiver.taken[-3:]} >= {"second.0"}
    assert all(b'"message_id":"run.' not in body for _, body, _ in receiver.posts[posts:])


def _answers(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def unused_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
