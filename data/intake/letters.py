"""Working on dead letters: look what a replay would do, replay, discard, try again by itself. Every deed is audited.

A replay converts the kept record again, as it stands or patched (data.intake.patches), with the adapter, mapping and
thresholds of today, and takes it in like any other: doing it twice changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import database, dead_letters, orders
from data.channels.channel import Element, Ignored, Unfit
from data.channels.mapping import UnusableMapping
from data.channels.registry import UnknownChannel
from data.dead_letters import DeadLetter, State
from data.intake import apply, convert, patches, records
from data.intake.convert import Item, Reader
from data.intake.drain import Intake, reader_of
from data.intake.patches import UnusablePatch
from data.orders import Verdict
from domain.orders import Order

REFUSED, IGNORED, QUEUED, ALREADY = "refused", "ignored", "queued", "ended already"
_FIRST_PAUSE, _GROWTH, _MOST_TRIES = timedelta(minutes=10), 3, 6  # 10 min, 30 min, … 40 h; then people are asked
_AT_ONCE = 500
_RETRY = "retry"
_RETURNED = f"{dead_letters.WEBHOOK}smtp"
_TAKE_THIS = f"{orders.CONFLICT}. To take this one instead, replay it as it is (--as-is)"
_NOT_STORABLE = "a value of this order cannot be stored"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay did, or would do. `result`: a Verdict's word, or refused, ignored, queued, ended already.

    queued: the whole document is read again by the next drain; ended already: nothing was done.
    """

    letter_id: int
    result: str
    told: str = ""

    @property
    def ended(self) -> bool:
        """Is the letter done with?"""
        return self.result not in {REFUSED, Verdict.CONFLICT}


@dataclass(frozen=True, slots=True)
class _Read:
    """What the record is today, and the rules that fire on it, whether they refuse it or not."""

    reader: Reader
    found: Item | Ignored
    fired: frozenset[str] = frozenset()


def discard(connection: sa.Connection, letter: DeadLetter, *, by: str, note: str, now: datetime) -> bool:
    """A person says that it is nothing; False when it has ended already. What looks like an address is cut out.

    The raw document of one that could not be read is kept from then on as long as any other.
    """
    note = patches.without_addresses(note)
    if not dead_letters.end(connection, letter.id, State.DISCARDED, by=by, note=note, now=now):
        return False
    if letter.row.rule == dead_letters.WHOLE_DOCUMENT and records.again(connection, letter.row.payload["record"]):
        records.finish(connection, [letter.row.payload["record"]], now=now)
    patches.audit(connection, letter, "discard", by, {"note": note}, now)
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
        return Outcome(letter.id, ALREADY, f"it was {letter.state}")
    if no_order := _is_no_order(letter):
        return Outcome(letter.id, REFUSED, no_order)
    try:
        read = None if letter.row.rule == dead_letters.WHOLE_DOCUMENT else _read(letter, intake, as_is=as_is)
        if isinstance(read, Unfit):
            return Outcome(letter.id, REFUSED, str(read))
        with database.write(intake.engine) as connection:
            attempt = connection.begin_nested()
            if read is None:
                outcome = _requeue(connection, letter, by=by, now=intake.clock())
            else:
                outcome = _take(connection, letter, read, intake, by=by, as_is=as_is)
            if dry_run or outcome.result in {REFUSED, ALREADY}:
                attempt.rollback()
    except (UnknownChannel, UnusableMapping, UnusablePatch) as error:
        return Outcome(letter.id, REFUSED, str(error))
    except database.not_storable(intake.engine) as error:
        return Outcome(letter.id, REFUSED, f"{_NOT_STORABLE} ({type(error).__name__})")
    return outcome


def _is_no_order(letter: DeadLetter) -> str | None:
    """Why there is nothing to convert; None where there is."""
    if (inbox_id := letter.inbox_id) is not None:
        what = "it is a mail that came back" if letter.source == _RETURNED else "it is an event of an ESP"
        return (
            f"{what} ({letter.source}) and no order; its body stays in the inbox of webhooks and returned mail. Its reason "
            f"says what was wrong: once that is mended, `campaigns events replay --inbox {inbox_id}` reads it again and "
            "ends this letter"
        )
    if letter.source.startswith(dead_letters.MAILBOX):
        return (
            f"it is no order but a mail that the server of the mailbox did not give out ({letter.location}: folder and"
            " number); nothing of it is here, and it is not asked for again. Move it to another folder and back, which"
            " makes it a new one, and `campaigns returns fetch` reads it; then end this letter:"
            f' `campaigns intake discard {letter.id} --note "read anew"`'
        )
    if letter.account_id is None or "origin" not in letter.row.context:
        return "it was kept by an earlier version of this program: load its file again, then discard it"
    return None


