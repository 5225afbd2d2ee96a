"""What became of our mails to each person: how many went out lately, when one was last opened or clicked.

Only of live runs. A mail counts where its batch was accepted and the message is no exception, at the time when the batch
was; an opening only where a person opened, and of each mail the first one, which is all that is kept of a message.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from data import arrow, tables
from data.features.grouped import DAY, INSTANT, Integers, instants, microseconds
from domain.features import MAIL_WINDOWS
from domain.ledger import BatchState

_NEVER = np.iinfo(np.int64).min  # which is how numpy says NaT
_member, _message, _run = tables.audience, tables.message_delivery, tables.campaign_runs
_batch, _exception = tables.batches, tables.message_exceptions

Chunks = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Mailed:
    """The accepted batches of one run, by first ordinal, and the messages that were left out of them."""

    first: Integers
    last: Integers
    finished: Integers
    left_out: Integers

    def at(self, ordinals: Integers) -> Integers:
        """When each message went out, _NEVER where it did not."""
        place = np.searchsorted(self.first, ordinals, side="right") - 1
        sent = (place >= 0) & (ordinals <= self.last[place]) & ~np.isin(ordinals, self.left_out)
        return np.where(sent, self.finished[place], _NEVER)


@dataclass(frozen=True, slots=True)
class _Happened:
    """Something happened to these people at these times."""

    people: Integers
    at: Integers


def read(
    engine: sa.Engine,
    account_id: str,
    chunks: Chunks | None,
    *,
    as_of: datetime,
    person_of: Callable[[Integers], Integers],
) -> pd.DataFrame:
    """The engagement of data.features.facts. `chunks`: the parties that are read, by index; None: all, run by run."""
    instant = microseconds(as_of)
    live = _run.c.live & (_run.c.account_id == account_id)
    found = arrow.read_table(engine, sa.select(_run.c.id).where(live).order_by(_run.c.id))
    runs = [str(run) for run in found["id"].to_pylist()]
    sent, opened, clicked = [], [], []
    mailed = _mailed(engine, live, as_of)
    for run, frame in _each_run(engine, _members(), [run for run in runs if run in mailed], chunks):
        if run in mailed:
            sent.append(_until(frame["party_id"], mailed[run].at(frame["ordinal"].to_numpy("int64")), instant))
    for run, frame in _each_run(engine, _heard(), runs, chunks):
        if run in runs:
            opened.append(_until(frame["party_id"], instants(frame["human_opened_at"]), instant))
            clicked.append(_until(frame["party_id"], instants(frame["clicked_at"]), instant))
    return _summed(_together(sent, person_of), _together(opened, person_of), _together(clicked, person_of), instant)


def _mailed(engine: sa.Engine, live: sa.ColumnElement[bool], as_of: datetime) -> dict[str, _Mailed]:
    """The live runs of which a mail went out within the longest window."""
    window = (_batch.c.finished_at > as_of - timedelta(days=max(MAIL_WINDOWS))) & (_batch.c.finished_at <= as_of)
    accepted = (
        sa.select(_batch.c.run_id, _batch.c.first_ordinal, _batch.c.last_ordinal, _batch.c.finished_at)
        .join_from(_run, _batch, _batch.c.run_id == _run.c.id)
        .where(live, _batch.c.state == BatchState.ACCEPTED, window)
        .order_by(_batch.c.run_id, _batch.c.first_ordinal)
    )
    exceptions = (
        sa.select(_exception.c.run_id, _exception.c.ordinal)
        .join_from(_run, _exception, _exception.c.run_id == _run.c.id)
        .where(live, sa.exists().where(_batch.c.run_id == _run.c.id, _batch.c.state == BatchState.ACCEPTED, window))
    )
    left_out = {run: frame["ordinal"].to_numpy("int64") for run, frame in _by_run(engine, exceptions)}
    return {
        run: _Mailed(
            first=frame["first_ordinal"].to_numpy("int64"),
            last=frame["last_ordinal"].to_numpy("int64"),
            finished=instants(frame["finished_at"]),
            left_out=left_out.get(run, np.empty(0, np.int64)),
        )
        for run, frame in _by_run(engine, accepted)
    }


def _members() -> sa.Select[Any]:
    return sa.select(_member.c.party_id, _member.c.ordinal).where(_member.c.ordinal.is_not(None))


def _heard() -> sa.Select[Any]:
    message = (_message.c.run_id == _member.c.run_id) & (_message.c.ordinal == _member.c.ordinal)
    return (
        sa.select(_member.c.party_id, _message.c.human_opened_at, _message.c.clicked_at)
        .join_from(_member, _message, message)
        .where(_message.c.human_opened_at.is_not(None) | _message.c.clicked_at.is_not(None))
    )


def _each_run(
    engine: sa.Engine, select: sa.Select[Any], runs: Sequence[str], chunks: Chunks | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The select's rows, by run; for chunks of all runs, because no index has both parties and runs in few steps."""
    if chunks is None:
        for run in runs:
            yield run, arrow.read_table(engine, select.where(_member.c.run_id == run)).to_pandas()
    else:
        for chunk in chunks:
            yield from _by_run(engine, select.add_columns(_member.c.run_id).where(_member.c.party_id.in_(chunk)))


def _by_run(engine: sa.Engine, select: sa.Select[Any]) -> Iterator[tuple[str, pd.DataFrame]]:
    for run, frame in arrow.read_table(engine, select).to_pandas().groupby("run_id"):
        yield str(run), frame


def _until(party_ids: "pd.Series[Any]", at: Integers, instant: int) -> _Happened:
    """What did happen, and was known to have happened at the instant."""
    happened = (at != _NEVER) & (at <= instant)
    return _Happened(party_ids.to_numpy("int64")[happened], at[happened])


def _together(some: Sequence[_Happened], person_of: Callable[[Integers], Integers]) -> _Happened:
    nothing = np.empty(0, np.int64)
    people = np.concatenate([nothing, *(one.people for one in some)])
    return _Happened(person_of(people), np.concatenate([nothing, *(one.at for one in some)]))


def _summed(sent: _Happened, opened: _Happened, clicked: _Happened, instant: int) -> pd.DataFrame:
    people = np.unique(np.concatenate([sent.people, opened.people, clicked.people]))
    columns: dict[str, Any] = {"party_id": people}
    for name, happened in (("last_opened_at", opened), ("last_clicked_at", clicked)):
        latest = np.full(len(people), _NEVER)
        np.maximum.at(latest, np.searchsorted(people, happened.people), happened.at)
        columns[name] = pd.Series(latest.view("datetime64[us]")).dt.tz_localize("UTC").astype(INSTANT)
    place = np.searchsorted(people, sent.people)
    for days in MAIL_WINDOWS:
        columns[f"mails_{days}d"] = np.bincount(place[sent.at > instant - days * DAY], minlength=len(people))
    return pd.DataFrame(columns)
