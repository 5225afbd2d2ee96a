"""How Mailchimp's two products are called: a pooled client each, and one call with one kind of failure.

Marketing allows ten requests at once for all keys and programs of a user; beyond that it answers 429, or 429 and 403
without a JSON body. Both are told by their status here, whatever the body (facts/esp-contracts.md 4.3).
"""

from typing import Any

import httpx
import orjson

from domain.masking import masked
from providers import http
from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured

# Two of Marketing's ten are left to others: people and programs use the account as well.
_MOST_AT_ONCE = 8


class CallFailed(RuntimeError):
    """Mailchimp gave no usable answer. The message holds its words, and no address. `title` names a known problem."""

    def __init__(self, message: str, *, status: int | None = None, title: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.title = title


def open_marketing(config: MailchimpConfig) -> httpx.Client:
    """A client of Marketing 3.0; close it. Raises MailchimpNotConfigured."""
    key = config.required_marketing_key()
    client = _open(config, config.marketing_url(), key, "OMS_MAILCHIMP_MARKETING_API_KEY")
    client.auth = httpx.BasicAuth("campaigns", key)
    return client


def open_transactional(config: MailchimpConfig) -> httpx.Client:
    """A client of Transactional, whose key travels in each body; close it. Raises MailchimpNotConfigured."""
    key = config.required_transactional_key()
    client = _open(config, config.transactional_base_url, key, "OMS_MAILCHIMP_TRANSACTIONAL_API_KEY")
    del client.headers["Authorization"]
    return client


def _open(config: MailchimpConfig, base_url: str, key: str, variable: str) -> httpx.Client:
    try:
        return http.open_client(
            base_url,
            key,
            connect=config.connect_timeout_seconds,
            read=config.read_timeout_seconds,
            write=config.read_timeout_seconds,
            pool=config.read_timeout_seconds,
            connections=min(config.concurrency, _MOST_AT_ONCE),
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise MailchimpNotConfigured(f"{variable} or its base URL is unusable: {error}") from None


def call(client: httpx.Client, method: str, path: str, *, body: dict[str, Any] | None = None, **params: Any) -> Any:
    """One call, and the JSON of its answer; None where that is empty. Raises CallFailed."""
    # What follows the list's name may be an address's MD5, which is as good as the address.
    told = f"{method} {path.partition('/members/')[0]}"
    try:
        response = client.request(method, path, json=body, params=params or None)
    except Exception as error:  # noqa: BLE001 - whatever the wire did, Mailchimp did not answer
        detail = http.outcome_of_exception(error).detail
        raise CallFailed(f"Mailchimp gave no usable answer to {told}: {detail}") from None
    if not response.is_success:
        raise _refusal(response, told)
    try:
        return orjson.loads(response.content) if response.content else None
    except orjson.JSONDecodeError:
        raise CallFailed(f"Mailchimp's answer to {told} is not JSON", status=response.status_code) from None


def _refusal(response: httpx.Response, told: str) -> CallFailed:
    words, title = response.content[:2000].decode(errors="replace"), ""
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        problem = None
    if isinstance(problem, dict):
        title = str(problem.get("title") or problem.get("name") or "")
        words = f"{title}: {problem.get('detail') or problem.get('message') or ''}"
    message = masked(f"Mailchimp answered {response.status_code} to {told}: {words}")
    return CallFailed(message, status=response.status_code, title=title)