def _requeue(connection: sa.Connection, letter: DeadLetter, *, by: str, now: datetime) -> Outcome:
    """A document that could not be cut goes back on the queue. If it still cannot be read, its letter opens again."""
    if not records.again(connection, letter.row.payload["record"]):
        return Outcome(letter.id, REFUSED, "the document is gone: ask the channel for it again, then discard this")
    if not dead_letters.end(connection, letter.id, State.FIXED, by=by, note=QUEUED, now=now):
        return Outcome(letter.id, ALREADY, "somebody else was quicker")
    patches.audit(connection, letter, "replay", by, {"result": QUEUED}, now)
    return Outcome(letter.id, QUEUED, "the whole document is read again by the next drain")


def _read(letter: DeadLetter, intake: Intake, *, as_is: bool) -> _Read | Unfit:
    """Convert the record as the drain would. Raises UnknownChannel, UnusableMapping, UnusablePatch."""
    now, reader = intake.clock(), reader_of(intake, str(letter.account_id), letter.source)
    element = Element(1, patches.patched(letter.row.payload, letter.patch), int(letter.row.context.get("rows", 1)))
    if letter.row.rule == convert.BROKEN_ROW and (not letter.patch or patches.is_damaged(element.payload)):
        # What broke it stood beside the cells, in the document: they alone may look sound and have lost letters.
        return Unfit(letter.row.rule, letter.row.reason)
    found = convert.judged(element, reader, reader.delivery(letter.row.context), now)
    if isinstance(found, Unfit):
        return found
    if isinstance(found, Ignored):
        return _Read(reader, found)
    item, fired = found
    if not as_is and (refused := [one for one in fired if one.refuse]):
        return Unfit(refused[0].rule, refused[0].sentence, refused[0].fields)
    if as_is and letter.row.rule == orders.CONFLICT_RULE and isinstance(item, Order):
        item = replace(item, observed_at=now)  # a person says that this state is the later one
    return _Read(reader, item, frozenset(one.rule for one in fired))


def _take(
    connection: sa.Connection, letter: DeadLetter, read: _Read, intake: Intake, *, by: str, as_is: bool
) -> Outcome:
    now, reader = intake.clock(), read.reader
    if isinstance(read.found, Ignored):
        outcome = Outcome(letter.id, IGNORED, read.found.reason)
    else:
        (verdict,) = apply.load_items(connection, [read.found], reader, pepper=intake.pepper, now=now)
        if verdict is Verdict.CONFLICT:
            return Outcome(letter.id, verdict, _TAKE_THIS)
        outcome = Outcome(letter.id, verdict, "a newer state of the order is held" if verdict is Verdict.STALE else "")
    state = _state(letter, read, outcome, as_is=as_is)
    if not dead_letters.end(connection, letter.id, state, by=by, note=outcome.result, now=now):
        return Outcome(letter.id, ALREADY, "somebody else was quicker")
    if isinstance(read.found, Order):
        mine = reader.connection
        source = orders.Source(mine.account, mine.channel, reader.numbering, intake.pepper)
        orders.close_superseded(connection, source, [read.found.external_id], now=now)
    patches.audit(connection, letter, "replay", by, {"result": outcome.result, "state": state}, now)
    return outcome


def _state(letter: DeadLetter, read: _Read, outcome: Outcome, *, as_is: bool) -> State:
    """Released only where the order passed unchanged and its rule still holds against it: a false alarm of the rule.

    Where the mapping was mended or the time has come, the rule no longer fires, and it was right when it did.
    """
    if outcome.result == Verdict.STALE:
        return State.SUPERSEDED
    overruled = as_is if letter.row.rule == orders.CONFLICT_RULE else letter.row.rule in read.fired
    return State.RELEASED if overruled and not letter.patch else State.FIXED


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
