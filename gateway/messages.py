"""POST /messages and GET /messages/{id}: the shop's own software asks for a mail, and what became of it.

Kept is committed before the 202, in a transaction of its own: nothing here waits for webhooks or orders. A store that
hangs takes no thread from those by which customers unsubscribe, and never makes a 500.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
import sqlalchemy as sa
from anyio import CapacityLimiter

from data import accounts, api_keys, database, message_history, message_requests, message_values
from data.message_history import History
from data.message_requests import Asked, NotMailed, OtherRequest, Request
from data.message_values import Unwritable
from data.transactional import UnknownMessage
from domain import addresses
from domain.api_keys import Action, ApiKey
from domain.transactional import Timing
from gateway.message_bodies import MessageRequest
from gateway.problems import NO_MESSAGE, Problem, invalid, unavailable

_log = logging.getLogger(__name__)
_THREADS = 8
_MOST_UNDER_WAY = 200  # of 256 KiB each at most
_SECONDS = 10.0  # a commit takes milliseconds
_COUNTED_SECONDS = 1.0  # the backlog is counted this often
_CHALLENGE = 'Bearer realm="messages"'
_BUSY = "Nothing was kept. Send it again, with the same Idempotency-Key."
_AWAY = "The store does not answer. Send it again with the same Idempotency-Key: no message is made twice."
_FAULT = "This is a fault of ours, and is logged. Send it again with the same Idempotency-Key."
_REFUSED = "This address gets no mail of this shop, and nothing was kept. `reason` says why."
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


@dataclass(slots=True, kw_only=True)
class Desk:
    """What is done with a request, in a thread: whoever asks is known, counted, and answered from the store."""

    engine: sa.Engine
    pepper: str
    templates: Path | None
    max_backlog: int
    clock: Callable[[], datetime]
    _waiting: dict[str, tuple[float, int]] = field(default_factory=dict)  # account → when counted, and how many

    def admit(self, secret: str, action: Action) -> ApiKey:
        """Whose key it is, one request further. Raises Problem."""
        with database.read(self.engine) as connection:
            key = api_keys.find(connection, secret)
        if key is None:
            told = f'{_CHALLENGE}, error="invalid_token"' if secret else _CHALLENGE
            sentence = "Send `Authorization: Bearer oms_…` with a key that was not revoked."
            raise Problem("no-key", sentence, {"WWW-Authenticate": told})
        if not key.may(action):
            raise _beyond(str(action))
        with database.write(self.engine, urgent=True) as connection:
            wait = api_keys.draw(connection, key, self.clock())
        if wait > timedelta(0):
            sentence = f"This key may make {key.per_minute} requests a minute. Nothing was kept."
            raise Problem("rate", sentence, {"Retry-After": str(max(1, ceil(wait.total_seconds())))})
        return key

    def ask(self, key: ApiKey, idempotency_key: str, asked: MessageRequest, document: dict[str, Any]) -> Asked:
        """Keep the message, or answer as before. Raises Problem."""
        if not key.may(Action.SEND, asked.template):
            raise _beyond(f"{Action.SEND} for this template")
        email, locale = asked.recipient.email, asked.recipient.locale
        _check_address(email)
        variables = asked.variables.model_dump(exclude_none=True)
        request = Request(
            account_id=key.account_id,
            key=idempotency_key,
            document=document,
            template=asked.template,
            email=email,
            locale=locale,
            variables=variables,
        )
        try:
            with database.read(self.engine) as connection:
                if (before := message_requests.known(connection, request, self.pepper)) is not None:
                    return before
                account = accounts.get(connection, key.account_id)
            self._check_room(key.account_id)
            own = self.templates
            template = message_values.check(asked.template, variables, locale=locale, account=account, own=own)
            timing = _shortened(template.timing, asked.useful_seconds)
            with database.write(self.engine, urgent=True) as connection:
                return message_requests.ask(connection, request, timing, pepper=self.pepper, now=self.clock())
        except OtherRequest:
            sentence = "Nothing was kept. A key names one message for ever: send another message with another key."
            raise Problem("key-reused", sentence) from None
        except Unwritable as error:
            raise invalid([(fault.field, fault.sentence) for fault in error.faults]) from None
        except NotMailed as error:
            raise Problem("recipient-refused", _REFUSED, more={"reason": error.reason}) from None

    def history(self, key: ApiKey, message_id: str) -> History:
        """All that became of a message. Raises Problem, also for what is another account's."""
        try:
            with database.read(self.engine) as connection:
                found = message_history.read(connection, key.account_id, message_id)
        except UnknownMessage:
            found = None
        if found is None or not key.may(Action.READ, found.message["template"]):
            raise Problem("no-message", NO_MESSAGE)
        return found

    def _check_room(self, account_id: str) -> None:
        counted = self._waiting.get(account_id)
        if counted is None or time.monotonic() - counted[0] > _COUNTED_SECONDS:
            with database.read(self.engine) as connection:
                waiting = message_requests.waiting(connection, account_id, self.max_backlog)
            counted = self._waiting[account_id] = time.monotonic(), waiting
        if counted[1] >= self.max_backlog:
            raise unavailable(f"Too many messages wait to go. {_BUSY}", seconds=30)


def _beyond(scope: str) -> Problem:
    challenge = {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope"'}
    return Problem("scope", f"This key lacks the scope {scope}.", challenge)


def _check_address(email: str) -> None:
    try:
        addresses.in_envelope(email)
    except addresses.InvalidAddress as error:  # its text never repeats the address
        raise invalid([("recipient.email", str(error))]) from None
    if email != email.strip():
        raise invalid([("recipient.email", "blanks stand around the address")])


def _shortened(timing: Timing, seconds: int | None) -> Timing:
    if seconds is None:
        return timing
    longest = int(timing.useful.total_seconds())
    if seconds > longest:
        raise invalid([("useful_seconds", f"may only shorten the template's own time, which is {longest} seconds")])
    return Timing(timing.urgency, timedelta(seconds=seconds))


@dataclass(slots=True)
class Threads:
    """The few threads in which the store is asked. Who would wait for one too long is told to come again."""

    _limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_THREADS))
    _under_way: int = 0

    async def run(self, work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Do it there. Raises Problem, also for a store that is away or hangs."""

        def done() -> Answer:
            return work(*args, **kwargs)

        try:
            async with asyncio.timeout(_SECONDS):
                return await anyio.to_thread.run_sync(done, abandon_on_cancel=True, limiter=self._limiter)
        except Problem:
            raise
        except (sa.exc.SQLAlchemyError, OSError) as error:  # OSError: SQLite's folder is gone
            # Never the error's text: it may quote what was asked for.
            _log.error("the store did not answer a request for a message: %s", type(error).__name__)
            raise unavailable(_AWAY) from None
        except Exception as error:  # noqa: BLE001 - a fault of ours; a traceback's last line may hold a value
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("a request for a message failed: %s in %s:%s", type(error).__name__, place.name, place.lineno)
            raise Problem("fault", _FAULT) from None

    @contextmanager
    def one(self) -> Iterator[None]:
        """One request, of which only so many are in memory at once. Raises Problem."""
        if self._under_way >= _MOST_UNDER_WAY:
            raise unavailable(f"Too much arrives at once. {_BUSY}")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
