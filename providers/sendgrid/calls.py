"""The pooled client that SendGrid is called with, and one call besides the mail itself."""

from typing import Any

import httpx
import orjson

from domain.masking import masked
from providers import http
from providers.sendgrid.config import SendGridConfig, SendGridNotConfigured


class CallFailed(RuntimeError):
    """SendGrid gave no usable answer. The message holds its words, and no address."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def open_client(config: SendGridConfig) -> httpx.Client:
    """A client with a pool of its own; close it. Raises SendGridNotConfigured without a usable API key."""
    key = config.required_key()
    try:
        return http.open_client(
            config.base_url,
            key,
            connect=config.connect_timeout_seconds,
            read=config.read_timeout_seconds,
            write=config.read_timeout_seconds,
            pool=config.connect_timeout_seconds,
            connections=config.concurrency,
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise SendGridNotConfigured(f"OMS_SENDGRID_API_KEY or OMS_SENDGRID_BASE_URL is unusable: {error}") from None


def call(
    client: httpx.Client, method: str, path: str, body: dict[str, str] | None = None, **params: str | int | list[str]
) -> Any:
    """One call, and the JSON of its answer; None where that is empty. Raises CallFailed."""
    try:
        response = client.request(method, path, json=body, params=params or None)
    except Exception as error:  # noqa: BLE001 - whatever the wire did, SendGrid did not answer
        detail = http.outcome_of_exception(error).detail
        raise CallFailed(f"SendGrid gave no usable answer to {method} {path}: {detail}") from None
    if not response.is_success:
        words = response.content[:2000].decode(errors="replace")
        told = masked(f"SendGrid answered {response.status_code} to {method} {path}: {words}")
        raise CallFailed(told, status=response.status_code)
    try:
        return orjson.loads(response.content) if response.content else None
    except orjson.JSONDecodeError:
        raise CallFailed(f"SendGrid's answer to {method} {path} is not JSON", status=response.status_code) from None
