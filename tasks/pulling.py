"""What webhooks did not bring, asked of the ESP: stored as bodies of its webhook, then read and applied as all are.

Nothing is kept of how far this came: what is still missing is what is asked for, so it may die anywhere and be done
again. A question is dear (SendGrid answers six a minute), so what is needed most comes first: all messages of an
attempt at a glance, then why mail failed, then who read it. When the time of a night is over, the next one goes on.

A question that fails costs only itself, as the next night asks the same one first; three in a row mean the ESP.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice

from data import database, inbox, reconciliation_reading
from domain import addresses, campaigns
from domain.esp_record import ActivitySource, AskedTooOften, Glimpse, NotBought, Reached, SourceFailed, Told
from domain.reconciliation import Accepted
from tasks import esps, wiring

_A_BODY = 500
_IN_VAIN = 3
_STORIES_A_BODY = 6  # a minute's worth: what was asked for is not lost with the process


@dataclass
class Pulled:
    """What was asked of one ESP, and what is left for another night."""

    questions: int = 0
    attempts_left: int = 0
    stories_left: int = 0
    bodies: int = 0
    unmatched: int = 0  # messages of addresses that the run did not mail
    trouble: str | None = None  # why it ended early
    bought: bool = True


@dataclass
class _Asked:
    """The questions to come, and the time that is left for them."""

    source: ActivitySource
    until: float
    alive: Callable[[], None]
    pulled: Pulled
    failed: list[Told] = field(default_factory=list)
    engaged: list[Told] = field(default_factory=list)
    in_vain: int = 0  # questions in a row

    def turn(self) -> bool:
        """Wait for the turn of the next question; False where there is no time for it any more."""
        self.alive()
        wait = self.source.wait()
        if time.monotonic() + wait > self.until:
            return False
        time.sleep(wait)
        self.pulled.questions += 1
        return True

    def answered(self) -> None:
        """The ESP answers, so what failed before was that question's own fault."""
        self.in_vain = 0

    def failed_with(self, error: SourceFailed) -> None:
        """Note what failed. Raises it where nothing else is to be expected of the next question."""
        self.pulled.trouble, self.in_vain = str(error), self.in_vain + 1
        if self.in_vain == _IN_VAIN or isinstance(error, NotBought):
            raise error


def pull(provider: str, attempts: Sequence[Accepted], *, minutes: float, alive: Callable[[], None]) -> Pulled:
    """Ask one ESP about these attempts, and store what it says. `alive` is called before each question.

    Never raises for what the wire did: `trouble` tells.
    """
    source = esps.reach(provider).activity()
    if source is None:
        return Pulled(attempts_left=len(attempts), bought=False)
    with closing(source):
        asked = _Asked(source, time.monotonic() + minutes * 60, alive, Pulled())
        left = list(attempts)
        try:
            _glances(asked, left)
            _stories(asked, asked.failed)
            _stories(asked, asked.engaged)
        except NotBought as error:
            asked.pulled.bought, asked.pulled.trouble = False, str(error)
        except SourceFailed as error:
            asked.pulled.trouble = str(error)
        asked.pulled.attempts_left = len(left)
        asked.pulled.stories_left = len(asked.failed) + len(asked.engaged)
        # Of whom no story was told, the glance says at least that they read it. Of why mail failed it says nothing.
        _store(asked, asked.engaged)
        return asked.pulled


def _glances(asked: _Asked, left: list[Accepted]) -> None:
    """All attempts, the one of which most is missing first; of which the ESP told is taken off `left`."""
    left.sort(key=lambda one: -one.missing)
    place = 0
    while place < len(left) and asked.turn():
        try:
            seen = asked.source.glimpses(left[place].attempt_id)
        except AskedTooOften:
            continue
        except SourceFailed as error:
            asked.failed_with(error)
            place += 1
            continue
        asked.answered()
        _sort(asked, left.pop(place), seen)


def _sort(asked: _Asked, attempt: Accepted, seen: Iterable[Glimpse]) -> None:
    with database.read(wiring.engine()) as connection:
        wanted = reconciliation_reading.wanted(connection, attempt)
    plain: list[Told] = []
    for glimpse in seen:
        ordinal = wanted.ordinals.get(_hash(glimpse.address))
        if ordinal is None:
            asked.pulled.unmatched += 1
            continue
        told = Told(campaigns.message_id(attempt.run_id, ordinal), attempt.attempt_id, glimpse)
        if ordinal in wanted.listed or (glimpse.reached is Reached.FAILED and ordinal not in wanted.ended):
            asked.failed.append(told)
        elif glimpse.reached is Reached.DELIVERED and ordinal not in wanted.ended:
            (asked.engaged if glimpse.engaged else plain).append(told)
    _store(asked, plain)


def _hash(address: str) -> str:
    try:
        return addresses.address_hash(address, wiring.pepper())
    except addresses.InvalidAddress:
        return ""


def _stories(asked: _Asked, wanted: list[Told]) -> None:
    """Ask for the story of each; of whom the ESP told one is taken off the list."""
    known: list[Told] = []
    place = 0
    try:
        while place < len(wanted) and asked.turn():
            try:
                found = _story(asked, wanted[place])
            except AskedTooOften:
                continue
            except SourceFailed as error:  # one that the ESP forgot must not hold up the others
                asked.failed_with(error)
                place += 1
                continue
            asked.answered()
            wanted.pop(place)
            known.append(found)
            if len(known) == _STORIES_A_BODY:
                _store(asked, known)
                known = []
    finally:
        _store(asked, known)


def _story(asked: _Asked, one: Told) -> Told:
    """Raises SourceFailed also for a story that cannot be put into a body: its neighbours there must not suffer."""
    found = replace(one, story=asked.source.story(one.glimpse.reference))
    asked.source.body([found])
    return found


def _store(asked: _Asked, told: Sequence[Told]) -> None:
    """Into the inbox, as what the ESP's webhook would have brought; the same body twice is one."""
    for some in _chunks(told):
        for body in _bodies(asked, some):
            with database.write(wiring.engine()) as connection:
                stored = inbox.store(connection, provider=asked.source.reader, body=body, now=wiring.clock())
            asked.pulled.bodies += stored


def _bodies(asked: _Asked, told: Sequence[Told]) -> Iterator[bytes]:
    """One body of all; where something in it is not as documented, halves of it, down to that which is left out."""
    try:
        body = asked.source.body(told)
    except SourceFailed as error:
        asked.pulled.trouble = str(error)
        middle = len(told) // 2
        if middle:
            yield from _bodies(asked, told[:middle])
            yield from _bodies(asked, told[middle:])
        return
    yield body


def _chunks(told: Iterable[Told]) -> Iterator[list[Told]]:
    rest = iter(told)
    while some := list(islice(rest, _A_BODY)):
        yield some
