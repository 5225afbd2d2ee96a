"""Postmark as a Mailer: one batch, one POST, an answer for each mail in the order of the mails.

A 200 says nothing of any mail: each has an ErrorCode of its own ("API overview", error codes). What a code means that is
not here is unknown.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import httpx
import orjson

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from domain.masking import masked
from providers import http, one_request
from providers.http import Verdict
from providers.postmark import payload
from providers.postmark.config import PostmarkConfig, PostmarkNotConfigured

PATH = "/email/batch"
_TOKEN = "X-Postmark-Server-Token"  # noqa: S105 - the header's name
_STOP = Verdict(OutcomeKind.NOT_SENT, stop=True)
_REFUSED = Verdict(OutcomeKind.REJECTED)
_CODES = {
    0: Verdict(OutcomeKind.ACCEPTED),
    10: _STOP,  # bad or missing token
    100: Verdict(OutcomeKind.NOT_SENT),  # offline for maintenance
    300: _REFUSED,  # invalid request: mostly the address
    400: _STOP,  # sender signature not found
    401: _STOP,  # sender signature not confirmed
    402: _REFUSED,
    403: _REFUSED,
    405: _STOP,  # not allowed to send: out of credits
    406: _REFUSED,  # inactive: on the stream's suppression list
    409: _REFUSED,
    410: _REFUSED,
    411: _REFUSED,
    412: _STOP,  # account is pending
    413: _STOP,  # account may not send
    429: Verdict(OutcomeKind.NOT_SENT),
}


class PostmarkMailer:
    """One pooled client; safe to share between threads."""

    def __init__(
        self, client: httpx.Client, config: PostmarkConfig, *, clock: Callable[[], datetime] = one_request.utc_now
    ) -> None:
        self._client, self._config, self._clock = client, config, clock

    @property
    def capabilities(self) -> ports.Capabilities:
        return ports.Capabilities(self._config.batch_size, self._config.concurrency, True, True)

    def send(self, batch: ports.Batch) -> Outcome:
        """Hand over once. Raises Unsendable, before anything is sent, where the batch as a whole is faulty."""
        answer = one_request.post(
            self._client,
            PATH,
            lambda: payload.build(batch, self._config),
            too_late=lambda: one_request.lease_over(batch, self._clock()),
        )
        return answer if isinstance(answer, Outcome) else self._outcome(answer, batch)

    def _outcome(self, response: httpx.Response, batch: ports.Batch) -> Outcome:
        answer = _json(response.content)
        if response.status_code != httpx.codes.OK:
            return self._refused(response, answer, batch.addresses)
        if not isinstance(answer, list) or len(answer) != len(batch):
            return Outcome(OutcomeKind.UNKNOWN, detail="HTTP 200: not one answer a mail", status=200)
        pairs = zip(batch.message_ids, answer, strict=True)
        each = {message_id: _of_one(one, batch.addresses) for message_id, one in pairs}
        return one_request.of_each(each)

    def _refused(self, response: httpx.Response, answer: Any, addresses: Iterable[str]) -> Outcome:
        told = answer if isinstance(answer, dict) else {}
        status = response.status_code
        # Postmark names the fault of a 422; of everything else the status speaks.
        named = _code(told) if status == httpx.codes.UNPROCESSABLE_ENTITY else None
        verdict = named or http.VERDICTS.get(status, http.ANYTHING_ELSE)
        words = f": {told.get('ErrorCode')} {told.get('Message')}" if "ErrorCode" in told else ""
        wait = http.retry_after(response.headers.get("Retry-After"), now=self._clock())
        return Outcome(
            verdict.kind,
            detail=masked(f"HTTP {status}{words}", addresses),
            status=status,
            retry_after=wait if verdict.kind is OutcomeKind.NOT_SENT else None,
            stop_provider=verdict.stop,
        )

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()


def _of_one(answer: Any, addresses: Iterable[str]) -> Outcome:
    told = answer if isinstance(answer, dict) else {}
    verdict = _code(told) or http.ANYTHING_ELSE
    if verdict.kind is OutcomeKind.ACCEPTED:
        message_id = told.get("MessageID")
        return Outcome(verdict.kind, status=200, provider_reference=message_id if isinstance(message_id, str) else None)
    words = masked(f"{told.get('ErrorCode')}: {told.get('Message')}", addresses)
    return Outcome(verdict.kind, detail=words, status=200, stop_provider=verdict.stop)


def _code(told: dict[str, Any]) -> Verdict | None:
    code = told.get("ErrorCode")
    return _CODES.get(code) if type(code) is int else None


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def open_mailer(config: PostmarkConfig) -> PostmarkMailer:
    """Return a mailer with a pool of its own. Raises PostmarkNotConfigured without a usable token."""
    token = config.required_token()
    try:
        client = http.open_client(
            config.base_url,
            token,
            connect=config.connect_timeout_seconds,
            read=config.read_timeout_seconds,
            write=config.read_timeout_seconds,
            pool=config.connect_timeout_seconds,
            connections=config.concurrency,
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise PostmarkNotConfigured(
            f"OMS_POSTMARK_SERVER_TOKEN or OMS_POSTMARK_BASE_URL is unusable: {error}"
        ) from None
    del client.headers["Authorization"]
    client.headers[_TOKEN] = token
    return PostmarkMailer(client, config)
