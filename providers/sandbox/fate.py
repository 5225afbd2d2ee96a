"""What becomes of a message: a pure function of the seed, the message and its recipient's domain.

A domain of `BY_DOMAIN` decides alone, for tests that need a certain end. Every other recipient at a reserved domain
meets the rates of a healthy shop. Mail to anybody else arrives, and nobody else complains or leaves: what the sandbox
reports suppresses people and withdraws their consent, and a rehearsal with real customers must not cost them that.
Times are in units of the configured mean delay, so that a test can set them all to zero.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple


class Kind(StrEnum):
    """What is reported. SendGrid calls both kinds of open `open`; see events.py."""

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    BOUNCE = "bounce"
    OPEN = "open"
    MACHINE_OPEN = "machine_open"
    CLICK = "click"
    SPAM_REPORT = "spamreport"
    UNSUBSCRIBE = "unsubscribe"


class End(StrEnum):
    """How the delivery ended."""

    DELIVERED = "delivered"
    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"
    DROPPED = "dropped"  # on one of our own suppression lists
    INVALID = "invalid"  # dropped as well: no mail exchanger could ever take it
    SILENT = "silent"  # accepted, and never heard of again


BOUNCED = frozenset({End.HARD, End.SOFT, End.BLOCK})


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens, without when."""

    end: End = End.DELIVERED
    deferred: bool = False
    machine_open: bool = False
    human_open: bool = False
    click: bool = False
    complaint: bool = False
    unsubscribe: bool = False


class Step(NamedTuple):
    """One event: when it happens, when it is reported, and whether it is reported a second time."""

    kind: Kind
    at: float
    reported_at: float
    repeat: int  # NONE, SAME_ID or CHANGED_ID


NONE, SAME_ID, CHANGED_ID = range(3)


@dataclass(frozen=True, slots=True)
class Fate:
    """The whole story of one message."""

    end: End
    steps: tuple[Step, ...]


BY_DOMAIN = {
    "delivered.test": Plan(),
    "hard.test": Plan(end=End.HARD),
    "soft.test": Plan(end=End.SOFT),
    "block.test": Plan(end=End.BLOCK),
    "invalid.test": Plan(end=End.INVALID),
    "silent.test": Plan(end=End.SILENT),
    "deferred.test": Plan(deferred=True),
    "machine.test": Plan(machine_open=True),
    "open.test": Plan(human_open=True),
    "click.test": Plan(human_open=True, click=True),
    "complaint.test": Plan(complaint=True),
    "unsubscribe.test": Plan(unsubscribe=True),
}

# RFC 2606 and RFC 6761: nobody can ever have a mailbox there.
_RESERVED = re.compile(r"(?:.+\.)?(?:test|example|invalid|example\.(?:com|net|org))")

# Shares of all mail, as a shop with a clean list sees them. Clicks come out at 3 %: 0.22 x 0.125 + 0.78 x 0.003.
_HARD, _SOFT, _BLOCK = 0.004, 0.003, 0.002
_DEFERRED = 0.03
_MACHINE_OPEN = 0.25
_HUMAN_OPEN = 0.22
_CLICK_IF_OPENED = 0.125
_CLICK_UNSEEN = 0.003  # images are off, so the open is not
_COMPLAINT = 0.0005
_UNSUBSCRIBE = 0.003
_REPEATED = 0.03
_GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, spread evenly: one draw serves every step of a message


class _Dice(NamedTuple):
    """Independent draws from [0, 1) for one message."""

    end: float
    deferred: float
    machine_open: float
    human_open: float
    click: float
    complaint: float
    unsubscribe: float
    start: float
    transit: float
    prefetch: float
    reading: float
    lag: float
    repeat: float


_DRAWS = struct.Struct(f"<{len(_Dice._fields)}I")


def of(*, seed: int, key: str, address: str, suppressed: bool) -> Fate:
    """Decide. `key` is the message id, or the address where the sender gave none."""
    dice = _roll(seed, key)
    domain = address.rpartition("@")[2].lower()
    plan = Plan(end=End.DROPPED) if suppressed else BY_DOMAIN.get(domain) or _drawn(dice)
    if not suppressed and not _RESERVED.fullmatch(domain):
        plan = replace(plan, end=End.DELIVERED, complaint=False, unsubscribe=False)
    return Fate(plan.end, tuple(_reported(_timeline(plan, dice), dice)))


def _roll(seed: int, key: str) -> _Dice:
    digest = blake2b(f"{seed}\0{key}".encode(), digest_size=_DRAWS.size).digest()
    return _Dice(*(number / 2**32 for number in _DRAWS.unpack(digest)))


def _drawn(dice: _Dice) -> Plan:
    if dice.end < _HARD + _SOFT + _BLOCK:
        return Plan(end=End.HARD if dice.end < _HARD else End.SOFT if dice.end < _HARD + _SOFT else End.BLOCK)
    human_open = dice.human_open < _HUMAN_OPEN
    return Plan(
        deferred=dice.deferred < _DEFERRED,
        machine_open=dice.machine_open < _MACHINE_OPEN,
        human_open=human_open,
        click=dice.click < (_CLICK_IF_OPENED if human_open else _CLICK_UNSEEN),
        complaint=dice.complaint < _COMPLAINT,
        unsubscribe=dice.unsubscribe < _UNSUBSCRIBE,
    )


def _timeline(plan: Plan, dice: _Dice) -> Iterator[tuple[Kind, float]]:
    """Say what happens when. SendGrid does not report a dropped message as processed."""
    at = 0.1 * dice.start
    if plan.end is End.SILENT:
        return
    if plan.end in {End.DROPPED, End.INVALID}:
        yield Kind.DROPPED, at
        return
    yield Kind.PROCESSED, at
    at += 0.25 + 0.5 * dice.transit
    if plan.deferred:
        yield Kind.DEFERRED, at
        at += 0.5
    if plan.end in BOUNCED:
        yield Kind.BOUNCE, at
        return
    yield Kind.DELIVERED, at
    if plan.machine_open:
        yield Kind.MACHINE_OPEN, at + 0.2 * dice.prefetch
    # A second at least: what is opened in the second of its delivery no person opened (domain/machine_activity.py).
    yield from _reactions(plan, at + 1 + dice.reading)


def _reactions(plan: Plan, at: float) -> Iterator[tuple[Kind, float]]:
    if plan.human_open:
        yield Kind.OPEN, at
    if plan.click:
        yield Kind.CLICK, at + 0.2
    if plan.unsubscribe:
        yield Kind.UNSUBSCRIBE, at + 0.4
    if plan.complaint:
        yield Kind.SPAM_REPORT, at + 0.4


def _reported(timeline: Iterator[tuple[Kind, float]], dice: _Dice) -> Iterator[Step]:
    """Add the lag of the reports, which overtake one another, and the repetitions."""
    for position, (kind, at) in enumerate(timeline):
        lag = (dice.lag + position * _GOLDEN) % 1
        chance = (dice.repeat + position * _GOLDEN) % 1
        repeat = NONE if chance >= _REPEATED else SAME_ID if chance >= _REPEATED / 2 else CHANGED_ID
        yield Step(kind, at, at + lag, repeat)
