"""Mailchimp Transactional as a Mailer: one batch, one POST. It never tries again; the ledger owns attempts.

It schedules nothing that could be called back: a scheduled mail is cancelled by its own id, which only the answer names,
and the answer is what is missing where a call-back is needed. The list of what is scheduled tells no metadata.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import orjson

from domain import ports
from domain.ledger import Outcome
from providers import one_request
from providers.batch_checks import RecipientRefused
from providers.mailchimp import calls, transactional_payload, transactional_results
from providers.mailchimp.config import MailchimpConfig

SEND = "/messages/send.json"
SEND_TEMPLATE = "/messages/send-template.json"


class TransactionalMailer:
    """One pooled client; safe to share between threads."""

    def __init__(
        self, client: httpx.Client, config: MailchimpConfig, *, clock: Callable[[], datetime] = one_request.utc_now
    ) -> None:
        self._client = client
        self._config = config
        self._clock = clock

    @property
    def capabilities(self) -> ports.Capabilities:
        return ports.Capabilities(
            batch_size=self._config.transactional_batch_size,
            concurrency=self._config.transactional_concurrency,
            variables_per_recipient=True,
            events=True,
        )

    def send(self, batch: ports.Batch) -> Outcome:
        """Hand over once. Raises PayloadError, before anything is sent, where the batch as a whole is faulty."""
        answer = one_request.post(
            self._client,
            SEND if batch.content.esp_template_id is None else SEND_TEMPLATE,
            lambda: self._body(batch),
            too_late=lambda: one_request.lease_over(batch, self._clock()),
        )
        if isinstance(answer, Outcome):
            return answer
        return transactional_results.outcome(answer, batch, now=self._clock())

    def _body(self, batch: ports.Batch) -> bytes:
        """The key travels in the body, so no body is ever logged or kept."""
        asked: dict[str, Any] = {"key": self._config.required_transactional_key()}
        try:
            return orjson.dumps(asked | transactional_payload.build(batch, self._config))
        except orjson.JSONEncodeError:  # its text may repeat a value
            raise RecipientRefused("a value is not valid Unicode (half of a surrogate pair)") from None

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()


def open_mailer(config: MailchimpConfig) -> TransactionalMailer:
    """Return a mailer with a pool of its own. Raises MailchimpNotConfigured without a usable API key."""
    return TransactionalMailer(calls.open_transactional(config), config)
