"""The plan of a run before it begins: how long it takes, what limits it, and what mailbox providers may not like.

Two rates are told apart (facts/sender-rules.md): mail is handed over to an ESP as fast as the ESP takes it, and released
to a mailbox provider as fast as that one likes it. An ESP that keeps mail until a time that we name lets the first run
ahead of the second. The plan flows evenly where batches jump, so times are right to a batch, or an hour of a warm-up.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain import mailbox_groups, pace_flow, warmup
from domain.pace_flow import FOREVER, Flow, Limit
from domain.routes import Route
from domain.warmup import WarmUp

# What an ESP takes to answer a request of a thousand messages, until it was measured.
ANSWER_SECONDS = 1.0
# "Immediately doubling previously sent volumes suddenly could result in rate limiting or reputation drops", Google's
# sender guidelines (support.google.com/mail/answer/81126). Below a thousand a day nobody counts.
SPIKE_FACTOR = 2
SPIKE_ABOVE = 1000
_DAY = 24 * 60.0
_SHORTEST = 1 / 60  # a second, in minutes


@dataclass(frozen=True, slots=True)
class Question:
    """What a plan is made of. `people`: planned people by mailbox group; `routes`: all that the run may take.

    `warm_ups`: of each (pool, mailbox group) that has begun. `answers`: seconds that a provider's answer takes, as
    measured. `window`: what is not handed over by then expires. `ahead`: so long before its release may mail be handed
    over, where the route's ESP keeps it. `wait`: for the verdict on a canary, at most. `call_back`: how long the ESP
    keeps each batch in any case (two-phase). `reserved`: the part of a provider's requests that is kept free for other
    mail. `largest_day`, `today`: messages by mailbox group, of the busiest of the
    last 28 days and of the last 24 hours.
    """

    people: Mapping[str, int]
    routes: Sequence[Route]
    starts_at: datetime
    batch_size: int
    window: timedelta
    ahead: timedelta = timedelta()
    wait: timedelta = timedelta()
    call_back: timedelta = timedelta()
    reserved: float = 0.0
    warm_ups: Mapping[tuple[str, str], WarmUp] = field(default_factory=dict)
    answers: Mapping[str, float] = field(default_factory=dict)
    largest_day: Mapping[str, int] = field(default_factory=dict)
    today: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """One mailbox group: its people, how many a minute reach it on average, from when to when, and what limits it."""

    group: str
    people: int
    per_minute: float
    begins_at: datetime
    ends_at: datetime
    limited_by: str
    in_first_day: int
    largest_day: int

    @property
    def shown(self) -> str:
        """The group's name as people read it."""
        return mailbox_groups.shown(self.group)


@dataclass(frozen=True, slots=True)
class PacePlan:
    """The whole: `groups` by people, the most first. `left`: people whom the window does not reach.

    `handed_over_at`: when the ESPs have all of it; `released_at`: when the mailbox providers have.
    """

    starts_at: datetime
    people: int
    groups: tuple[GroupPlan, ...]
    handed_over_at: datetime
    released_at: datetime
    hand_over_per_minute: float
    left: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def takes(self) -> timedelta:
        """From the start to the last mail's release."""
        return self.released_at - self.starts_at


def make(question: Question) -> PacePlan:
    """Reckon the plan."""
    routes = _carriers(question.routes)
    takes = {route.provider: _taken(route, question) for route in routes}
    released = [_paced(question, route, group) for group in question.people for route in routes]
    pace_flow.run(released, question.people, takes)
    handed = [_unpaced(route, group) for group in question.people for route in routes]
    pace_flow.run(handed, question.people, takes)
    ahead = {route.name: _minutes(question.ahead) if route.schedules else 0.0 for route in routes}
    ends = [max(alone.ends, flow.ends - ahead[flow.route]) for alone, flow in zip(handed, released, strict=True)]
    over, wait = max(ends, default=0.0), _minutes(question.wait)
    groups = tuple(_groups(question, released, wait + _minutes(question.call_back)))
    left = _left(question, released, ahead) if routes else 0
    handed_over_at = question.starts_at + timedelta(minutes=over + wait)
    people = sum(question.people.values())
    return PacePlan(
        starts_at=question.starts_at,
        people=people,
        groups=groups,
        handed_over_at=handed_over_at,
        released_at=max([handed_over_at, *(group.ends_at for group in groups)]),
        hand_over_per_minute=people / max(over, _SHORTEST),
        left=left,
        warnings=tuple(_warnings(question, routes, groups, left)),
        notes=tuple(_notes(question, routes)),
    )


def _carriers(routes: Sequence[Route]) -> list[Route]:
    """Those that carry mail while all is well (domain.routing): what one cannot take at once, the next does."""
    able = [route for route in routes if route.authenticated]
    return [route for route in able if route.share > 0] or able


def _unpaced(route: Route, group: str) -> Flow:
    return Flow(route.name, route.provider, group, FOREVER, ())


