"""The plan of a run: how long, what limits it, spikes; against figures that can be reckoned by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import pace_flow, pace_plan, warmup
from domain.pace_plan import PacePlan, Question
from domain.routes import Pace, Route
from domain.suppression import Stream
from domain.warmup import WarmUp

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def route(name: str = "main", **facts: object) -> Route:
    values: dict[str, object] = {
        "name": name,
        "account_id": "shop",
        "stream": Stream.MARKETING,
        "provider": "esp",
        "pool": name,
        "domain": "news.shop.example.com",
    }
    return Route(**{**values, **facts})  # type: ignore[arg-type]


def plan(people: dict[str, int], *routes: Route, **facts: object) -> PacePlan:
    values: dict[str, object] = {
        "people": people,
        "routes": routes or (route(),),
        "starts_at": NOW,
        "batch_size": 1000,
        "window": 24 * HOUR,
        "largest_day": dict.fromkeys(people, 10**9),
        "answers": {"esp": 1.0},
    }
    return pace_plan.make(Question(**{**values, **facts}))  # type: ignore[arg-type]


def about(minutes: float) -> object:
    return pytest.approx(minutes, rel=0.01, abs=0.01)


def minutes(time: datetime) -> float:
    return (time - NOW) / MINUTE


def test_without_any_pace_the_answers_of_the_provider_limit_it() -> None:
    found = plan({"gmail": 960_000}, route(concurrency=8), answers={"esp": 0.5})
    # Eight requests of a thousand at once, two a second: 960,000 a minute.
    assert minutes(found.handed_over_at) == about(1)
    assert found.hand_over_per_minute == about(960_000)
    (group,) = found.groups
    assert group.limited_by == "answers of esp"
    assert (found.left, found.warnings) == (0, ())
    assert found.released_at == found.handed_over_at


def test_a_hand_over_pace_is_the_providers_over_all_its_routes_and_groups() -> None:
    pace = Pace(per_minute=1000)
    found = plan({"gmail": 4000, "yahoo": 2000}, route("a", hand_over=pace), route("b", hand_over=pace))
    assert minutes(found.handed_over_at) == about(6)
    gmail, yahoo = found.groups
    assert (gmail.group, gmail.limited_by) == ("gmail", "hand-over pace of esp")
    assert minutes(gmail.ends_at) == about(6)
    assert minutes(yahoo.ends_at) == about(4)  # both get a half until yahoo is done


def test_release_and_hand_over_are_told_apart() -> None:
    paces = {"gmail": Pace(per_minute=100), "*": Pace(per_minute=1000)}
    slow = plan({"gmail": 13_000, "yahoo": 3000}, route(release=paces), ahead=HOUR)
    gmail, yahoo = slow.groups
    # The first batch of a thousand goes at once.
    assert minutes(gmail.ends_at) == about(120)
    assert minutes(yahoo.ends_at) == about(2)
    assert gmail.limited_by == "release pace of main for gmail"
    assert yahoo.limited_by == "release pace of main for all groups"
    assert minutes(slow.handed_over_at) == about(120)  # this ESP keeps nothing
    kept = plan({"gmail": 13_000, "yahoo": 3000}, route(release=paces, schedules=True), ahead=HOUR)
    assert minutes(kept.handed_over_at) == about(60)
    assert kept.released_at == slow.released_at


def test_what_a_cold_pool_cannot_take_goes_by_the_warm_one() -> None:
    warm = route("warm", release={"*": Pace(per_minute=100)})
    alone = plan({"gmail": 13_000}, warm)
    both = plan({"gmail": 13_000}, warm, route("cold", warm_up=True))
    assert minutes(alone.released_at) == about(120)
    # 20 at once and a third of one each minute.
    assert minutes(both.released_at) == about((13_000 - 1000 - 20) / (100 + 20 / 60))
    assert not any(one.startswith("No route") for one in both.warnings)


def test_warming_up_goes_on_from_day_to_day() -> None:
    caps = [warmup.hourly_cap(day) for day in (1, 2, 3)]
    assert caps == [20, 28, 39]
    first_days = 20 * 24 + 28 * 24
    found = plan({"gmail": first_days + 20 + 39}, route(warm_up=True), window=99 * 24 * HOUR)
    assert minutes(found.released_at) == about(2 * 24 * 60 + 60)
    assert found.groups[0].limited_by.startswith("warm-up of pool main (day ")
    assert "Warm-up" in " ".join(found.notes)


def test_a_pool_that_has_begun_is_where_it_is() -> None:
    begun = WarmUp(day=2, day_began_at=NOW - 23 * HOUR, last_sent_at=NOW - 22 * HOUR, trouble_at=None)
    found = plan({"gmail": 28 * 2 + 39}, route(warm_up=True), warm_ups={("main", "gmail"): begun})
    assert minutes(found.released_at) == about(120)  # an hour of day 2 is left, and its credit; then day 3
    idle = replace(begun, day=30, day_began_at=NOW - 60 * 24 * HOUR, last_sent_at=NOW - 40 * 24 * HOUR)
    cold = plan({"gmail": 40}, route(warm_up=True), warm_ups={("main", "gmail"): idle})
    assert minutes(cold.released_at) == about(60)


def test_a_release_pace_holds_also_while_warming_up() -> None:
    begun = WarmUp(day=30, day_began_at=NOW - HOUR, last_sent_at=NOW, trouble_at=None)
    slow = route(warm_up=True, release={"*": Pace(per_minute=10)})
    found = plan({"gmail": 1600}, slow, warm_ups={("main", "gmail"): begun})
    assert minutes(found.released_at) == about(60)
    assert found.groups[0].limited_by == "release pace of main for all groups"


def test_who_is_not_reached_within_the_window_is_told_of_and_by_what() -> None:
    paced = route(release={"*": Pace(per_minute=10)}, schedules=True)
    found = plan({"gmail": 10_000}, paced, window=2 * HOUR)
    assert found.left == 10_000 - 1000 - 1200
    (warning,) = found.warnings
    assert warning.startswith("7,800 people are not reached within 2 hours (OMS_SENDING_WINDOW_HOURS)")
    assert "release pace of main" in warning
    assert plan({"gmail": 10_000}, paced, window=2 * HOUR, ahead=HOUR).left == 10_000 - 1000 - 1800
    assert plan({"gmail": 10_000}, paced, window=2 * HOUR, wait=HOUR).left == 10_000 - 1000 - 600


def test_a_canary_and_two_phases_make_it_later() -> None:
    found = plan({"gmail": 1000}, route(hand_over=Pace(per_minute=100)), wait=30 * MINUTE, call_back=15 * MINUTE)
    assert minutes(found.handed_over_at) == about(40)
    assert minutes(found.released_at) == about(55)
    assert minutes(found.groups[0].begins_at) == 15
    assert any("watched for up to 30 minutes" in one for one in found.notes)
    assert any("called back" in one for one in found.notes)


@pytest.mark.parametrize(
    ("people", "largest", "today", "warned"),
    [
        (1000, 0, 0, False),  # nobody counts so few
        (1001, 0, 0, True),
        (10_000, 5000, 0, False),
        (10_001, 5000, 0, True),
        (6000, 5000, 4001, True),  # with what went today
        (6000, 5000, 4000, False),
    ],
)
def test_a_spike_is_more_than_twice_the_largest_day(people: int, largest: int, today: int, warned: bool) -> None:
    found = plan({"gmail": people}, largest_day={"gmail": largest}, today={"gmail": today})
    assert bool(found.warnings) is warned
    if warned:
        assert f"Gmail would get {people + today:,} mails in a day" in found.warnings[0]


def test_what_a_pace_spreads_over_days_is_no_spike() -> None:
    slow = route(release={"*": Pace(per_minute=10)})
    found = plan({"gmail": 40_000}, slow, largest_day={"gmail": 8000}, window=99 * HOUR)
    assert found.groups[0].in_first_day == 1000 + 10 * 1440
    assert found.warnings == ()


def test_without_a_way_out_the_plan_says_so() -> None:
    found = plan({"gmail": 10}, route(authenticated=False))
    assert (found.groups, found.left) == ((), 0)
    assert found.warnings == (
        "No route can carry it: no provider has a pool and a domain that is set up for this account.",
    )


def test_nobody_is_planned() -> None:
    found = plan({})
    assert (found.people, found.groups, found.warnings) == (0, (), ())
    assert found.takes == timedelta()


def test_a_standby_carries_only_what_no_other_may() -> None:
    standby = route("standby", share=0.0, provider="other", hand_over=Pace(per_minute=1))
    assert minutes(plan({"gmail": 1000}, route(hand_over=Pace(per_minute=100)), standby).released_at) == about(10)
    assert minutes(plan({"gmail": 5}, standby).released_at) == about(5)


def test_an_answer_time_that_nobody_measured_is_said() -> None:
    assert "reckoned with 1 s" in " ".join(plan({"gmail": 1}, answers={}).notes)
    assert "reckoned" not in " ".join(plan({"gmail": 1}).notes)


PACES = st.none() | st.floats(1, 10_000)


@st.composite
def routes(draw: st.DrawFn) -> Route:
    return route(
        draw(st.sampled_from(["a", "b", "c"])),
        provider=draw(st.sampled_from(["esp", "other"])),
        hand_over=Pace(draw(PACES)),
        release={draw(st.sampled_from(["gmail", "*"])): Pace(draw(PACES))},
        warm_up=draw(st.booleans()),
        schedules=draw(st.booleans()),
    )


PEOPLE = st.dictionaries(st.sampled_from(["gmail", "yahoo", "other"]), st.integers(0, 200_000))


@given(PEOPLE, st.lists(routes(), min_size=1, max_size=3, unique_by=lambda one: one.name))
def test_everybody_is_somewhere(people: dict[str, int], ways: list[Route]) -> None:
    window = 24 * HOUR
    found = plan(people, *ways, window=window)
    assert found.people == sum(people.values())
    assert sum(group.people for group in found.groups) == found.people
    assert 0 <= found.left <= found.people
    assert found.handed_over_at <= found.released_at
    if found.left:
        assert found.released_at > NOW + window
    for group in found.groups:
        assert 0 <= group.in_first_day <= group.people
        assert NOW <= group.begins_at <= group.ends_at
        assert group.limited_by


def test_a_plan_of_months_tells_its_true_time_and_one_without_end_ends_at_ten_years() -> None:
    assert minutes(plan({"gmail": 201_000}, route(hand_over=Pace(per_minute=1))).released_at) == about(201_000)
    endless = {
        way: plan({"gmail": 9000}, route(hand_over=Pace(per_minute=pace))) for way, pace in (("a", 1e-9), ("b", 1e-6))
    }
    assert {found.takes for found in endless.values()} == {timedelta(days=3650)}


@given(PEOPLE, routes(), st.floats(1.1, 10))
@example(
    {"gmail": 43640, "yahoo": 51080, "other": 69306}, route(hand_over=Pace(1.125), release={"gmail": Pace()}), 1.125
)
def test_a_faster_pace_is_never_slower(people: dict[str, int], way: Route, factor: float) -> None:
    pace = way.hand_over.per_minute
    if pace is not None:
        faster = replace(way, hand_over=Pace(pace * factor))
        assert plan(people, faster).takes <= plan(people, way).takes + timedelta(seconds=1)


@given(PEOPLE, st.lists(routes(), min_size=1, max_size=3, unique_by=lambda one: one.name))
def test_no_limit_is_ever_passed(people: dict[str, int], ways: list[Route]) -> None:
    question = Question(people, ways, NOW, 1000, 24 * HOUR)
    takes = {one.provider: pace_plan._taken(one, question) for one in ways}
    flows = [pace_plan._paced(question, one, group) for group in people for one in ways]
    bursts = [flow.credit for flow in flows]
    pace_flow.run(flows, people, takes)
    for flow, credit in zip(flows, bursts, strict=True):
        for at in (1.0, 59.0, 1440.0, 3000.0):
            allowed = credit + sum(
                (min(limit.until, at) - before) * limit.per_minute
                for before, limit in zip([0.0, *(one.until for one in flow.limits)], flow.limits, strict=False)
                if before < at and limit.per_minute < pace_flow.FOREVER
            )
            if all(limit.per_minute < pace_flow.FOREVER for limit in flow.limits):
                assert flow.by(at) <= allowed * 1.0001 + 0.01
    for group, count in people.items():
        assert sum(flow.by(1e9) for flow in flows if flow.group == group) <= count + 0.01
