"""Transactional's answers, and a mailer whose wire is faked."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.transactional_mailer import TransactionalMailer
from tests.providers.contract import SECRET

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BASE = "https://mandrillapp.com/api/1.0"


def config(**settings: Any) -> MailchimpConfig:
    """As most tests need it: many mails in a request."""
    return MailchimpConfig(transactional_api_key=SecretStr(SECRET), **{"transactional_batch_size": 1000, **settings})


def over(
    answer: Callable[[httpx.Request], httpx.Response], **settings: Any
) -> tuple[TransactionalMailer, list[dict[str, Any]]]:
    """A mailer, and the bodies of what it asks."""
    seen: list[dict[str, Any]] = []

    def wire(request: httpx.Request) -> httpx.Response:
        seen.append(orjson.loads(request.content) | {"path": request.url.path})
        return answer(request)

    client = httpx.Client(transport=httpx.MockTransport(wire), base_url=BASE)
    return TransactionalMailer(client, config(**settings), clock=lambda: NOW), seen


def results(body: bytes, status: str = "queued", **of: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One result a recipient; `of` says otherwise by the part before the @, None leaves it out."""
    found = []
    for position, one in enumerate(orjson.loads(body)["message"]["to"]):
        local = one["email"].partition("@")[0]
        told = {"email": one["email"], "status": status, "reject_reason": None, "_id": f"{position:032x}"}
        changed = of.get(local, {})
        if changed is not None:
            found.append(told | changed)
    return found


def taken(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=results(request.content))


def error(status: int, name: str, message: str = "because") -> httpx.Response:
    return httpx.Response(status, json={"status": "error", "code": -1, "name": name, "message": message})
