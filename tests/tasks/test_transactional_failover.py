"""Two ways out and a bad day at the first: what was certainly not sent goes by the other at once, and nothing else does."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from data import database, suppressions, traffic_rows, transactional_sweep
from domain import addresses, breaker, transactional
from domain.suppression import Reason, Stream
from tasks import lanes, wiring
from tests.conftest import PEPPER
from tests.providers import loopback
from tests.providers.loopback import Answer
from tests.providers.sandbox.conftest import esp, start
from tests.tasks import lane
from tests.tasks.two_ways import FIRST, SECOND, TAKEN, Town, later, town

__all__ = ["esp", "later", "start", "town"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429),
        Answer(429, headers={"Retry-After": "30"}),
        Answer(401),
        Answer(403),
        None,  # nobody listens
    ],
)
def test_what_was_certainly_not_sent_goes_by_the_other_at_once_and_once(town: Town, answer: Answer | None) -> None:
    if answer is None:
        town.routes(first=f"http://127.0.0.1:{loopback.closed_port()}")
    else:
        town.now = answer
    message = town.ask()
    lane.dispatch()  # no time passes: whatever waits a second is not sent
    assert town.went(message) == [("first", "not_sent"), ("second", "accepted")]
    assert (town.state(message), town.mailed(message)) == ("accepted", 1)
    assert len(town.first.requests) == (0 if answer is None else 1)


@contextmanager
def _half_dead(what: str) -> Iterator[str]:
    """An ESP that reads the request and then dies, or sleeps."""
    over = threading.Event()
    wait = {"cut": 0.0, "asleep": loopback.PATIENCE}[what]
    with loopback.on_each_connection(lambda _connection, _body: over.wait(wait) and None) as server:
        try:
            yield server.url
        finally:
            over.set()


@pytest.mark.parametrize("trouble", [500, 502, 503, 504, "cut", "asleep"])
def test_what_may_have_been_sent_is_never_moved(
    town: Town, trouble: int | str, later: Callable[[timedelta], None]
) -> None:
    if isinstance(trouble, int):
        town.now = Answer(trouble)
        message = town.ask()
        lane.dispatch()
    else:
        with _half_dead(trouble) as url:
            town.routes(first=url)
            message = town.ask()
            lane.dispatch()
    assert (town.state(message), town.went(message)) == ("unknown", [("first", "unknown")])
    later(transactional.RESEND_AFTER - timedelta(seconds=5))
    _sweep(town)
    lane.dispatch()
    assert (town.state(message), town.mailed(message)) == ("unknown", 0)
    later(timedelta(seconds=10))  # and without any proof once more, flagged, by the same ESP, well by now
    town.now = TAKEN
    town.routes()
    _sweep(town)
    lane.dispatch()
    row = town.row(message)
    assert (row.state, row.resent, town.went(message)[1:]) == ("accepted", True, [("first", "accepted")])


def _sweep(town: Town) -> transactional_sweep.Swept:
    with database.write(town.engine) as connection:
        return transactional_sweep.sweep(connection, wiring.clock())


def test_an_esp_that_is_away_is_left_alone_until_it_is_back(town: Town, later: Callable[[timedelta], None]) -> None:
    town.now = Answer(401)
    ask = lambda: town.ask(useful=timedelta(hours=3))  # noqa: E731
    first = ask()
    lane.dispatch()
    second = ask()
    lane.dispatch()
    assert [town.went(one)[0] for one in (first, second)] == [("first", "not_sent"), ("second", "accepted")]
    assert _breaker(town) == "open"
    town.now = TAKEN
    later(breaker.PROBE_EVERY + timedelta(seconds=1))
    probe, after = ask(), ask()
    lane.dispatch()
    assert town.went(probe) == town.went(after) == [("first", "accepted")]
    assert _breaker(town) == "closed"


def _breaker(town: Town) -> str:
    with database.read(town.engine) as connection:
        return str(traffic_rows.provider_states(connection, ["first"], Stream.TRANSACTIONAL)["first"].breaker.state)


@pytest.mark.parametrize("second", [SECOND, SECOND.replace("}", ", share: 0}")])
def test_the_esps_own_word_when_to_come_again_is_heeded(
    town: Town, later: Callable[[timedelta], None], second: str
) -> None:
    town.routes(b=second)
    town.now = Answer(429, headers={"Retry-After": "60"})
    refused = town.ask()
    lane.dispatch()
    other = town.ask()
    lane.dispatch()
    assert town.went(refused)[-1] == town.went(other)[0] == ("second", "accepted")
    assert len(town.first.requests) == 1
    town.now = TAKEN
    later(timedelta(seconds=61))
    last = town.ask()
    lane.dispatch()
    assert town.went(last) == [("first", "accepted")]


def test_with_one_way_only_it_waits_as_long_as_the_esp_says(town: Town, later: Callable[[timedelta], None]) -> None:
    town.routes(b=SECOND.replace("transactional", "marketing"))
    town.now = Answer(429, headers={"Retry-After": "60"})
    message = town.ask()
    lane.dispatch()
    later(timedelta(seconds=58))
    lane.dispatch()
    assert (len(town.first.requests), town.state(message)) == (1, "planned")
    town.now = TAKEN
    later(timedelta(seconds=4))
    lane.dispatch()
    assert town.went(message) == [("first", "not_sent"), ("first", "accepted")]


def test_both_are_away_and_nothing_is_lost(town: Town, later: Callable[[timedelta], None]) -> None:
    town.now = Answer(401)
    town.esp.client.put("/sandbox/faults", json={"rate_429": 1.0}).raise_for_status()
    message = town.ask(useful=timedelta(hours=1))
    lane.dispatch()
    assert town.went(message)[:2] == [("first", "not_sent"), ("second", "not_sent")]
    assert town.state(message) == "planned"
    town.esp.client.put("/sandbox/faults", json={"rate_429": 0.0}).raise_for_status()
    for _ in range(2):  # the first is tried once more, and then the second, which is back
        later(timedelta(minutes=1))
        lane.dispatch()
    assert (town.state(message), town.mailed(message)) == ("accepted", 1)


def _crowded(town: Town) -> None:
    with database.write(town.engine) as connection:
        traffic_rows.count_volume(connection, "shop", "b", "other", 20, wiring.clock())


def _suppressed(town: Town) -> None:
    with database.write(town.engine) as connection:
        suppressions.add(
            connection,
            account_id="shop",
            address_hash=addresses.address_hash("johanna@delivered.test", PEPPER),
            reason=Reason.HARD_BOUNCE,
            source="test",
            evidence="test",
            now=wiring.clock() - timedelta(seconds=1),
        )


def _with(b: str, **routes: str) -> dict[str, Any]:
    return {"routes": {"b": SECOND.replace("}", f", {b}}}") if b else SECOND, **routes}}


@dataclass
class Row:
    """One row of facts/reliability.md D36: why mail that the first refused may not go by the second."""

    routes: dict[str, str] = field(default_factory=dict)
    answer: Answer = Answer(429)  # noqa: RUF009 - frozen
    meanwhile: Callable[[Town], None] | None = None
    becomes: str = "planned"


D36 = {
    "nothing speaks against it": Row(becomes="accepted"),
    "it stands by": Row(**_with("share: 0"), becomes="accepted"),
    "the pool is cold, and has room": Row(**_with("warm_up: true"), becomes="accepted"),
    "the content was refused": Row(answer=Answer(400), becomes="rejected"),
    "it is too large": Row(answer=Answer(413), becomes="rejected"),
    "its form was refused": Row(answer=Answer(422), becomes="rejected"),
    "it may have been sent": Row(answer=Answer(503), becomes="unknown"),
    "she is suppressed since": Row(meanwhile=_suppressed, becomes="suppressed"),
    "the pool is cold, without room": Row(**_with("warm_up: true"), meanwhile=_crowded),
    "its domain is not authenticated": Row(**_with("authenticated: false")),
    "its data lie elsewhere": Row(**_with("", more=", residency: us", tail="residency: {shop: eu}")),
    "its pool is of the other stream": Row({"b": SECOND.replace("transactional", "marketing")}),
    "its pool is shared": Row(
        **_with(
            "shared_pool: true",
            tail="  tea: [{name: c, stream: transactional, provider: second, pool: b, "
            "domain: c.tea.example.com, shared_pool: true}]",
        )
    ),
    "it is another account's": Row(
        {
            "b": "{name: news, stream: marketing, provider: first, pool: n, domain: n.shop.example.com}",
            "tail": f"  tea: [{SECOND}]",
        }
    ),
    "the same ESP asks to wait": Row(
        {"b": SECOND.replace("second", "first")}, answer=Answer(429, headers={"Retry-After": "60"})
    ),
    "the same ESP refuses the key": Row({"b": SECOND.replace("second", "first")}, answer=Answer(401)),
}


@pytest.mark.parametrize("why", D36)
def test_it_moves_only_where_it_might_have_gone_from_the_start(town: Town, why: str) -> None:
    row = D36[why]
    first = town.first.url
    if "residency" in row.routes.get("tail", ""):
        first += '", residency: "eu'
    town.routes(first=first, **row.routes)
    town.now = row.answer
    message = town.ask()
    lane.dispatch(rounds=1)
    if row.meanwhile is not None:
        row.meanwhile(town)
    lane.dispatch(rounds=1)
    assert town.state(message) == row.becomes
    assert town.mailed(message) == int(row.becomes == "accepted")


def test_what_is_to_prove_one_way_goes_by_no_other(town: Town) -> None:
    town.now = Answer(401)
    message = town.ask(only_route="a")
    lane.dispatch()
    assert (town.went(message), town.state(message)) == ([("first", "not_sent")], "planned")


def test_an_esp_whose_seed_messages_fare_badly_comes_last(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes.outlook, "unwell", lambda *_: frozenset({"first"}))
    message = town.ask()
    lane.dispatch()
    assert town.went(message) == [("second", "accepted")]


def test_a_mailbox_group_that_must_wait_keeps_nobody_elses_mail(town: Town) -> None:
    slow = FIRST.replace("}", ", release: {gmail: {per_minute: 1, burst: 1}}}")
    town.routes(a=slow, b=SECOND.replace("transactional", "marketing"))
    to_gmail = [town.ask(mailbox_group="gmail") for _ in range(3)]
    other = town.ask()
    lane.dispatch()
    assert [town.state(one) for one in (*to_gmail, other)] == ["accepted", "planned", "planned", "accepted"]


def test_a_pace_of_one_a_second_for_one_group_does_not_slow_the_others(town: Town) -> None:
    town.routes(
        a=FIRST.replace("}", ", release: {gmail: {per_minute: 60, burst: 1}}}"),
        b=SECOND.replace("transactional", "marketing"),
    )
    for _ in range(6):
        town.ask(mailbox_group="gmail")
    other = town.ask()
    lane.dispatch(rounds=8)
    assert town.state(other) == "accepted"
