"""What is remembered against an address, and what it comes to: nothing, a pause of 90 days, or the end of all mail.

Every answer is reckoned anew from all that is known, in the order in which it happened: so neither the order in which
events arrive nor their repetition matters. Only the recipient's own faults are marks; a provider's, a sender's or a
content's never are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from domain import refusal_causes
from domain.bounce_causes import Cause
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.policy import SendingPolicy


class MarkKind(StrEnum):
    """Why an address is in trouble; `arrived` and `lifted` speak for it."""

    AWAY = "away"  # full, or not available for another reason of its own
    DISABLED = "disabled"
    NO_HOST = "no_host"  # its domain was not found
    GONE = "gone"  # a hard bounce
    ARRIVED = "arrived"  # mail arrived that is in no run of ours
    LIFTED = "lifted"  # a person let it be mailed again


SOFT = frozenset({MarkKind.AWAY, MarkKind.DISABLED, MarkKind.NO_HOST})
# facts/reliability.md section 4: soft limit reached, block 90 d; 5.2.1 is hard on the second in 7 days.
SOFT_LIMIT_LASTS = timedelta(days=90)
DISABLED_WITHIN = timedelta(days=7)
# Gmail answered "550 5.1.1 does not exist" for addresses that do, on 15 December 2020 for nearly seven hours. So who
# opened, clicked or ordered lately is asked once more, after that, and what bounced on the same day is one bounce.
ENGAGED_WITHIN = timedelta(days=30)
CONFIRM_AFTER = timedelta(days=7)
SAME_TROUBLE = timedelta(days=1)
# RFC 2308, section 5: what the DNS says of a name that is not there is kept for one to three hours.
LOOK_AGAIN_AFTER = timedelta(hours=3)
# Fifteen soft bounces of a monthly campaign take fifteen months, and the pause that they bring ends three months later.
REMEMBERED = timedelta(days=730)

_AWAY: dict[Cause | None, MarkKind] = {
    Cause.DISABLED_MAILBOX: MarkKind.DISABLED,
    Cause.UNKNOWN_HOST: MarkKind.NO_HOST,
}


def mark_of(event: DeliveryEvent) -> MarkKind | None:
    """What an event leaves behind against its address; None for all that is not the recipient's fault."""
    if event.kind is not EventKind.BOUNCED or event.fault is not Fault.RECIPIENT:
        return None
    if event.bounce_class is BounceClass.HARD:
        return MarkKind.GONE
    if event.bounce_class is not BounceClass.SOFT:
        return None
    return _AWAY.get(refusal_causes.refusal(event).cause, MarkKind.AWAY)


@dataclass(frozen=True, slots=True)
class Pause:
    """No marketing from `since` until `until`, unless mail arrived (`ended`) in between."""

    since: datetime
    until: datetime
    ended: datetime | None = None


def soft_pause(bounces: Iterable[datetime], successes: Iterable[datetime], limit: int) -> Pause | None:
    """The last pause that `limit` soft bounces in a row brought; one of each campaign run is given.

    A delivery, an open or a click after them begins the count anew and ends a pause; so does the end of a pause. What
    still bounces during one was on its way already.
    """
    arrived = sorted(successes)
    story = sorted([(at, 0) for at in arrived] + [(at, 1) for at in bounces])  # of one instant the success is earlier
    found: Pause | None = None
    count = 0
    for at, bounced in story:
        if not bounced:
            count = 0
        elif found is None or not _holds(found, at, arrived):
            count += 1
        if count >= limit:
            ended = next((one for one in arrived if one > at), None)
            found, count = Pause(at, at + SOFT_LIMIT_LASTS, ended), 0
    return found


def _holds(pause: Pause, at: datetime, arrived: list[datetime]) -> bool:
    return at <= pause.until and not any(pause.since < one <= at for one in arrived)


def limit_of(policy: SendingPolicy, *, active: bool) -> int:
    """How many soft bounces in a row are too many. `active`: somebody there opened or clicked at any time."""
    return policy.soft_bounces_active if active else policy.soft_bounces


def disabled_for_good(disabled: Iterable[datetime], successes: Iterable[datetime]) -> datetime | None:
    """When a mailbox was disabled for the second time within a week, of two messages and with no success between."""
    arrived = list(successes)
    told = sorted(disabled)
    for first, second in pairwise(told):
        if second - first <= DISABLED_WITHIN and not any(first < one <= second for one in arrived):
            return second
    return None


def asked_once_more(gone: Iterable[datetime], successes: Iterable[datetime], acts: Iterable[datetime]) -> Pause | None:
    """Until when a hard bounce holds that is the first of somebody who was there lately; None: it holds for good.

    `acts`: when he opened, clicked or ordered. What arrived after a bounce makes the next one the first again.
    """
    last = max(successes, default=None)
    told = sorted(at for at in gone if last is None or at > last)
    if not told or told[-1] - told[0] >= SAME_TROUBLE:
        return None
    first = told[0]
    if any(first - ENGAGED_WITHIN <= one <= first for one in acts):
        return Pause(first, first + CONFIRM_AFTER)
    return None
