"""Email Activity in the words of the webhook, and how it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import pytest

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.esp_record import AskedTooOften, Glimpse, NotBought, Reached, SourceFailed, Told
from providers.sendgrid import events
from providers.sendgrid.activity import SendGridActivity
from tests.providers import loopback
from tests.providers.loopback import Answer, Received

# The row and the event of the published document, with times as it writes them in one place and the other.
ROW = {
    "from_email": "from@test.com",
    "msg_id": "abc123",
    "subject": "something profound",
    "to_email": "to@test.com",
    "status": "delivered",
    "opens_count": 0,
    "clicks_count": 0,
    "last_event_time": "2026-11-20T13:52:38.817Z",
}


class Timer:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def asking(answer: Any, status: int = 200) -> Iterator[tuple[SendGridActivity, list[Received], Timer]]:
    timer = Timer()
    with (
        loopback.answering(lambda _: Answer(status, orjson.dumps(answer))) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        yield SendGridActivity(client, a_minute=6, timer=timer), server.requests, timer


def _read(*told: Told) -> list[DeliveryEvent]:
    with asking({}) as (source, _, _):
        found = list(events.parse(source.body(told)))
    assert all(isinstance(one, DeliveryEvent) for one in found)
    return found  # type: ignore[return-value]


def _told(story: dict[str, Any] | None = None, **row: Any) -> Told:
    raw = ROW | row
    return Told("r1.7", "a1", Glimpse("to@test.com", "abc123", Reached.DELIVERED, False, raw), story)


def test_an_attempt_is_one_question() -> None:
    rows = [ROW, ROW | {"status": "not delivered"}, ROW | {"status": "not_delivered"}, ROW | {"status": "processed"}]
    with asking({"messages": [*rows, ROW | {"opens_count": 2}]}) as (source, requests, _):
        seen = source.glimpses("a1")
    assert [one.reached for one in seen[:4]] == [Reached.DELIVERED, Reached.FAILED, Reached.FAILED, Reached.PENDING]
    assert [one.engaged for one in seen] == [False, False, False, False, True]
    assert len(requests) == 1
    assert "limit=1000" in requests[0].target
    assert "attempt_id" in requests[0].target


def test_six_questions_a_minute() -> None:
    with asking({"messages": []}) as (source, requests, timer):
        for _ in range(6):
            source.glimpses("a1")
        assert source.wait() == 60
        with pytest.raises(AskedTooOften):
            source.glimpses("a1")
        timer.now += 60
        source.glimpses("a1")
    assert len(requests) == 7


def test_others_of_the_account_asked_too() -> None:
    with asking({}, 429) as (source, _, timer):
        with pytest.raises(AskedTooOften):
            source.story("abc123")
        assert source.wait() == 60
        timer.now += 61
        assert source.wait() == 0


@pytest.mark.parametrize(
    ("status", "error"), [(403, NotBought), (401, NotBought), (404, NotBought), (500, SourceFailed)]
)
def test_who_may_not_ask(status: int, error: type[Exception]) -> None:
    with asking({"errors": []}, status) as (source, _, _), pytest.raises(error):
        source.glimpses("a1")


def test_a_story_that_is_gone_is_no_lack_of_the_add_on() -> None:
    with asking({"errors": []}, 404) as (source, _, _), pytest.raises(SourceFailed) as raised:
        source.story("abc123")
    assert not isinstance(raised.value, NotBought)


@pytest.mark.parametrize("answer", [None, [], {"messages": [{}]}, {"messages": [ROW | {"opens_count": None}]}])
def test_an_answer_that_is_not_as_documented_is_said(answer: Any) -> None:
    with asking(answer) as (source, _, _), pytest.raises(SourceFailed, match="not as documented"):
        source.glimpses("a1")


def test_at_a_glance_mail_arrived() -> None:
    (event,) = _read(_told())
    assert (event.kind, event.message_id, event.attempt_id) == (EventKind.DELIVERED, "r1.7", "a1")
    assert f"{event.occurred_at:%H:%M:%S}" == "13:52:38"
    assert [one.kind for one in _read(_told(opens_count=2, clicks_count=1))] == [
        EventKind.DELIVERED,
        EventKind.OPENED,
        EventKind.CLICKED,
    ]
    assert _read(_told(opens_count=2))[1].machine  # nobody said that it was a person


def _story(name: str, **facts: Any) -> dict[str, Any]:
    return {"events": [{"event_name": name, "processed": "2026-11-20T13:00:00Z", **facts}]}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("processed", EventKind.PROCESSED),
        ("deferred", EventKind.DEFERRED),
        ("delivered", EventKind.DELIVERED),
        ("bounced", EventKind.BOUNCED),
        ("dropped", EventKind.DROPPED),
        ("opened", EventKind.OPENED),
        ("clicked", EventKind.CLICKED),
        ("spam_report", EventKind.COMPLAINED),
        ("unsubscribe", EventKind.UNSUBSCRIBED),
        ("group_unsubscribe", EventKind.UNSUBSCRIBED),
        ("group_resubscribe", EventKind.UNKNOWN),
    ],
)
def test_each_word_of_the_document(name: str, kind: EventKind) -> None:
    (event,) = _read(_told(_story(name)))
    assert event.kind is kind


def test_why_mail_failed() -> None:
    text = "550 5.1.1 The email account that you tried to reach does not exist."
    (gone,) = _read(_told(_story("bounced", bounce_type="bounced", reason=text)))
    assert (gone.bounce_class, gone.fault, gone.suppresses) == (BounceClass.HARD, Fault.RECIPIENT, "hard_bounce")
    (blocked,) = _read(_told(_story("bounced", bounce_type="blocked", reason=text)))
    assert blocked.suppresses is None
    (dropped,) = _read(_told(_story("dropped", reason="Unsubscribed Address")))
    assert dropped.suppresses == "unsubscribe"


@pytest.mark.parametrize(("agent", "machine"), [("Mozilla/5.0", True), (None, True), ("Mozilla/5.0 (Windows)", False)])
def test_a_person_is_claimed_only_where_one_is_seen(agent: str | None, machine: bool) -> None:
    (event,) = _read(_told(_story("opened", http_user_agent=agent)))
    assert event.machine is machine


def test_the_same_event_by_both_ways_has_one_key() -> None:
    (pulled,) = _read(_told(_story("delivered")))
    webhook = {"event": "delivered", "email": "to@test.com", "message_id": "r1.7", "timestamp": 1795179600}
    (posted,) = events.parse(orjson.dumps([webhook | {"sg_event_id": "x", "response": "250 OK"}]))
    assert isinstance(posted, DeliveryEvent)
    assert pulled.occurred_at == posted.occurred_at
    assert pulled.dedupe_key("pepper") == posted.dedupe_key("pepper")
