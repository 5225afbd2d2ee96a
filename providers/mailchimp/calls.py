"""How Mailchimp's two products are called: a pooled client each, and one call with one kind of failure.

Marketing allows ten requests at once for all keys and programs of a user; beyond that it answers 429, or 429 and 403
without a JSON body. Both are told by their status here, whatever the body (facts/esp-contracts.md 4.3).
"""

import re
from typing import Any

import httpx
import orjson

from domain.ledger import Outcome
from domain.masking import masked
from providers import http
from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured

# Two of Marketing's ten are left to others: people and programs use the account as well.
_MOST_AT_ONCE = 8
_TOLD_FIELDS = 5
_TOKEN = "OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN"  # noqa: S105 - the setting's name
_ENDPOINT = re.compile(r"https://[a-z]{2,}\d+\.api\.mailchimp\.com")


class CallFailed(RuntimeError):
    """Mailchimp gave no usable answer. The message holds its words, and no address. `title` names a known problem.

    `wire`: what is known of the request where no answer came at all.
    """

    def __init__(
        self, message: str, *, status: int | None = None, title: str = "", wire: Outcome | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.wire = wire


def open_marketing(config: MailchimpConfig) -> httpx.Client:
    """A client of Marketing 3.0; close it.

    Raises MailchimpNotConfigured; with an OAuth token also CallFailed, as its data centre is asked for.
    """
    most = min(config.concurrency, _MOST_AT_ONCE)
    if token := config.marketing_token():
        base_url = config.marketing_base_url or _base_url_of(config, token)
        return _open(config, base_url, token, _TOKEN, connections=most)
    key = config.required_marketing_key()
    client = _open(config, config.marketing_url(), key, "OMS_MAILCHIMP_MARKETING_API_KEY", connections=most)
    client.auth = httpx.BasicAuth("campaigns", key)
    return client


def _base_url_of(config: MailchimpConfig, token: str) -> str:
    """Where Marketing's API is for a token, which unlike a key does not say so itself (docs: "Access Data on Behalf")."""
    with _open(config, config.marketing_metadata_url, token, _TOKEN, connections=1) as client:
        client.headers["Authorization"] = f"OAuth {token}"
        answer = call(client, "GET", "")
    endpoint = answer.get("api_endpoint") if isinstance(answer, dict) else None
    # The token goes to whatever address stands there.
    if not isinstance(endpoint, str) or not _ENDPOINT.fullmatch(endpoint):
        raise CallFailed("Mailchimp does not tell the data centre of the OAuth token: is it revoked?")
    return f"{endpoint}/3.0"


def open_transactional(config: MailchimpConfig) -> httpx.Client:
    """A client of Transactional, whose key travels in each body; close it. Raises MailchimpNotConfigured."""
    key = config.required_transactional_key()
    variable, most = "OMS_MAILCHIMP_TRANSACTIONAL_API_KEY", config.transactional_concurrency
    client = _open(config, config.transactional_base_url, key, variable, connections=most)
    del client.headers["Authorization"]
    return client


def _open(config: MailchimpConfig, base_url: str, key: str, variable: str, *, connections: int) -> httpx.Client:
    try:
        return http.open_client(
            base_url,
            key,
            connect=config.connect_timeout_seconds,
            read=config.read_timeout_seconds,
            write=config.read_timeout_seconds,
            pool=config.read_timeout_seconds,
            connections=connections,
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
        wire = http.outcome_of_exception(error)
        raise CallFailed(
            f"Mailchimp gave no usable answer to {told}: {http.told(error, client.base_url.host)}", wire=wire
        ) from None
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
        words = f"{title}: {problem.get('detail') or problem.get('message') or ''}{_fields(problem)}"
    message = masked(f"Mailchimp answered {response.status_code} to {told}: {words}")
    return CallFailed(message, status=response.status_code, title=title)


def _fields(problem: dict[str, Any]) -> str:
    """What Marketing says of single fields: its `errors`, which its own sentence merely points to."""
    found = problem.get("errors")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    told = "; ".join(f"{row.get('field') or 'request'}: {row.get('message', '')}" for row in rows[:_TOLD_FIELDS])
    return f" ({told})" if told else ""
