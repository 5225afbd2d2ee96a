"""What became of an unknown attempt: what Transactional's search proves, and what it does not."""

from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from domain import ports
from domain.ledger import ProofKind, own_attempt
from domain.ports import Finding, UnknownAttempt
from providers.mailchimp.inquiry import TransactionalInquirer
from tests.providers.contract import SECRET
from tests.providers.mailchimp.transactional import BASE, NOW, config, error

LATER = NOW + timedelta(minutes=30)


def attempt(**changes: Any) -> UnknownAttempt:
    facts: dict[str, Any] = {
        "attempt_id": "a1",
        "run_id": "run1",
        "claimed_at": NOW,
        "schedule_id": None,
        "send_at": None,
        "known_attempt_id": "a2",
    }
    return UnknownAttempt(**(facts | changes))


def row(attempt_id: str, **changes: Any) -> dict[str, Any]:
    facts = {"_id": "f" * 32, "state": "sent", "ts": 1795338000, "email": "ann@example.com", "subject": "x"}
    return facts | {"metadata": {"attempt_id": attempt_id, "message_id": "run1.0"}} | changes


def asked(
    *answers: Any, timer: Any = lambda: 0.0, **settings: Any
) -> tuple[TransactionalInquirer, list[dict[str, Any]]]:
    """An inquirer that is answered with these, one after the other; rows are a 200."""
    left, seen = list(answers), []

    def wire(request: httpx.Request) -> httpx.Response:
        seen.append(orjson.loads(request.content) | {"path": request.url.path})
        answer = left.pop(0)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    client = httpx.Client(transport=httpx.MockTransport(wire), base_url=BASE)
    return TransactionalInquirer(client, config(**{"transactional_lookup": True} | settings), timer=timer), seen


def test_what_is_found_was_accepted():
    inquirer, seen = asked([row("a0"), row("a1")])
    answer = inquirer.inquire(attempt(), now=LATER)
    assert (answer.finding, answer.kind) == (Finding.ACCEPTED, ProofKind.LOOK_UP)
    assert orjson.loads(answer.raw) == {"_id": "f" * 32, "state": "sent", "ts": 1795338000}
    assert seen == [
        {
            "path": "/api/1.0/messages/search.json",
            "key": SECRET,
            "query": 'u_attempt_id:"a1"',
            "date_from": "2026-11-21",
            "limit": 10,
        }
    ]


def test_nothing_found_proves_something_only_beside_a_later_attempt_that_is_found():
    inquirer, seen = asked([], [row("a2")])
    answer = inquirer.inquire(attempt(), now=LATER)
    assert (answer.finding, answer.kind) == (Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT)
    assert [one["query"] for one in seen] == ['u_attempt_id:"a1"', 'u_attempt_id:"a2"']


@pytest.mark.parametrize(
    ("answers", "changes", "words"),
    [
        ([[], []], {}, "nothing of a later attempt either"),
        ([[]], {"known_attempt_id": None}, "no later attempt"),
        ([[row("a9")], [row("a8")]], {}, "nothing of a later attempt either"),  # words that are like the id
        ([[row("a1", metadata=[])], []], {}, "nothing of a later attempt either"),  # PHP's empty object
        ([{"status": "sent"}], {}, "not as documented"),
        ([[5]], {}, "not as documented"),
        ([error(401, "Invalid_Key")], {}, "Invalid_Key"),
        ([httpx.Response(502)], {}, "502"),
    ],
)
def test_everything_else_cannot_tell(answers, changes, words):
    inquirer, _ = asked(*answers)
    answer = inquirer.inquire(attempt(**changes), now=LATER)
    assert answer.finding is Finding.CANNOT_TELL
    assert words in answer.raw
    assert "@" not in answer.raw
    assert SECRET not in answer.raw


@pytest.mark.parametrize(
    ("now", "changes", "settings"),
    [
        (LATER - timedelta(seconds=1), {}, {}),
        (LATER, {"send_at": NOW + timedelta(seconds=1)}, {}),
        (NOW + timedelta(days=26), {}, {}),
        (LATER, {}, {"transactional_lookup": False}),
        (LATER, {"attempt_id": own_attempt("0b9f6c1e-1111-4222-8333-444455556666", "run1.0")}, {}),
    ],
    ids=["too early", "it goes later", "forgotten by now", "the field is not searchable", "a part of a request"],
)
def test_it_does_not_ask_in_vain(now, changes, settings):
    inquirer, seen = asked(**settings)
    assert inquirer.inquire(attempt(**changes), now=now).finding is Finding.CANNOT_TELL
    assert not seen


def test_twenty_searches_a_minute_and_the_next_is_put_off():
    at = [0.0]
    inquirer, seen = asked(*[[row("a1")]] * 21, timer=lambda: at[0])
    for _ in range(20):
        assert inquirer.inquire(attempt(), now=LATER).finding is Finding.ACCEPTED
    assert inquirer.inquire(attempt(), now=LATER).kind == ports.PUT_OFF
    assert len(seen) == 20
    at[0] = 60.0
    assert inquirer.inquire(attempt(), now=LATER).finding is Finding.ACCEPTED


def test_a_429_puts_off_too():
    inquirer, _ = asked(httpx.Response(429))
    assert inquirer.inquire(attempt(), now=LATER).kind == ports.PUT_OFF
