"""Whose features a refresh must reckon anew: whoever was marked, and whoever an order, a credit or a mail left a window of.

Orders that leave a 30, 90 or 365-day window change customers who bought nothing new.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import arrow, tables
from domain.features import MAIL_WINDOWS, WINDOWS

# What was finished shortly before the last refresh may have been committed after it had looked.
_OVERLAP = timedelta(hours=1)


def by_time(engine: sa.Engine, *, account_id: str, since: datetime, until: datetime) -> npt.NDArray[np.int64]:
    """Persons whose figures are others at `until` than at `since`, though nothing of theirs was marked. Sorted.

    `since`: the instant of the last refresh. Those may be among them whose figures are the same after all.
    """
    found = sa.union_all(*_queries(account_id, since, until)).subquery("found")
    party = tables.parties.c
    person = sa.func.coalesce(party.person_id, party.id).label("person_id")
    select = sa.select(person).join_from(found, tables.parties, party.id == found.c.party_id)
    ids: npt.NDArray[np.int64] = arrow.read_table(engine, select)["person_id"].to_numpy()
    return np.unique(ids)


def _queries(account_id: str, since: datetime, until: datetime) -> Iterator[sa.Select[Any]]:
    """Selects of one column, party_id."""
    order = tables.orders.c
    for days in (0, *WINDOWS):  # 0: placed in the future of the last refresh, by a shop's clock that is ahead
        window = timedelta(days=days)
        yield sa.select(order.party_id).where(
            order.account_id == account_id, order.placed_at > since - window, order.placed_at <= until - window
        )
    batch, proof = tables.batches.c, tables.batch_proofs
    for days in MAIL_WINDOWS:
        window = timedelta(days=days)
        yield _mailed(account_id, (batch.finished_at > since - window) & (batch.finished_at <= until - window))
    proved = sa.exists().where(proof.c.batch_id == batch.id, proof.c.created_at > since - _OVERLAP)
    yield _mailed(account_id, (batch.finished_at > since - _OVERLAP) | proved)
    yield _engaged(account_id, since)


def _mailed(account_id: str, which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The people of these batches."""
    batch, member, run = tables.batches, tables.audience, tables.campaign_runs
    return (
        sa.select(member.c.party_id)
        .select_from(batch)
        .join(run, run.c.id == batch.c.run_id)
        .join(
            member,
            (member.c.run_id == batch.c.run_id) & member.c.ordinal.between(batch.c.first_ordinal, batch.c.last_ordinal),
        )
        .where(run.c.account_id == account_id, which)
    )


def _engaged(account_id: str, since: datetime) -> sa.Select[Any]:
    """Those of whose mail something was heard since."""
    event, inbox, member = tables.delivery_events, tables.webhook_inbox, tables.audience
    return (
        sa.select(member.c.party_id)
        .select_from(inbox)
        .join(event, event.c.inbox_id == inbox.c.id)
        .join(member, (member.c.run_id == event.c.run_id) & (member.c.ordinal == event.c.ordinal))
        .join(tables.campaign_runs, tables.campaign_runs.c.id == member.c.run_id)
        .where(tables.campaign_runs.c.account_id == account_id, inbox.c.processed_at > since - _OVERLAP)
    )
