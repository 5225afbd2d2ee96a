"""SendGrid as a Mailer: one batch, one POST, one outcome. It never tries again; the ledger owns attempts."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import httpx
import orjson

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from domain.masking import masked
from providers import http, one_request
from providers.sendgrid import calls, checks, payload, schedule
from providers.sendgrid.config import SendGridConfig

PATH = "/v3/mail/send"
_ERRORS_SHOWN = 5


# Beside what every ESP's statuses say.
_VERDICTS = http.VERDICTS | {
    200: http.Verdict(OutcomeKind.ACCEPTED),  # SendGrid's sandbox mode: checked and thrown away
    202: http.Verdict(OutcomeKind.ACCEPTED),
}


class SendGridMailer:
    """One pooled client; safe to share between threads."""

    def __init__(
        self, client: httpx.Client, config: SendGridConfig, *, clock: Callable[[], datetime] = one_request.utc_now
    ) -> None:
        self._client = client
        self._config = config
        self._clock = clock

    @property
    def capabilities(self) -> ports.Capabilities:
        return ports.Capabilities(
            batch_size=checks.MAX_RECIPIENTS,
            concurrency=self._config.concurrency,
            variables_per_recipient=True,
            events=not self._config.validate_only,  # the sandbox mode makes none
            schedules=True,
        )

    def send(self, batch: ports.Batch) -> Outcome:
        """Hand over once. Raises PayloadError, before anything is sent, where the batch as a whole is faulty."""
        checks.send_at(batch, now=self._clock())
        answer = one_request.post(
            self._client,
            PATH,
            lambda: payload.build(batch, self._config),
            too_late=lambda: _too_late(batch, self._clock()),
        )
        return answer if isinstance(answer, Outcome) else self._outcome(answer, batch.addresses)

    def _outcome(self, response: httpx.Response, addresses: Iterable[str]) -> Outcome:
        verdict = _VERDICTS.get(response.status_code, http.ANYTHING_ELSE)
        accepted = verdict.kind is OutcomeKind.ACCEPTED
        return Outcome(
            verdict.kind,
            detail="" if accepted else _detail(response, addresses),
            status=response.status_code,
            provider_reference=response.headers.get("X-Message-Id") if accepted else None,
            retry_after=_wait(response, self._clock()) if verdict.kind is OutcomeKind.NOT_SENT else None,
            stop_provider=verdict.stop,
        )

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()


def open_mailer(config: SendGridConfig) -> SendGridMailer:
    """Return a mailer with a pool of its own. Raises SendGridNotConfigured without a usable API key."""
    return SendGridMailer(calls.open_client(config), config)


def _too_late(batch: ports.Batch, now: datetime) -> str | None:
    """Why no request may begin any more: the worker slept since the claim."""
    if batch.schedule_id and batch.send_at and now >= batch.send_at - schedule.CALL_BACK_UNTIL:
        # Were the answer cut, nobody could take the batch back.
        return "too late to call this batch back, so it was not sent"
    return one_request.lease_over(batch, now)


def _wait(response: httpx.Response, now: datetime) -> timedelta | None:
    """How long SendGrid asks us to wait: it sends X-RateLimit-Reset (unix seconds), proxies send Retry-After."""
    asked = http.retry_after(response.headers.get("Retry-After"), now=now)
    reset = response.headers.get("X-RateLimit-Reset", "")
    # Ten digits are unix seconds. The header also comes with answers that have nothing to do with the rate.
    if asked is None and response.status_code == httpx.codes.TOO_MANY_REQUESTS and _is_unix_time(reset):
        return http.bounded_wait(int(reset) - now.timestamp())
    return asked


def _is_unix_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) == 10  # noqa: PLR2004 - until the year 2286


def _detail(response: httpx.Response, addresses: Iterable[str]) -> str:
    """The vendor's own words with the field that each is about; addresses cut out."""
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        answer = None
    errors = answer.get("errors") if isinstance(answer, dict) else None
    words = [_words(error) for error in errors[:_ERRORS_SHOWN]] if isinstance(errors, list) else []
    return masked(
        f"HTTP {response.status_code}: {'; '.join(words)}" if words else f"HTTP {response.status_code}", addresses
    )


def _words(error: object) -> str:
    if not isinstance(error, dict):
        return "an error that is not as documented"
    field = error.get("field")
    return f"{error.get('message')} ({field})" if field else str(error.get("message"))
