"""What SendGrid's answers prove of an unknown attempt, and above all what they do not prove."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from domain import ports
from domain.ledger import ProofKind
from domain.ports import Finding, UnknownAttempt
from providers.sendgrid import inquiry
from providers.sendgrid.config import SendGridConfig
from tests.providers.sendgrid.test_schedule import CUT, ID, SendGrid

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAIN = UnknownAttempt("a1", "run1", NOW, None, None, "a2")
SCHEDULED = replace(PLAIN, schedule_id=ID, send_at=NOW + 15 * MINUTE)
MESSAGE = {"msg_id": "x.recvd-1", "status": "delivered", "to_email": "ann@example.com", "subject": "For ann"}


class Timer:
    """A clock that the wire moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def asking(wire, *, activity_lookup: bool = False, timer: Timer | None = None) -> inquiry.SendGridInquirer:
    client = httpx.Client(transport=httpx.MockTransport(wire), base_url="https://api.sendgrid.com")
    config = SendGridConfig(activity_lookup=activity_lookup)
    return inquiry.SendGridInquirer(client, config, timer=timer or Timer())


class Feed:
    """Email Activity that knows some attempts; `instead` comes in place of an answer."""

    def __init__(self, *known: str, instead: httpx.Response | Exception | None = None) -> None:
        self.known = known
        self.instead = instead
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if isinstance(self.instead, Exception):
            raise self.instead
        if self.instead is not None:
            return self.instead
        (attempt,) = re.fullmatch(r"\(unique_args\['attempt_id'\]=\"(\w+)\"\)", request.url.params["query"]).groups()
        return httpx.Response(200, json={"messages": [MESSAGE] if attempt in self.known else []})


LATER = NOW + 31 * MINUTE


def test_a_cancel_in_time_proves_that_nothing_goes_out():
    esp = SendGrid()
    answer = asking(esp).inquire(SCHEDULED, now=NOW)
    assert (answer.finding, answer.kind) == (Finding.NOT_SENT, ProofKind.CANCELLED)
    assert answer.raw == f"batch {ID} has the status cancel"
    assert asking(esp).inquire(SCHEDULED, now=NOW + MINUTE) == answer  # again is as good


@pytest.mark.parametrize("minutes", [4.5, 5, 14, 15, 60])
def test_too_late_for_a_cancel_nothing_is_called_back(minutes):
    esp = SendGrid()
    answer = asking(esp).inquire(SCHEDULED, now=NOW + minutes * MINUTE)
    assert answer.finding is Finding.CANNOT_TELL
    assert esp.seen == []


def test_a_cancel_that_took_until_too_late_proves_nothing():
    timer, esp = Timer(), SendGrid()

    def slow(request: httpx.Request) -> httpx.Response:
        timer.at += 60
        return esp(request)

    answer = asking(slow, timer=timer).inquire(SCHEDULED, now=NOW + 2 * MINUTE)
    assert (answer.finding, answer.kind) == (Finding.CANNOT_TELL, ProofKind.CANCELLED)
    assert "too late" in answer.raw


@pytest.mark.parametrize(
    "esp",
    [
        SendGrid(post=httpx.Response(400, json={"errors": [{"message": "max limit reached"}]})),
        SendGrid(post=httpx.Response(403)),
        SendGrid(post=CUT),
        SendGrid(get=httpx.Response(401)),
        SendGrid(get=httpx.Response(429)),
        SendGrid(get=CUT),
        SendGrid("pause", patch=httpx.Response(500)),
    ],
)
def test_a_cancel_that_is_not_confirmed_proves_nothing(esp):
    assert asking(esp, activity_lookup=True).inquire(SCHEDULED, now=NOW).finding is Finding.CANNOT_TELL


def test_what_is_found_was_accepted_and_the_proof_names_nobody():
    answer = asking(Feed("a1"), activity_lookup=True).inquire(PLAIN, now=LATER)
    assert (answer.finding, answer.kind) == (Finding.ACCEPTED, ProofKind.LOOK_UP)
    assert "x.recvd-1" in answer.raw
    assert "ann" not in answer.raw


