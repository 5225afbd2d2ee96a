"""What became of a request whose answer nobody saw: SendGrid is told to forget it, or asked whether it knows it.

Two proofs, in the order of their worth (facts/reliability.md section 2):
- a scheduled batch is cancelled in time, and SendGrid says so when it is asked again: nothing of it goes out;
- Email Activity, which an account may buy, is searched for the attempt's id, half an hour after the mail went or would
  have gone. That it finds nothing proves only something where the same search finds an attempt that came later: an
  API key without the right to read this feed gets an empty list too (sendgrid-nodejs issue 1098).

Grammar of the search: docs, "Getting started with the Email Activity Feed API". A custom argument is
`(unique_args['name']="value")`. Six requests a minute are allowed.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import orjson

from domain import ports
from domain.ledger import ProofKind
from domain.masking import masked
from domain.ports import Answer, Finding, UnknownAttempt
from providers.sendgrid import calls, schedule
from providers.sendgrid.config import SendGridConfig

_MESSAGES = "/v3/messages"
_REQUESTS_A_MINUTE = 6
_FOUND_IS_ENOUGH = 1
# Our clock and SendGrid's need not agree; machines that keep time by the network are within a second or two.
_CLOCKS_DIFFER = timedelta(seconds=30)


class SendGridInquirer:
    """An Inquirer. It counts its own look-ups, so that one process keeps SendGrid's limit."""

    def __init__(
        self, client: httpx.Client, config: SendGridConfig, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._schedules = schedule.SendGridScheduler(client)
        self._looks_up = config.activity_lookup
        self._timer = timer
        self._looked_up: deque[float] = deque(maxlen=_REQUESTS_A_MINUTE)

    def inquire(self, attempt: UnknownAttempt, *, now: datetime) -> Answer:
        """Cancel where there is time, else look up where the account can."""
        if attempt.schedule_id is not None and attempt.send_at is not None:
            last = attempt.send_at - schedule.CALL_BACK_UNTIL - _CLOCKS_DIFFER
            if now < last:
                return self._cancelled(attempt.schedule_id, now, last)
        return self._found(attempt, now)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()

    def _cancelled(self, schedule_id: str, now: datetime, last: datetime) -> Answer:
        began = self._timer()
        try:
            status = self._schedules.cancel(schedule_id)
        except calls.CallFailed as error:
            return _cannot_tell(ProofKind.CANCELLED, str(error))
        told = f"batch {schedule_id} has the status {status}"
        if status != schedule.CANCEL:
            return _cannot_tell(ProofKind.CANCELLED, told)
        # The call itself takes time: what counts is when SendGrid had confirmed it.
        if now + timedelta(seconds=self._timer() - began) >= last:
            return _cannot_tell(ProofKind.CANCELLED, f"{told}, but perhaps too late")
        return Answer(Finding.NOT_SENT, ProofKind.CANCELLED, told)

    def _found(self, attempt: UnknownAttempt, now: datetime) -> Answer:
        if not self._looks_up:
            return _cannot_tell(ProofKind.LOOK_UP, "this account has no Email Activity to ask")
        due = max(attempt.claimed_at, attempt.send_at or attempt.claimed_at) + attempt.look_up_after
        if now < due:
            return _cannot_tell(ProofKind.LOOK_UP, f"not looked up before {due:%Y-%m-%d %H:%M} UTC")
        try:
            if (found := self._search(attempt.attempt_id)) is not None:
                return Answer(Finding.ACCEPTED, ProofKind.LOOK_UP, found)
            return self._absent(attempt.known_attempt_id)
        except _PutOff as refusal:
            return Answer(Finding.CANNOT_TELL, ports.PUT_OFF, str(refusal))
        except calls.CallFailed as error:
            return _cannot_tell(ProofKind.LOOK_UP, str(error))

    def _absent(self, known_attempt_id: str | None) -> Answer:
        """The search found nothing: is that so, or can it find nothing? Raises _PutOff, CallFailed."""
        if known_attempt_id is None:
            return _cannot_tell(ProofKind.LOOK_UP, "found nothing, and there is no later attempt to compare with")
        known = self._search(known_attempt_id)
        if known is None:
            return _cannot_tell(ProofKind.LOOK_UP, "found nothing, but nothing of a later attempt either")
        return Answer(Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT, f"found nothing, but of a later attempt {known}")

    def _search(self, attempt_id: str) -> str | None:
        """What Email Activity shows of one message of the attempt, if anything. Raises _PutOff, CallFailed."""
        at = self._timer()
        if len(self._looked_up) == _REQUESTS_A_MINUTE and at - self._looked_up[0] < 60:  # noqa: PLR2004 - seconds
            raise _PutOff(f"SendGrid answers {_REQUESTS_A_MINUTE} look-ups a minute, and got them")
        self._looked_up.append(at)
        query = f"(unique_args['attempt_id']=\"{attempt_id}\")"
        try:
            answer = calls.call(self._client, "GET", _MESSAGES, query=query, limit=_FOUND_IS_ENOUGH)
        except calls.CallFailed as error:
            if error.status == httpx.codes.TOO_MANY_REQUESTS:
                raise _PutOff(str(error)) from None
            raise
        messages = answer.get("messages") if isinstance(answer, dict) else None
        if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
            raise calls.CallFailed(f"SendGrid's answer to {_MESSAGES} is not as documented")
        return _shown(messages[0]) if messages else None


class _PutOff(RuntimeError):
    """No more questions for now."""


def _shown(message: dict[str, object]) -> str:
    """The fields that prove something; who it was for and what it said do not."""
    told = {name: message.get(name) for name in ("msg_id", "status", "last_event_time")}
    return masked(orjson.dumps(told).decode())


def _cannot_tell(tried: ProofKind, why: str) -> Answer:
    return Answer(Finding.CANNOT_TELL, tried, why)


def open_inquirer(config: SendGridConfig) -> SendGridInquirer:
    """Return an inquirer with a pool of its own. Raises SendGridNotConfigured without a usable API key."""
    return SendGridInquirer(calls.open_client(config), config)
