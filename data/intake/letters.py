"""Working on dead letters: patch a field, look what a replay would do, replay, discard. Every deed is audited.

A replay converts the kept record again, as it stands or patched, with the adapter, mapping and thresholds of today, and
takes it in like any other: doing it twice changes nothing.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import audit_log, database, dead_letters, orders
from data.channels.channel import Element, Ignored, Unfit
from data.channels.registry import UnknownChannel
from data.dead_letters import DeadLetter, State
from data.intake import apply, convert, records, rules
from data.intake.convert import Item, Reader
from data.intake.drain import Intake, reader_of
from domain.orders import Order

REFUSED, IGNORED, QUEUED = "refused", "ignored", "queued"
_FIRST_PAUSE, _GROWTH, _MOST_TRIES = timedelta(minutes=10), 3, 6  # 10 min, 30 min, … 40 h; then people are asked
_AT_ONCE = 500
_RETRY = "retry"


class UnusablePatch(ValueError):
    """The patch does not fit the record; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay did, or would do: loaded, updated, unchanged, stale, deleted, conflict, refused, ignored, queued."""

    letter_id: int
    result: str
    told: str = ""

    @property
    def ended(self) -> bool:
        """Is the letter done with?"""
        return self.result not in {REFUSED, orders.Verdict.CONFLICT}


def patched(payload: Any, patch: Sequence[Mapping[str, Any]]) -> Any:
    """The payload with each {"path", "value"} set. In a record of rows a plain column means every row.

    Raises UnusablePatch for a path that leads nowhere.
    """
    payload = copy.deepcopy(payload)
    for one in patch:
        parts = str(one["path"]).split(".")
        targets = payload if isinstance(payload, list) and not parts[0].isdigit() else [payload]
        for target in targets:
            _set(target, parts, one["value"], str(one["path"]))
    return payload


def _set(target: Any, parts: Sequence[str], value: Any, path: str) -> None:
    for part in parts[:-1]:
        target = _step(target, part, path)
    last = parts[-1]
    if isinstance(target, dict):
        target[last] = value
    elif isinstance(target, list) and last.isdigit() and int(last) < len(target):
        target[int(last)] = value
    else:
        raise UnusablePatch(f"there is no place {path} in this record: `--payload` shows what there is")


def _step(target: Any, part: str, path: str) -> Any:
    if isinstance(target, dict) and part in target:
        return target[part]
    if isinstance(target, list) and part.isdigit() and int(part) < len(target):
        return target[int(part)]
    raise UnusablePatch(f"there is no place {path} in this record: `--payload` shows what there is")


def patch(connection: sa.Connection, letter: DeadLetter, changes: Mapping[str, Any], *, by: str, now: datetime) -> None:
    """Keep changes for the next replay; the record itself stays as it came. Raises UnusablePatch."""
    whole = [*letter.patch, *({"path": path, "value": value} for path, value in changes.items())]
    patched(letter.row.payload, whole)
    dead_letters.set_patch(connection, letter.id, whole)
    _audit(connection, letter, "patch", by, {"fields": sorted(changes)}, now)  # no values: they may be addresses


def discard(connection: sa.Connection, letter: DeadLetter, *, by: str, note: str, now: datetime) -> bool:
    """A person says that it is nothing; False when it has ended already."""
    if not dead_letters.end(connection, letter.id, State.DISCARDED, by=by, note=note, now=now):
        return False
    _audit(connection, letter, "discard", by, {"note": note}, now)
    return True


def replay(
    intake: Intake, letters: Sequence[DeadLetter], *, by: str, as_is: bool = False, dry_run: bool = False
) -> list[Outcome]:
    """Convert each open letter again and take it in, or with `dry_run` only say what would happen.

    `as_is`: whatever the quality rules say, and of two conflicting states this one. What cannot be read stays refused.
    """
    return [_replay(intake, letter, by=by, as_is=as_is, dry_run=dry_run) for letter in letters]


def _replay(intake: Intake, letter: DeadLetter, *, by: str, as_is: bool, dry_run: bool) -> Outcome:
    if letter.state is not State.OPEN:
        return Outcome(letter.id, IGNORED, f"it was {letter.state} already")
    if letter.account_id is None or "origin" not in letter.row.context:
        return Outcome(
            letter.id, REFUSED, "it is no order of a channel: see `campaigns explain` and docs/operations.md"
        )
    if letter.row.rule == "unreadable":
        return _requeue(intake, letter, by=by, dry_run=dry_run)
    try:
        reader = reader_of(intake, letter.account_id, letter.source)
        found = _judged(letter, reader, intake.clock(), as_is=as_is)
    except (UnknownChannel, UnusablePatch) as error:
        return Outcome(letter.id, REFUSED, str(error))
    if isinstance(found, Unfit):
        return Outcome(letter.id, REFUSED, str(found))
    with database.write(intake.engine) as connection:
        attempt = connection.begin_nested()
        outcome = _take(connection, letter, found, reader, intake, by=by)
        if dry_run:
            attempt.rollback()
    return outcome


def _requeue(intake: Intake, letter: DeadLetter, *, by: str, dry_run: bool) -> Outcome:
    """A whole document that could not be cut goes back on the queue."""
    if dry_run:
        return Outcome(letter.id, QUEUED, "the whole document would be read again")
    now = intake.clock()
    with database.write(intake.engine) as connection:
        if not records.again(connection, letter.row.payload["record"]):
            return Outcome(letter.id, REFUSED, "the document is gone: ask the channel for it again")
        dead_letters.end(connection, letter.id, State.FIXED, by=by, now=now)
        _audit(connection, letter, "replay", by, {"result": QUEUED}, now)
    return Outcome(letter.id, QUEUED, "the whole document is read again by the next drain")


def _judged(letter: DeadLetter, reader: Reader, now: datetime, *, as_is: bool) -> Item | Ignored | Unfit:
    rows = int(letter.row.context.get("rows", 1))
    element = Element(1, patched(letter.row.payload, letter.patch), rows)
    found = convert.judged(element, reader, reader.delivery(letter.row.context), now)
    if isinstance(found, Unfit | Ignored):
        return found
    item, fired = found
    if not as_is and (refused := [one for one in fired if one.refuse]):
        return Unfit(refused[0].rule, refused[0].sentence, refused[0].fields)
    if as_is and letter.row.rule == orders.CONFLICT_RULE and isinstance(item, Order):
        return replace(item, observed_at=now)  # a person says that this state is the later one
    return item


def _take(
    connection: sa.Connection, letter: DeadLetter, found: Item | Ignored, reader: Reader, intake: Intake, *, by: str
) -> Outcome:
    now = intake.clock()
    if isinstance(found, Ignored):
        outcome = Outcome(letter.id, IGNORED, found.reason)
    else:
        (verdict,) = apply.load_items(connection, [found], reader, pepper=intake.pepper, now=now)
        outcome = Outcome(letter.id, verdict, orders.CONFLICT if verdict is orders.Verdict.CONFLICT else "")
    if outcome.ended:
        by_a_rule = letter.row.rule in rules.MEANINGS or letter.row.rule == orders.CONFLICT_RULE
        state = State.RELEASED if by_a_rule and not letter.patch else State.FIXED
        if not dead_letters.end(connection, letter.id, state, by=by, note=outcome.result, now=now):
            return Outcome(letter.id, IGNORED, "somebody else was quicker")
        _audit(connection, letter, "replay", by, {"result": outcome.result, "state": state}, now)
    return outcome


def retry(intake: Intake) -> dict[str, int]:
    """Try what time alone may cure, with growing pauses; what does not come right is left to people."""
    now = intake.clock()
    with database.read(intake.engine) as connection:
        letters = dead_letters.due(connection, now=now, limit=_AT_ONCE)
    counts = {"tried": len(letters), "cured": 0, "given_up": 0}
    for letter in letters:
        if replay(intake, [letter], by=_RETRY)[0].ended:
            counts["cured"] += 1
            continue
        given_up = letter.attempts + 1 >= _MOST_TRIES
        counts["given_up"] += given_up
        with database.write(intake.engine) as connection:
            pause = None if given_up else now + _FIRST_PAUSE * _GROWTH ** (letter.attempts + 1)
            dead_letters.put_off(connection, letter.id, next_try_at=pause)
    return counts


def _audit(
    connection: sa.Connection, letter: DeadLetter, action: str, by: str, detail: dict[str, Any], now: datetime
) -> None:
    audit_log.write(
        connection,
        account_id=letter.account_id,
        actor=by,
        action=f"dead letter: {action}",
        subject=f"dead letter {letter.id}",
        detail=detail | {"channel": letter.source, "rule": letter.row.rule},
        now=now,
    )