def test_nothing_found_while_a_later_attempt_is_found_proves_that_it_was_not_sent():
    feed = Feed("a2")
    answer = asking(feed, activity_lookup=True).inquire(PLAIN, now=LATER)
    assert (answer.finding, answer.kind) == (Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT)
    assert [str(one.url.params["limit"]) for one in feed.seen] == ["1", "1"]


def test_an_empty_feed_proves_nothing():
    """As with a key that may not read it, or while the feed is behind."""
    assert asking(Feed(), activity_lookup=True).inquire(PLAIN, now=LATER).finding is Finding.CANNOT_TELL


def test_without_a_later_attempt_silence_proves_nothing():
    alone = replace(PLAIN, known_attempt_id=None)
    assert asking(Feed(), activity_lookup=True).inquire(alone, now=LATER).finding is Finding.CANNOT_TELL
    assert asking(Feed("a1"), activity_lookup=True).inquire(alone, now=LATER).finding is Finding.ACCEPTED


@pytest.mark.parametrize(
    ("attempt", "at", "asked"),
    [
        (PLAIN, NOW + 29 * MINUTE, False),
        (PLAIN, NOW + 30 * MINUTE, True),
        (SCHEDULED, NOW + 44 * MINUTE, False),  # it went a quarter of an hour later
        (SCHEDULED, NOW + 45 * MINUTE, True),
    ],
)
def test_half_an_hour_passes_before_anything_is_looked_up(attempt, at, asked):
    feed = Feed("a1")
    assert (asking(feed, activity_lookup=True).inquire(attempt, now=at).finding is Finding.ACCEPTED) is asked
    assert bool(feed.seen) is asked


def test_an_account_without_the_feed_is_not_asked():
    feed = Feed("a2")
    assert asking(feed).inquire(PLAIN, now=LATER).finding is Finding.CANNOT_TELL
    assert feed.seen == []


@pytest.mark.parametrize(
    "instead",
    [
        CUT,
        httpx.ConnectTimeout("slow"),
        httpx.Response(401),
        httpx.Response(403, json={"errors": [{"message": "access forbidden to ann@example.com"}]}),
        httpx.Response(500),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"messages": None}),
        httpx.Response(200, json={"messages": ["x"]}),
        httpx.Response(200, json=[]),
        httpx.Response(200),
        httpx.Response(200, content=b"<html>"),
    ],
)
def test_an_answer_that_is_none_proves_nothing(instead):
    answer = asking(Feed("a2", instead=instead), activity_lookup=True).inquire(PLAIN, now=LATER)
    assert (answer.finding, answer.kind) == (Finding.CANNOT_TELL, ProofKind.LOOK_UP)
    assert answer.raw
    assert "ann@" not in answer.raw


def test_a_feed_that_wants_no_more_questions_puts_us_off():
    answer = asking(Feed(instead=httpx.Response(429)), activity_lookup=True).inquire(PLAIN, now=LATER)
    assert (answer.finding, answer.kind) == (Finding.CANNOT_TELL, ports.PUT_OFF)


def test_six_look_ups_a_minute_are_not_exceeded():
    timer, feed = Timer(), Feed("a2")
    asker = asking(feed, activity_lookup=True, timer=timer)
    kinds = [asker.inquire(PLAIN, now=LATER).kind for _ in range(5)]
    assert kinds == [ProofKind.LOOK_UP_ABSENT] * 3 + [ports.PUT_OFF] * 2
    assert len(feed.seen) == 6
    timer.at = 59.9
    assert asker.inquire(PLAIN, now=LATER).kind == ports.PUT_OFF
    timer.at = 60.0
    assert asker.inquire(PLAIN, now=LATER).kind == ProofKind.LOOK_UP_ABSENT
