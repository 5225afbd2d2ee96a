import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import routing
from domain.routing import Candidate, Choice

A = Candidate("a", 1, 1.0, 0.0, None, "yes", 0.0, None, 0, 0, 0)
B = replace(A, route="b")
STANDBY = replace(A, route="s", share=0.0)

counts = st.integers(0, 10**6)
some = st.builds(
    Candidate,
    route=st.sampled_from("abcdefgh"),
    priority=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.2, 1.0, 3.0]),
    cost_per_thousand=st.floats(0, 2),
    refused=st.sampled_from([None, None, "its domain is not authenticated"]),
    leave=st.sampled_from(["yes", "yes", "probe", "no"]),
    wait_seconds=st.sampled_from([0.0, 0.0, 0.4, 75.0]),
    room=st.none() | st.integers(0, 2000),
    carried=counts,
    delivered=counts,
    blocked=counts,
)
several = st.lists(some, max_size=8, unique_by=lambda one: one.route)
batch = st.integers(1, 1000)


@given(several, batch, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(
    candidates: list[Candidate], messages: int, chance: random.Random
) -> None:
    shuffled = chance.sample(candidates, len(candidates))
    assert routing.choose(shuffled, messages=messages) == routing.choose(candidates, messages=messages)


@given(several, batch)
def test_a_stored_decision_gives_the_same_choice_again(candidates: list[Candidate], messages: int) -> None:
    choice = routing.choose(candidates, messages=messages)
    stored = json.loads(json.dumps(routing.decision(candidates, messages=messages, choice=choice)))
    assert routing.replay(stored) == choice
    assert Choice(**stored["choice"]) == choice


@given(several, batch)
def test_what_is_chosen_may_go_and_is_never_passed_by_a_better_priority(
    candidates: list[Candidate], messages: int
) -> None:
    choice = routing.choose(candidates, messages=messages)
    assume(choice.route is not None)
    (chosen,) = [one for one in candidates if one.route == choice.route]
    assert chosen.refused is None
    assert chosen.leave != "no"
    assert chosen.wait_seconds == 0
    assert chosen.room is None or chosen.room >= min(choice.at_most or messages, messages)
    assert choice.probe == (chosen.leave == "probe")
    if chosen.share > 0:
        assert not any(one.ready and one.share > 0 and one.priority < chosen.priority for one in candidates)
    else:
        assert not any(one.in_service and one.share > 0 for one in candidates)


@given(several, batch)
def test_without_a_route_it_says_when_to_ask_again_and_what_holds_each_back(
    candidates: list[Candidate], messages: int
) -> None:
    choice = routing.choose(candidates, messages=messages)
    assume(choice.route is None)
    may = [one for one in candidates if one.refused is None]
    assert (choice.wait_seconds is None) == (not may)
    assert choice.wait_seconds is None or choice.wait_seconds > 0
    assert all(f"{one.route}: " in choice.reason for one in candidates)


@given(st.lists(st.sampled_from([0.2, 0.5, 1.0, 2.0, 3.0]), min_size=2, max_size=5), st.integers(1, 1000))
def test_shares_converge(shares: list[float], messages: int) -> None:
    carried: Counter[str] = Counter()
    ways = [replace(A, route=f"r{n}", share=share) for n, share in enumerate(shares)]
    for _ in range(300):
        choice = routing.choose([replace(one, carried=carried[one.route]) for one in ways], messages=messages)
        assert choice.route is not None
        carried[choice.route] += messages
    for one in ways:
        ideal = 300 * messages * one.share / sum(shares)
        assert abs(carried[one.route] - ideal) <= messages * len(ways)


@pytest.mark.parametrize(
    ("candidates", "route"),
    [
        ([A, replace(B, priority=2)], "a"),
        ([replace(A, leave="no"), replace(B, priority=2)], "b"),
        ([replace(A, room=0), replace(B, priority=2)], "b"),
        ([replace(A, wait_seconds=3.0), B], "b"),
        ([replace(A, refused="its pool is of the transactional stream"), B], "b"),
        ([replace(A, carried=5000), B], "b"),
        ([replace(A, cost_per_thousand=0.2), replace(B, cost_per_thousand=0.1)], "b"),
        ([B, A], "a"),
        ([replace(A, delivered=800, blocked=200), replace(B, delivered=990, blocked=10, carried=9000)], "b"),
        # Too few to tell; and certain, but not worth a detour.
        ([replace(A, delivered=80, blocked=20), replace(B, delivered=990, blocked=10, carried=9000)], "a"),
        ([replace(A, delivered=98_000, blocked=2000), replace(B, delivered=99_900, blocked=100, carried=9000)], "a"),
        # The only one that can go, goes, however badly it is received.
        ([replace(A, delivered=100, blocked=900), replace(B, leave="no", delivered=1000)], "a"),
        ([STANDBY, replace(A, wait_seconds=9.0)], None),
        ([STANDBY, replace(A, leave="no")], "s"),
        ([STANDBY, replace(A, refused="no")], "s"),
    ],
)
def test_what_decides(candidates: list[Candidate], route: str | None) -> None:
    assert routing.choose(candidates, messages=1000).route == route


def test_a_breaker_that_tries_again_gets_a_few_messages_before_others_are_asked() -> None:
    choice = routing.choose([replace(A, leave="probe"), replace(B, priority=2)], messages=1000)
    assert (choice.route, choice.probe, choice.at_most) == ("a", True, routing.PROBE_MESSAGES)


def test_nobody_is_risked_for_a_reserve_that_is_not_needed() -> None:
    choice = routing.choose([A, replace(B, priority=2, leave="probe")], messages=1000)
    assert (choice.route, choice.probe) == ("a", False)


def test_less_room_than_messages_carves_a_smaller_batch() -> None:
    assert routing.choose([replace(A, room=120)], messages=1000).at_most == 120
    assert routing.choose([replace(A, room=1000)], messages=1000).at_most is None
    assert routing.choose([replace(A, room=4, leave="probe")], messages=1000).at_most == 4


def test_reasons_name_what_was_passed_over() -> None:
    choice = routing.choose(
        [A, replace(B, leave="no"), replace(A, route="c", priority=2), replace(A, route="d", refused="no template")],
        messages=10,
    )
    assert choice.reason == (
        "a: it alone can go now; b: its breaker is open; d: no template; c: priority 2 waits for those before it"
    )


def test_asks_again_at_the_soonest_and_never_where_all_are_refused() -> None:
    assert routing.choose([replace(A, wait_seconds=3.0), replace(B, leave="no")], messages=1).wait_seconds == 3.0
    assert routing.choose([replace(A, room=0)], messages=1).wait_seconds == routing.LOOK_AGAIN_SECONDS
    refused = routing.choose([replace(A, refused="no template")], messages=1)
    assert (refused.wait_seconds, refused.reason) == (None, "no route may carry this mail: a: no template")
    assert routing.choose([], messages=1) == Choice(None, "no route may carry this mail: none is declared", None)


@pytest.mark.parametrize("stored", [{}, {"rules": 99}, {"rules": 1, "messages": 1, "candidates": [{"route": "a"}]}])
def test_what_is_no_decision_is_said_to_be_none(stored: dict[str, object]) -> None:
    with pytest.raises(routing.InvalidDecision):
        routing.replay(stored)
