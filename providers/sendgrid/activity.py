"""What happened to messages, asked of SendGrid's Email Activity when its webhooks did not tell.

An account buys it; it keeps 30 days and answers six questions a minute (docs, "Getting started with the Email Activity
Feed API"). So one question shows all messages of an attempt at a glance (up to 1000), and only where the glance does
not say enough is a message's story asked for. Shapes: the OpenAPI document's GET /v3/messages and /v3/messages/{msg_id}.

What comes of it is written as a body of the event webhook, with SendGrid's own words beside each event (`activity`), so
that it is stored, read and applied as every other body is. An event has the same message, kind and second by both ways,
so it counts once; opens and clicks lack the reader's IP here, and are told again when the webhook brings it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from domain.esp_record import AskedTooOften, Glimpse, NotBought, Reached, SourceFailed, Told
from providers.sendgrid import calls
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.events import PROVIDER

_PATH = "/v3/messages"
_MOST = 1000
_MINUTE = 60.0
# The feed's words → the webhook's, where they differ.
_EVENTS = {"bounced": "bounce", "opened": "open", "clicked": "click", "spam_report": "spamreport"}
_TYPES = {"bounced": "bounce"}
# All that Apple's mail privacy proxy says of itself; the feed does not mark what machines open.
_MACHINE_AGENTS = frozenset({"", "Mozilla/5.0"})
_REACHED = {"delivered": Reached.DELIVERED, "not_delivered": Reached.FAILED, "not delivered": Reached.FAILED}


class SendGridActivity:
    """An ActivitySource. It counts its own questions; others of the same account are noticed by SendGrid's refusal."""

    def __init__(self, client: httpx.Client, *, a_minute: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._timer = timer
        self._asked: deque[float] = deque(maxlen=a_minute)
        self._refused_until = 0.0

    @property
    def reader(self) -> str:
        return PROVIDER

    def glimpses(self, attempt_id: str) -> list[Glimpse]:
        """The messages of one attempt at a glance. Raises SourceFailed, NotBought, AskedTooOften."""
        answer = self._ask(_PATH, query=f"(unique_args['attempt_id']=\"{attempt_id}\")", limit=_MOST)
        try:
            return [_glimpse(one) for one in answer["messages"]]
        except (KeyError, TypeError, ValueError) as error:
            raise SourceFailed(f"SendGrid's answer to {_PATH} is not as documented ({type(error).__name__})") from None

    def story(self, reference: str) -> Mapping[str, object]:
        """All events of one message. Raises SourceFailed, NotBought, AskedTooOften."""
        answer = self._ask(f"{_PATH}/{reference}")
        if not isinstance(answer, dict) or not isinstance(answer.get("events"), list):
            raise SourceFailed(f"SendGrid's answer to {_PATH}/… is not as documented")
        return answer

    def wait(self) -> float:
        """So many seconds from now may the next question be asked."""
        now, free = self._timer(), self._refused_until
        if self._asked.maxlen == len(self._asked):
            free = max(free, self._asked[0] + _MINUTE)
        return max(0.0, free - now)

    def body(self, told: Sequence[Told]) -> bytes:
        """A body of the event webhook. Raises SourceFailed for a story that is not as documented."""
        try:
            return orjson.dumps([element for one in told for element in _elements(one)])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceFailed(f"a story of SendGrid is not as documented ({type(error).__name__})") from None

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()

    def _ask(self, path: str, **params: Any) -> Any:
        if self.wait() > 0:
            raise AskedTooOften(f"SendGrid answers {self._asked.maxlen} questions a minute, and got them")
        self._asked.append(self._timer())
        try:
            return calls.call(self._client, "GET", path, **params)
        except calls.CallFailed as error:
            if error.status == httpx.codes.TOO_MANY_REQUESTS:
                self._refused_until = self._timer() + _MINUTE
                raise AskedTooOften(str(error)) from None
            if error.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN} or (
                error.status == httpx.codes.NOT_FOUND and path == _PATH
            ):
                raise NotBought(str(error)) from None
            raise SourceFailed(str(error)) from None


def _glimpse(row: Mapping[str, Any]) -> Glimpse:
    return Glimpse(
        address=str(row["to_email"]),
        reference=str(row["msg_id"]),
        reached=_REACHED.get(row["status"], Reached.PENDING),
        engaged=int(row["opens_count"]) > 0 or int(row["clicks_count"]) > 0,
        raw=row,
    )


def _elements(told: Told) -> Iterator[dict[str, Any]]:
    """Events of one message as the webhook would have them."""
    base = {
        "email": told.glimpse.address,
        "message_id": told.message_id,
        "attempt_id": told.attempt_id,
        "sg_message_id": told.glimpse.reference,
    }
    if told.story is not None:
        events: Any = told.story["events"]
        for event in events:
            yield base | _event(event)
        return
    row: Mapping[str, Any] = told.glimpse.raw
    if told.glimpse.reached is not Reached.DELIVERED:
        return
    # The last event's time: of mail that was read, all was earlier, and what comes later by webhook will say so.
    words = {"timestamp": _seconds(row["last_event_time"]), "activity": dict(row)}
    yield base | words | {"event": "delivered"}
    if row["opens_count"]:
        yield base | words | {"event": "open", "sg_machine_open": True}  # by whom is not said: no person is claimed
    if row["clicks_count"]:
        yield base | words | {"event": "click"}


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    name = _EVENTS.get(event["event_name"], event["event_name"])
    element = {"event": name, "timestamp": _seconds(event["processed"]), "activity": dict(event)}
    if kind := event.get("bounce_type"):
        element["type"] = _TYPES.get(kind, kind)
    agent = event.get("http_user_agent") or ""
    told = {"reason": event.get("reason"), "url": event.get("url"), "useragent": agent}
    if name == "open":
        element["sg_machine_open"] = agent in _MACHINE_AGENTS
    return element | {key: value for key, value in told.items() if value}


def _seconds(at: str | int) -> int:
    """An instant as the webhook writes it. The document has both ISO 8601 and seconds. Raises ValueError."""
    if isinstance(at, int):
        return at
    found = datetime.fromisoformat(at)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def open_activity(config: SendGridConfig) -> SendGridActivity | None:
    """With a pool of its own; None where the account has no Email Activity. Raises SendGridNotConfigured."""
    if not config.activity_lookup:
        return None
    return SendGridActivity(calls.open_client(config), a_minute=config.activity_a_minute)