def _paced(question: Question, route: Route, group: str) -> Flow:
    """Under the pace at which this route's pool may release to the group, and its warm-up."""
    pace = route.release_of(group).per_minute
    told = group if group in route.release else "all groups"
    after = Limit(FOREVER, FOREVER if pace is None else pace, f"release pace of {route.name} for {told}")
    credit = FOREVER if pace is None else float(question.batch_size)  # the first batch goes at once
    days: list[Limit] = []
    if route.warm_up:
        state = question.warm_ups.get((route.pool, group)) or warmup.begin(question.starts_at)
        state = warmup.today(state, question.starts_at)
        days = [
            one if one.per_minute < after.per_minute else replace(after, until=one.until)
            for one in _days(question, route, state)
        ]
        credit = min(credit, warmup.hourly_cap(state.day) or FOREVER)  # an hour's all may go at once
    return Flow(route.name, route.provider, group, credit, (*days, after))


def _days(question: Question, route: Route, state: WarmUp) -> Iterator[Limit]:
    """The warm-up's days that are still to come, each with what may go in a minute of it, were there no trouble."""
    began = state.last_sent_at is not None and state.last_sent_at >= state.day_began_at
    until = _DAY + (_minutes(state.day_began_at - question.starts_at) if began else 0.0)
    for place, day in enumerate(range(state.day, warmup.WARM)):
        cap = warmup.hourly_cap(day)
        assert cap is not None, "only a warm pool has none"
        told = f"warm-up of pool {route.pool} (day {day}: {cap:,} an hour)"
        yield Limit(until + place * _DAY, cap / 60, told)


def _taken(route: Route, question: Question) -> Limit:
    """Messages a minute that the route's provider takes, and what limits it."""
    seconds = question.answers.get(route.provider) or ANSWER_SECONDS
    at_once = max(1, int(route.concurrency * (1 - question.reserved)))
    able = at_once * question.batch_size * 60 / seconds
    pace = route.hand_over.per_minute
    if pace is not None and pace < able:
        return Limit(FOREVER, pace, f"hand-over pace of {route.provider}")
    return Limit(FOREVER, able, f"answers of {route.provider}")


def _minutes(time: timedelta) -> float:
    return time.total_seconds() / 60


def _left(question: Question, flows: Sequence[Flow], ahead: Mapping[str, float]) -> int:
    """People whom the window does not reach, as whole ones: what rounding alone leaves over is nobody."""
    ends = _minutes(question.window - question.wait)
    return max(0, round(sum(question.people.values()) - sum(flow.by(ends + ahead[flow.route]) for flow in flows)))


def _groups(question: Question, flows: Sequence[Flow], later: float) -> Iterator[GroupPlan]:
    for group in sorted(question.people, key=lambda one: (-question.people[one], one)):
        mine = [flow for flow in flows if flow.group == group and flow.track]
        if not mine:
            continue
        ends = max(flow.ends for flow in mine)
        held: Counter[str] = Counter()
        for flow in mine:
            held.update(flow.held)
        yield GroupPlan(
            group=group,
            people=question.people[group],
            per_minute=question.people[group] / max(ends, _SHORTEST),
            begins_at=question.starts_at + question.call_back,
            ends_at=question.starts_at + timedelta(minutes=ends + later),
            limited_by=held.most_common(1)[0][0],
            in_first_day=round(sum(flow.by(_DAY - later) for flow in mine)),
            largest_day=question.largest_day.get(group, 0),
        )


def _warnings(question: Question, carriers: Sequence[Route], groups: Sequence[GroupPlan], left: int) -> list[str]:
    if not carriers:
        return ["No route can carry it: no provider has a pool and a domain that is set up for this account."]
    told = [_spike(group, question.today.get(group.group, 0)) for group in groups]
    if left:
        hours = _minutes(question.window) / 60
        slowest = max(groups, key=lambda group: group.ends_at)
        told.append(
            f"{left:,} people are not reached within {hours:g} hours (OMS_SENDING_WINDOW_HOURS) and get no mail: the"
            f" slowest is {slowest.shown}, by the {slowest.limited_by}. Send to fewer, or allow more time."
        )
    return [one for one in told if one]


def _spike(group: GroupPlan, today: int) -> str:
    day = group.in_first_day + today
    if day <= SPIKE_ABOVE or day <= SPIKE_FACTOR * group.largest_day:
        return ""
    before = (
        f"{day / group.largest_day:.1f} times the largest day of the last four weeks ({group.largest_day:,})"
        if group.largest_day
        else "and nothing in the last four weeks"
    )
    return (
        f"{group.shown} would get {day:,} mails in a day, {before}. Mailbox providers take a sudden rise for spam"
        f" (Google: no bursts): limit the run, or set a release pace for {group.group}."
    )


def _notes(question: Question, carriers: Sequence[Route]) -> list[str]:
    told = []
    unmeasured = sorted({route.provider for route in carriers} - question.answers.keys())
    if unmeasured:
        told.append(
            f"No answer of {', '.join(unmeasured)} was timed yet: reckoned with {ANSWER_SECONDS:g} s a request."
        )
    if question.wait:
        told.append(f"A first part is watched for up to {_minutes(question.wait):g} minutes before the rest goes.")
    if question.call_back:
        told.append(f"The ESP keeps each batch for {_minutes(question.call_back):g} minutes, so it can be called back.")
    if any(route.warm_up for route in carriers):
        told.append("Warm-up counts a further step each day: trouble makes it take longer.")
    told.append("Quiet hours and brakes come on top.")
    return told
