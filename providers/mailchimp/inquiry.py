"""What became of a request whose answer nobody saw: Transactional is asked whether it knows the attempt.

messages/search finds mail by its metadata (`u_attempt_id:"…"`), half an hour after it went, where the account has declared
`attempt_id` a searchable field. That it finds nothing proves only something where the same search finds an attempt that
came later. The search is one for words in texts, so what it finds counts only where its metadata says the very attempt.

Twenty searches a minute are allowed, and it looks back seven days unless told how far (facts/reliability.md section 2, and
the vendor's page "How to Search Outbound Activity").
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import orjson

from domain import ledger, ports
from domain.ledger import ProofKind
from domain.masking import masked
from domain.ports import Answer, Finding, UnknownAttempt
from providers.mailchimp import calls
from providers.mailchimp.config import MailchimpConfig

SEARCH = "/messages/search.json"
_SEARCHES_A_MINUTE = 20
_LIMIT = 10  # of what is like the attempt; one is the attempt
_MARGIN = timedelta(days=1)  # date_from is a day without a zone
_REMEMBERED = timedelta(days=25)  # a mail that was delivered is found for 30: the later one must not outlive it


class TransactionalInquirer:
    """An Inquirer. It counts its own searches, so that one process keeps Mailchimp's limit."""

    def __init__(
        self, client: httpx.Client, config: MailchimpConfig, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._config = config
        self._timer = timer
        self._searched: deque[float] = deque(maxlen=_SEARCHES_A_MINUTE)

    def inquire(self, attempt: UnknownAttempt, *, now: datetime) -> Answer:
        """Look up, where the account can and the mail is old enough to be found."""
        if (why_not := self._in_vain(attempt, now)) is not None:
            return _cannot_tell(why_not)
        try:
            if (found := self._search(attempt.attempt_id, attempt.claimed_at)) is not None:
                return Answer(Finding.ACCEPTED, ProofKind.LOOK_UP, found)
            return self._absent(attempt.known_attempt_id, attempt.claimed_at)
        except _PutOff as refusal:
            return Answer(Finding.CANNOT_TELL, ports.PUT_OFF, str(refusal))
        except calls.CallFailed as error:
            return _cannot_tell(str(error))

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()

    def _in_vain(self, attempt: UnknownAttempt, now: datetime) -> str | None:
        if not self._config.transactional_lookup:
            return "attempt_id is no searchable field of this account"
        if ledger.is_part(attempt.attempt_id):
            return "its request was answered, and the mails of one request bear one attempt"
        due = max(attempt.claimed_at, attempt.send_at or attempt.claimed_at) + attempt.look_up_after
        if now < due:
            return f"not looked up before {due:%Y-%m-%d %H:%M} UTC"
        if now > attempt.claimed_at + _REMEMBERED:
            return "Mailchimp forgets single mails after 30 days: that it finds nothing would prove nothing"
        return None

    def _absent(self, known_attempt_id: str | None, since: datetime) -> Answer:
        """The search found nothing: is that so, or can it find nothing? Raises _PutOff, CallFailed."""
        if known_attempt_id is None:
            return _cannot_tell("found nothing, and there is no later attempt to compare with")
        known = self._search(known_attempt_id, since)
        if known is None:
            return _cannot_tell("found nothing, but nothing of a later attempt either")
        return Answer(Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT, f"found nothing, but of a later attempt {known}")

    def _search(self, attempt_id: str, since: datetime) -> str | None:
        """What the search shows of one message of the attempt, if anything. Raises _PutOff, CallFailed."""
        at = self._timer()
        if len(self._searched) == _SEARCHES_A_MINUTE and at - self._searched[0] < 60:  # noqa: PLR2004 - seconds
            raise _PutOff(f"Mailchimp answers {_SEARCHES_A_MINUTE} searches a minute, and got them")
        self._searched.append(at)
        body = {
            "key": self._config.required_transactional_key(),
            "query": f'u_attempt_id:"{attempt_id}"',
            "date_from": f"{since.astimezone(UTC) - _MARGIN:%Y-%m-%d}",
            "limit": _LIMIT,
        }
        try:
            rows = calls.call(self._client, "POST", SEARCH, body=body)
        except calls.CallFailed as error:
            if error.status == httpx.codes.TOO_MANY_REQUESTS:
                raise _PutOff(str(error)) from None
            raise
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise calls.CallFailed(f"Mailchimp's answer to {SEARCH} is not as documented")
        return next((_shown(row) for row in rows if _attempt(row) == attempt_id), None)


class _PutOff(RuntimeError):
    """No more questions for now."""


def _attempt(row: dict[str, object]) -> object:
    metadata = row.get("metadata")
    return metadata.get("attempt_id") if isinstance(metadata, dict) else None


def _shown(row: dict[str, object]) -> str:
    """The fields that prove something; who it was for and what it said do not."""
    return masked(orjson.dumps({name: row.get(name) for name in ("_id", "state", "ts")}).decode())


def _cannot_tell(why: str) -> Answer:
    return Answer(Finding.CANNOT_TELL, ProofKind.LOOK_UP, why)


def open_inquirer(config: MailchimpConfig) -> TransactionalInquirer:
    """Return an inquirer with a pool of its own. Raises MailchimpNotConfigured without a usable API key."""
    return TransactionalInquirer(calls.open_transactional(config), config)
