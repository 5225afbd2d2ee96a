"""Scheduled sends: a batch id before the mail, and word to SendGrid to forget the mail that carries it.

These calls write, and a batch id is needed for every batch of a campaign, so they go through the pooled client
(providers/http.py): the SDK behind management.py opens a TLS connection for each call and is cured for reads alone.

What SendGrid says of them (docs: API reference, Cancel scheduled sends):
- up to ten minutes before `send_at` a batch can be cancelled; it is thrown away when its time comes;
- a second POST for a batch is refused with 400, PATCH changes its status;
- ten batches can be cancelled or paused at one time;
- a batch id serves 24 hours; a batch that is neither cancelled nor paused is not listed.
"""

import re
from datetime import timedelta

import httpx

from domain import ports
from providers.sendgrid import calls
from providers.sendgrid.config import SendGridConfig

CALL_BACK_UNTIL = timedelta(minutes=10)
CANCEL = "cancel"
_NEW = "/v3/mail/batch"
_STATUS = "/v3/user/scheduled_sends"
BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")  # it becomes a part of a URL


class SendGridScheduler:
    """A Scheduler; safe to share between threads."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def new_schedule(self) -> str:
        """A fresh batch id. Raises SchedulingFailed; an id that nobody uses is nobody's trouble."""
        try:
            answer = calls.call(self._client, "POST", _NEW)
        except calls.CallFailed as error:
            raise ports.SchedulingFailed(f"{error}; nothing was sent") from None
        batch_id = answer.get("batch_id") if isinstance(answer, dict) else None
        if not isinstance(batch_id, str) or not BATCH_ID.fullmatch(batch_id):
            raise ports.SchedulingFailed(f"SendGrid's answer to {_NEW} holds no batch id; nothing was sent")
        return batch_id

    def status(self, schedule_id: str) -> str | None:
        """`cancel`, `pause`, or None where nobody said either. Raises CallFailed."""
        try:
            answer = calls.call(self._client, "GET", f"{_STATUS}/{schedule_id}")
        except calls.CallFailed as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            return None
        rows = answer if isinstance(answer, list) else [answer]
        if not all(isinstance(row, dict) for row in rows):
            raise calls.CallFailed(f"SendGrid's answer to {_STATUS} is not as documented")
        return next((str(row.get("status")) for row in rows if row.get("batch_id") == schedule_id), None)

    def cancel(self, schedule_id: str) -> str | None:
        """Tell SendGrid to forget the batch, and return the status that it names afterwards.

        Safe to repeat, also after an answer that was cut: what counts is what SendGrid says when it is asked again.
        Raises CallFailed where it says nothing.
        """
        if (before := self.status(schedule_id)) == CANCEL:
            return before
        refusal: calls.CallFailed | None = None
        try:
            if before is None:
                calls.call(self._client, "POST", _STATUS, {"batch_id": schedule_id, "status": CANCEL})
            else:  # paused by a person
                calls.call(self._client, "PATCH", f"{_STATUS}/{schedule_id}", {"status": CANCEL})
        except calls.CallFailed as error:
            refusal = error
        after = self.status(schedule_id)
        if after != CANCEL and refusal is not None:
            raise refusal
        return after

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()


def open_scheduler(config: SendGridConfig) -> SendGridScheduler:
    """Return a scheduler with a pool of its own. Raises SendGridNotConfigured without a usable API key."""
    return SendGridScheduler(calls.open_client(config))
