"""A run through a campaign host: its steps, and what is to be done by what the host and our ledger say of it.

No I/O: `action` is one table, which tests/domain/test_hosting.py reads row by row and tests/data/test_hosting_model.py
drives through every order of deaths, time-outs and people's words.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.campaign_host import HostStatus


class Step(StrEnum):
    """What is done at the host, in this order. Each may be repeated; `schedule` alone is guarded by the ledger's claim."""

    FIELDS = "fields"
    MEMBERS = "members"  # in parts: a range of ordinals each
    CAMPAIGN = "campaign"  # its reference is the campaign's id at the host
    CONTENT = "content"
    CHECKLIST = "checklist"
    TEST = "test"  # the draft to the internal mailboxes, once
    LAST_LOOK = "last_look"  # its reference is how many the segment had then
    SCHEDULE = "schedule"
    PULL = "pull"  # its reference is up to when the host was asked
    CLEAR = "clear"
    START_OVER = "start_over"  # only where somebody must be taken out whose old address nobody knows any more


# What stands before the campaign may be scheduled, in order.
PREPARATION = (
    Step.FIELDS,
    Step.MEMBERS,
    Step.CAMPAIGN,
    Step.CONTENT,
    Step.CHECKLIST,
    Step.TEST,
    Step.LAST_LOOK,
)


class StepState(StrEnum):
    """Where a step is. One whose worker's lease ran out may be taken by another: it is done anew."""

    OPEN = "open"
    WORKING = "working"
    DONE = "done"


class LeaseLost(RuntimeError):
    """The worker was paused past its lease: somebody else does the step now."""


class Stopped(RuntimeError):
    """The run cannot go on before a person did something. The message says what; it becomes the run's stop reason."""


# From the host's look at who is in the segment to the request that schedules it: as long as a claim may be old.
LOOK_HOLDS = timedelta(minutes=5)


class Hand(StrEnum):
    """Where the ledger has the run's one request."""

    NONE = "none"  # nothing was asked for, or it came back
    ASKING = "asking"  # claimed; the request may be under way
    SCHEDULED = "scheduled"  # the host said yes
    UNKNOWN = "unknown"  # nobody knows what the host said
    OUT = "out"  # accepted, or held as possibly sent
    OVER = "over"  # nothing went and nothing will: expired or cancelled


class Action(StrEnum):
    """What is to be done now."""

    WAIT = "wait"
    TAKE_AS_OUT = "take as out"  # it goes out or went: accepted, with the host's word as proof
    CALL_BACK = "call back"  # unschedule it
    TAKE_BACK = "take back"  # it is a draft again: certainly not sent
    RELEASE = "release"  # a draft long after the request: it never came there
    DISCARD = "discard"  # a draft that nobody will send


_GOES = frozenset({HostStatus.SENDING, HostStatus.SENT})
_OF_WHAT_IS_OVER = {HostStatus.DRAFT: Action.DISCARD, HostStatus.SCHEDULED: Action.CALL_BACK}


def action(hand: Hand, status: HostStatus, *, wanted: bool, ripe: bool) -> Action:
    """The one table. `wanted`: the run is dispatching. `ripe`: the request's lease is over, so it is under way no more.

    The host's words outweigh ours, but never while a worker of ours may be asking: it records its own answer. What is
    neither draft nor scheduled nor going out proves nothing; the ledger's deadline holds such a run.
    """
    if hand is Hand.OUT or (hand is Hand.ASKING and not ripe):
        return Action.WAIT
    if hand is Hand.OVER:
        return _OF_WHAT_IS_OVER.get(status, Action.WAIT)
    if status in _GOES:
        return Action.TAKE_AS_OUT
    if status is HostStatus.SCHEDULED:
        return Action.WAIT if wanted and hand is not Hand.NONE else Action.CALL_BACK
    return _of_draft(hand, ripe=ripe) if status is HostStatus.DRAFT else Action.WAIT


def _of_draft(hand: Hand, *, ripe: bool) -> Action:
    if hand is Hand.SCHEDULED:
        return Action.TAKE_BACK
    return Action.RELEASE if ripe and hand is not Hand.NONE else Action.WAIT


class Count(StrEnum):
    """What is to be made of the number of members that the host counts."""

    AGREES = "agrees"
    PUT_AGAIN = "put again"
    COUNT_AGAIN = "count again"
    STOP = "stop"


_MOST_COUNTS = 5


def judge_count(ours: int, theirs: int, *, counted: int) -> Count:
    """Compare. `counted`: so often before, in vain. Too few are put once more, as the host then says whom it refuses.

    A host may count behind what it was just told; a number that does not agree in the end is never mailed to.
    """
    if ours == theirs:
        return Count.AGREES
    if theirs < ours and counted == 0:
        return Count.PUT_AGAIN
    return Count.COUNT_AGAIN if counted + 1 < _MOST_COUNTS else Count.STOP


CLEAR_AGAIN = timedelta(hours=1)
_QUARTER, _HOUR, _DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
_PULLED_FOR = timedelta(days=30)  # as long as runs are observed (tasks/reporting.py)
# The host reckons its reports minutes behind, and its clock is not ours: the same event twice costs a look-up.
OVERLAP = timedelta(hours=1)


def next_pull(went_at: datetime, now: datetime) -> datetime | None:
    """When to ask again what became of the mail: most is heard of in the first day. None: no more."""
    age = now - went_at
    if age > _PULLED_FOR:
        return None
    return now + (_QUARTER if age < _DAY else _HOUR if age < 3 * _DAY else _DAY)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A step, or a part of one, that a worker has until its lease is over."""

    run_id: str
    step: Step
    first: int
    last: int
    attempts: int
    worker: str
    lease_expires_at: datetime
    reference: str | None = None
