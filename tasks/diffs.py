"""What is different between two frozen audiences, and why. Nothing here needs Prefect."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import database, diffs, past_customers, runs
from data.diffs import Changed
from domain.campaigns import Run, RunPlan
from domain.differences import Cause, Diff, Move, Side
from domain.features import BY_NAME, Origin
from domain.rules import RuleError
from segments import selection
from segments.definition import DefinitionError
from segments.expression import ExpressionError
from segments.parameters import ArgumentError
from segments.registry import UnknownSegment
from segments.selection import Selection
from tasks import diff_sentences, diff_views
from tasks.diff_sentences import Records
from tasks.diff_views import Chosen, Views

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
# A selection that was good once may not be so any more: a file was removed, a parameter has another name.
GONE = (UnknownSegment, DefinitionError, ExpressionError, ArgumentError, RuleError)


class CannotCompare(ValueError):
    """These two runs have no difference that could be told; the message says why."""


def diff(engine: sa.Engine, before: str, after: str, *, limit: int = 20) -> Diff:
    """Who entered and left between two runs, counted by cause, and the first `limit` of them with a sentence each.

    Raises UnknownRun, CannotCompare.
    """
    with database.read(engine) as connection:
        old, new = (runs.get(connection, one) for one in (before, after))
        _check(old, new)
        changed = diffs.changed(connection, before, after)
        one, other = _chosen(connection, old, changed.before), _chosen(connection, new, changed.after)
    notes = _notes(one, other, changed)
    who = np.union1d(changed.entered, changed.left)
    if not len(who):
        return Diff(one.side, other.side, 0, 0, {}, (), notes)
    entered = np.isin(who, changed.entered)
    asks_permission = other.selection is None or any(
        BY_NAME[name].origin is Origin.LIVE for name in other.selection.needs
    )
    records = diff_sentences.read(engine, old.plan.account_id, who, one.side, other.side, permission=asks_permission)
    views = diff_views.views(engine, old.plan.account_id, who, one, other, arrived=records.arrived)
    causes = [_cause(place, entered, views, records, one, other) for place in range(len(who))]
    counts = Counter(zip(causes, entered.tolist(), strict=True))
    told = {cause: (counts[cause, True], counts[cause, False]) for cause in Cause if cause in causes}
    shown = sorted(range(len(who)), key=lambda place: (list(Cause).index(causes[place]), who[place]))[:limit]
    moves = [
        (int(who[place]), causes[place], bool(entered[place]), views.flip(other.selection, place, bool(entered[place])))
        for place in shown
    ]
    with database.read(engine) as connection:
        told_moves = tuple(_moves(connection, records, moves))
    return Diff(one.side, other.side, len(changed.entered), len(changed.left), told, told_moves, notes)


def _moves(connection: sa.Connection, records: Records, moves: Sequence[tuple[int, Cause, bool, str]]) -> list[Move]:
    names = records.names(connection, [one[0] for one in moves])
    return [
        Move(names[person], entered, cause, records.sentence(person, cause, entered=entered, flip=flip))
        for person, cause, entered, flip in moves
    ]


def _check(old: Run, new: Run) -> None:
    for run in (old, new):
        if run.frozen_at is None or run.feature_watermark is None or run.definition_hash is None:
            raise CannotCompare(f"run {run.id} has no frozen audience: it is {run.status}")
    if old.plan.account_id != new.plan.account_id:
        raise CannotCompare("the two runs belong to different accounts, which have no customer in common")
    assert old.feature_watermark is not None, "checked above"
    assert new.feature_watermark is not None, "checked above"
    if new.feature_watermark < old.feature_watermark:
        raise CannotCompare(
            f"the members of {new.id} were chosen as of an earlier time than those of {old.id}: name the older run first"
        )


def _chosen(connection: sa.Connection, run: Run, members: int) -> Chosen:
    assert run.feature_watermark is not None, "a frozen run has one"
    assert run.frozen_at is not None, "a frozen run has one"
    side = Side(run.id, run.plan.segment, run.feature_watermark, run.definition_hash or "", members)
    scale = past_customers.scale_at(connection, run.plan.account_id, run.feature_watermark, run.frozen_at)
    try:
        return Chosen(run, side, selected(connection, run.plan), scale)
    except GONE:
        return Chosen(run, side, None, scale)


def selected(connection: sa.Connection, plan: RunPlan) -> Selection:
    """The selection of a run; of one that took the members of another, that one's. Raises what selection.of raises."""
    while plan.refinement.members_of is not None:
        plan = runs.get(connection, plan.refinement.members_of).plan
    return selection.of(plan.segment, plan.refinement)


def _notes(one: Chosen, other: Chosen, changed: Changed) -> tuple[str, ...]:
    notes = []
    if one.run.members_hash == other.run.members_hash is not None:
        notes.append("Nothing changed: both audiences have the same members, to the last one.")
    elif not len(changed.entered) and not len(changed.left):
        notes.append("Nothing changed: both audiences have the same members.")
    if one.side.definition_hash != other.side.definition_hash:
        notes.append("The definition is another one: the two runs did not ask for the same people.")
    if other.run.plan.refinement.members_of is not None:
        notes.append(f"Run {other.run.id} took the members of run {other.run.plan.refinement.members_of}.")
    if not (len(changed.entered) or len(changed.left)):
        return tuple(notes)
    if other.selection is None:
        notes.append("The definition cannot be read any more, so only what is on record of orders and mails is told.")
    elif not other.is_known:
        notes.append("The definition has changed since the second run too: conditions are told as it is today.")
    if one.scale is None or other.scale is None:
        notes.append("The features of then are not known any more, so only what is on record is told.")
    return tuple(notes)


def _cause(place: int, entered: Flags, views: Views, records: Records, one: Chosen, other: Chosen) -> Cause:
    """The strongest one. What is known today may not give what was frozen: then something of then was changed since."""
    person, now = records.who[place], bool(entered[place])
    redefined = one.side.definition_hash != other.side.definition_hash
    if views.then is None:
        by_record = records.cause(person, was_told=True)
        return Cause.DEFINITION if redefined and by_record is Cause.UNKNOWN else by_record
    was_told, is_told = views.before[place] != now, views.after[place] == now
    if redefined:
        by_old = views.by_old_definition
        if (not was_told) if by_old is None else by_old[place] != now:
            return Cause.DEFINITION
    if not was_told or not is_told:
        return records.cause(person, was_told=bool(was_told))
    has_order, has_mail = records.has_order(person), person in records.mails
    either = (has_order or has_mail) and views.without_either[place] != now
    found = (
        (has_order and views.without_orders[place] != now, Cause.NEW_ORDER),
        (has_mail and views.without_mails[place] != now, Cause.MAIL),
        (either and has_order, Cause.NEW_ORDER),
        (either, Cause.MAIL),
        (views.without_orders[place] != now, Cause.OTHERS),
        (views.with_old_scale[place] != now, Cause.OTHERS),
    )
    return next((cause for applies, cause in found if applies), Cause.TIME)
