"""How many marketing mails a person got or is to get, whichever of their customer numbers it went to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import tables
from domain.ledger import BatchState

Moment = datetime | sa.ColumnElement[datetime]
_WAITING = (BatchState.PLANNED, BatchState.INFLIGHT, BatchState.UNKNOWN)
_MAILED = (BatchState.INFLIGHT, BatchState.ACCEPTED, BatchState.UNKNOWN, BatchState.HELD)


def recent_mails(party_id: sa.ColumnElement[Any], run_ids: Sequence[str], since: Moment) -> sa.ScalarSelect[Any]:
    """How many marketing mails of these runs went to the person since then, or may have.

    Whichever of his customer numbers they went to: who registers is another party than the guest who was mailed before.
    """
    return mailed_at(party_id, run_ids, since).with_only_columns(sa.func.count()).scalar_subquery()


def mailed_at(party_id: sa.ColumnElement[Any], run_ids: Sequence[str], since: Moment) -> sa.Select[Any]:
    """When each of them went out; NULL of one that is on its way."""
    finished = of_batch(tables.batches.c.finished_at)
    late = finished.is_(None) | (finished >= since)
    return _mails(party_id, run_ids, _MAILED).with_only_columns(finished).where(late)


def waiting_mails(party_id: sa.ColumnElement[Any], run_ids: Sequence[str]) -> sa.ScalarSelect[Any]:
    """How many mails of these runs the person is still to get, or may not have got yet, under whichever number."""
    return _mails(party_id, run_ids, _WAITING).scalar_subquery()


def _mails(party_id: sa.ColumnElement[Any], run_ids: Sequence[str], states: Sequence[BatchState]) -> sa.Select[Any]:
    """Counts the person's messages in batches of these states, but those who were left out at the claim."""
    member, exception = tables.audience, tables.message_exceptions
    left_out = sa.exists().where(exception.c.run_id == member.c.run_id, exception.c.ordinal == member.c.ordinal)
    return (
        sa.select(sa.func.count())
        .select_from(member)
        .where(member.c.run_id.in_(run_ids), member.c.party_id.in_(_same_person(party_id)))
        .where(of_batch(tables.batches.c.state).in_(states), ~left_out)
    )


def of_batch(column: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """What stands there of a message's batch.

    It is the last one, split ones aside, that begins at or before it: found by one step in the index, where the range
    as such would visit half of the run's batches.
    """
    batch, member = tables.batches, tables.audience
    return (
        sa.select(column)
        .where(
            batch.c.run_id == member.c.run_id,
            batch.c.first_ordinal <= member.c.ordinal,
            batch.c.state != BatchState.SPLIT,
        )
        .order_by(batch.c.first_ordinal.desc())
        .limit(1)
        .correlate(member)
        .scalar_subquery()
    )


def _same_person(party_id: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """The parties who are one person with this one, and he (data.persons): few, and each found by index."""
    own, twin = tables.parties.alias("own"), tables.parties.alias("same_person")
    person = sa.func.coalesce(own.c.person_id, own.c.id)
    same = (twin.c.id == person) | (twin.c.person_id == person)
    return sa.select(twin.c.id).where(own.c.id == party_id, same).correlate_except(own, twin)
