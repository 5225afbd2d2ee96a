"""Calls of Mailchimp Transactional's end points of a sandbox, as each test of them makes them."""

from typing import Any

import httpx

from tests.providers.sandbox.conftest import KEY, Esp

BASE = "/mandrill/api/1.0"


def call(esp: Esp, path: str, *, key: str = KEY, **body: Any) -> httpx.Response:
    return esp.client.post(f"{BASE}/{path}.json", json={"key": key, **body})


def done(esp: Esp, path: str, **body: Any) -> Any:
    """The answer to a call that is taken."""
    return call(esp, path, **body).raise_for_status().json()


def failed(esp: Esp, path: str, **body: Any) -> tuple[int, str]:
    """Status and name of the error."""
    answer = call(esp, path, **body)
    told = answer.json()
    assert told["status"] == "error"
    return answer.status_code, told["name"]
