"""SendGrid as a Mailer: one batch, one POST, one outcome. It never tries again; the ledger owns attempts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import orjson

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from domain.masking import masked
from providers import http
from providers.sendgrid import calls, checks, payload, schedule
from providers.sendgrid.config import SendGridConfig

PATH = "/v3/mail/send"
_ERRORS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Verdict:
    kind: OutcomeKind
    stop: bool = False  # somebody has to mend the configuration first


# facts/reliability.md section 2, and SendGrid's error list. Whatever is not here is unknown, every 5xx above all.
_VERDICTS = {
    200: _Verdict(OutcomeKind.ACCEPTED),  # SendGrid's sandbox mode: checked and thrown away
    202: _Verdict(OutcomeKind.ACCEPTED),
    400: _Verdict(OutcomeKind.REJECTED),
    413: _Verdict(OutcomeKind.REJECTED),
    422: _Verdict(OutcomeKind.REJECTED),
    # It is the base URL, a proxy or our program, and nothing was taken. The same mails pass once that is mended, so
    # they must not end as rejected.
    404: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    405: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    415: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    401: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    403: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    429: _Verdict(OutcomeKind.NOT_SENT),
    # SendGrid's API does not redirect, so a proxy or a wrong base URL (http for https) spoke. These three say that
    # the resource is elsewhere and nothing was done here. 302 and 303 are also how a server answers after it did the
    # work, so they stay unknown.
    301: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    307: _Verdict(OutcomeKind.NOT_SENT, stop=True),
    308: _Verdict(OutcomeKind.NOT_SENT, stop=True),
}
_ANYTHING_ELSE = _Verdict(OutcomeKind.UNKNOWN)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SendGridMailer:
    """One pooled client; safe to share between threads."""

    def __init__(
        self, client: httpx.Client, config: SendGridConfig, *, clock: Callable[[], datetime] = _utc_now
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
        """Hand over once. Raises PayloadError, before anything is sent, where the batch as a whole is faulty.

        One recipient's unusable data is a refusal like SendGrid's own 400: the ledger halves the batch down to him.
        """
        checks.send_at(batch, now=self._clock())
        try:
            body = payload.build(batch, self._config)
        except checks.RecipientRefused as refused:
            return Outcome(OutcomeKind.REJECTED, detail=str(refused), local=True)
        except ports.Unsendable:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of our program; its text may hold somebody's data
            kind = type(error).__name__
            raise ports.Unsendable(f"the request could not be built ({kind}); nothing was sent") from None
        # Nothing may stand between these looks at the clock and the request: building a thousand messages takes time.
        if (late := _too_late(batch, self._clock())) is not None:
            return Outcome(OutcomeKind.NOT_SENT, detail=late, local=True)
        try:
            response = self._client.post(PATH, content=body, headers={"Content-Type": "application/json"})
        except Exception as error:  # noqa: BLE001 - the table knows them all, and what it does not know is unknown
            return http.outcome_of_exception(error)
        return self._outcome(response, batch.addresses)

    def _outcome(self, response: httpx.Response, addresses: Iterable[str]) -> Outcome:
        verdict = _VERDICTS.get(response.status_code, _ANYTHING_ELSE)
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
    if now >= batch.lease_expires_at:
        return "the lease ran out before the request began, so it was not sent"
    if batch.schedule_id and batch.send_at and now >= batch.send_at - schedule.CALL_BACK_UNTIL:
        # Were the answer cut, nobody could take the batch back.
        return "too late to call this batch back, so it was not sent"
    return None


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
