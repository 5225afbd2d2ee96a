"""The simulation of docs/scale.md in the small: what may never be is never so, whatever fails, and its checks see it."""

from dataclasses import replace
from datetime import timedelta

import hypothesis
import pytest
from hypothesis import strategies as st

from benchmarks import simulated_caps, simulation
from benchmarks.simulated_desk import Desk
from benchmarks.simulated_dispatch import Simulation
from benchmarks.simulated_world import Busy, Outage, Scenario, Silent, Trouble, Window
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from domain.routes import Pace, Route
from tests.data import frozen

PEOPLE = 20_000
POLICY = SendingPolicy(batch_size=500, window_hours=30, hold_after_minutes=30)


def _route(name: str, **facts: object) -> Route:
    paces = {"hand_over": Pace(100), "release": {"gmail": Pace(40), "*": Pace(30)}}
    return frozen.route(name, **(paces | facts))


A, B, COLD = _route("a", schedules=True), _route("b", share=0.5), _route("c", warm_up=True)
SCENARIO = Scenario(PEOPLE, {"gmail": 0.6, "mixed": 0.4}, (A, B, COLD), POLICY)


def _played(scenario: Scenario, seed: int = 1) -> Simulation:
    played = Simulation(scenario, seed)
    played.run()
    return played


def _handed(played: Simulation, provider: str) -> int:
    return sum(n for day in played.days.values() for (one, _), n in day.handed.items() if one == provider)


def _notes(played: Simulation, word: str) -> int:
    return sum(n for day in played.days.values() for name, n in day.notes.items() if word in name)


def test_everybody_is_mailed_once_on_a_calm_day() -> None:
    played = _played(SCENARIO)
    assert played.breaches() == []
    assert played.messages(BatchState.ACCEPTED) == PEOPLE
    assert 0 < _handed(played, "c") <= 2 * 24 * 20  # a cold pool's first day allows 20 an hour to each group


def test_the_same_seed_gives_the_same_schedule() -> None:
    rough = replace(SCENARIO, busy=(Busy("a", Window(0, 8), 0.5, timedelta(seconds=20)),))
    assert _played(rough, 3).days == _played(rough, 3).days
    assert _played(rough, 3).days != _played(rough, 4).days


def test_an_esp_that_falls_silent_loses_what_nobody_knows_of_and_no_more() -> None:
    """Requests go out and nothing comes back: those are held or proved, the rest goes by the other, all of it once."""
    played = _played(replace(SCENARIO, routes=(A, B), outages=(Outage("a", Window(1, 100), connects=True),)))
    assert played.breaches() == []
    held = played.messages(BatchState.HELD)
    assert 0 < held < 3 * POLICY.batch_size + 10 * 250  # three batches open the breaker; then probes of ten messages
    assert played.messages(BatchState.ACCEPTED) == PEOPLE - held
    assert _notes(played, "moved to another ESP") == 0  # of what was unknown nothing moves
    assert _handed(played, "b") > _handed(played, "a")


def test_an_esp_that_nobody_reaches_costs_nothing() -> None:
    played = _played(replace(SCENARIO, routes=(A, B), outages=(Outage("a", Window(1, 100)),)))
    assert played.breaches() == []
    assert played.messages(BatchState.ACCEPTED) == PEOPLE
    assert _notes(played, "moved to another ESP") > 0
    assert _notes(played, "probes of a") > 0


def test_a_window_that_is_too_short_expires_the_rest() -> None:
    played = _played(replace(SCENARIO, policy=replace(POLICY, window_hours=1)))
    assert played.breaches() == []
    assert played.messages(BatchState.EXPIRED) >= PEOPLE / 4
    assert played.messages(BatchState.ACCEPTED) + played.messages(BatchState.EXPIRED) == PEOPLE


def test_a_mailbox_provider_that_blocks_stops_its_own_group_only() -> None:
    fast = replace(A, release={"*": Pace(60)})
    blocked = replace(SCENARIO, routes=(fast,), troubles=(Trouble("a-marketing", "gmail", Window(0, 2), blocked=0.4),))
    played = _played(blocked)
    assert played.breaches() == []
    assert _notes(played, "pause of gmail for blocks") > 0
    assert _notes(played, "of mixed") == 0


_WINDOWS = st.builds(Window, st.floats(0, 12), st.floats(0.1, 12))


@hypothesis.settings(max_examples=12, deadline=None)
@hypothesis.given(
    people=st.integers(100, 20_000),
    seed=st.integers(0, 1000),
    outages=st.lists(st.builds(Outage, st.sampled_from("abc"), _WINDOWS, st.booleans()), max_size=3),
    busy=st.lists(
        st.builds(
            Busy, st.sampled_from("abc"), _WINDOWS, st.floats(0.1, 1), st.timedeltas(timedelta(0), timedelta(minutes=5))
        ),
        max_size=2,
    ),
    troubles=st.lists(
        st.builds(
            Trouble,
            st.sampled_from(["a-marketing", "b-marketing", "c-marketing"]),
            st.sampled_from(["gmail", "mixed"]),
            _WINDOWS,
            st.floats(0, 0.5),
            st.floats(0, 0.5),
        ),
        max_size=2,
    ),
    quiet=st.sampled_from([("", ""), ("21:00", "08:00")]),
)
def test_whatever_fails_no_limit_is_exceeded_and_everybody_is_accounted_for(
    people: int,
    seed: int,
    outages: list[Outage],
    busy: list[Busy],
    troubles: list[Trouble],
    quiet: tuple[str, str],
) -> None:
    policy = replace(POLICY, quiet_from=quiet[0], quiet_until=quiet[1])
    rough = replace(
        SCENARIO,
        recipients=people,
        policy=policy,
        outages=tuple(outages),
        busy=tuple(busy),
        troubles=tuple(troubles),
    )
    assert _played(rough, seed).breaches() == []


@pytest.mark.parametrize(
    ("rule", "broken", "said"),
    [
        ("_room", lambda *_: None, "by the cold pool of c"),
        ("_pace", lambda *_: (Pace(), 1.0), "released by a to gmail"),
    ],
)
def test_a_rule_that_does_not_hold_is_seen(monkeypatch: pytest.MonkeyPatch, rule: str, broken, said: str) -> None:
    monkeypatch.setattr(Desk, rule, broken)
    assert any(said in breach for breach in _played(SCENARIO).breaches())


@pytest.mark.parametrize(
    ("ranges", "missing", "twice"),
    [
        ([(0, 9)], 0, 0),
        ([(5, 9), (0, 4)], 0, 0),
        ([(0, 4), (4, 9)], 0, 1),
        ([(0, 9), (2, 3)], 0, 2),
        ([(1, 3), (6, 8)], 4, 0),
        ([], 10, 0),
    ],
)
def test_what_is_missing_or_twice_is_counted(ranges: list[tuple[int, int]], missing: int, twice: int) -> None:
    assert simulated_caps.untiled(ranges, 10) == (missing, twice)


def test_groups_that_are_not_everybody_are_refused() -> None:
    with pytest.raises(Silent):
        Scenario(100, {"gmail": 0.5}, (A,), POLICY)


def test_the_command_prints_the_schedule(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["simulation", "--recipients", "50000"])
    simulation.main()
    printed = capsys.readouterr().out
    assert "waiting at its end" in printed
    assert "nobody was mailed twice" in printed
