"""What became of a run, by the ESP's own record: the ledger is held against it message by message."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields

import sqlalchemy as sa

from data import audit, database, tables
from domain import campaigns, ledger
from domain.delivery import Seen
from domain.ledger import BatchState


@dataclass(frozen=True, slots=True)
class Verdict:
    """Messages of one run, or of several added up.

    lost: the ledger says accepted, the ESP never took it. duplicates: the ESP took it again. wrong: any other
    disagreement, at least 1 where the audit does not balance. held: never sent again, as nothing proves what happened;
    it counts as wrong besides where the ESP took it, as all its events have come.
    """

    planned: int = 0
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0
    held: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def sound(self) -> bool:
        return not (self.lost or self.duplicates or self.wrong)


def judge(engine: sa.Engine, run_id: str, record: Mapping[str, int]) -> Verdict:
    """Judge a run that is over and whose events were all read. `record`: how often the ESP took each message id."""
    with database.read(engine) as connection:
        states = _states(connection, run_id)
        delivered = _delivered(connection, run_id)
        balance = audit.audit(connection, run_id, record=record)
    lost = wrong = held = 0
    for message_id, its_states in states.items():
        took = record.get(message_id, 0)
        state = its_states[0] if len(its_states) == 1 else "in no batch, or in several"
        held += state == BatchState.HELD
        if state == BatchState.ACCEPTED and not took:
            lost += 1
        elif (state == BatchState.ACCEPTED) != bool(took) or state in ledger.OPEN or len(its_states) != 1:
            wrong += 1
        elif took and message_id not in delivered:
            wrong += 1  # the gateway said 2xx to its event, and it is gone
    wrong += len(record.keys() - states.keys())
    duplicates = sum(count - 1 for count in record.values())
    if balance.complaints and not (lost or wrong or duplicates):
        wrong = 1
    return Verdict(len(states), lost, duplicates, wrong, held)


def _states(connection: sa.Connection, run_id: str) -> dict[str, list[str]]:
    """By message id, the state of each batch that it is in; its own exception goes before."""
    member, batch, exception = tables.audience.c, tables.batches.c, tables.message_exceptions.c
    planned = sa.select(member.ordinal).where(member.run_id == run_id, member.ordinal.is_not(None))
    own = dict(
        connection.execute(sa.select(exception.ordinal, exception.state).where(exception.run_id == run_id)).all()
    )
    found: dict[int, list[str]] = defaultdict(list)
    counted = sa.select(batch.first_ordinal, batch.last_ordinal, batch.state).where(
        batch.run_id == run_id, batch.state != BatchState.SPLIT
    )
    for first, last, state in connection.execute(counted):
        for ordinal in range(first, last + 1):
            found[ordinal].append(own.get(ordinal, state))
    return {campaigns.message_id(run_id, one): found[one] for one in connection.scalars(planned)}


def _delivered(connection: sa.Connection, run_id: str) -> set[str]:
    """Messages of which we were told that they arrived: the sandbox delivers all that it takes."""
    message = tables.message_delivery.c
    query = sa.select(message.ordinal, message.seen).where(message.run_id == run_id)
    return {
        campaigns.message_id(run_id, ordinal)
        for ordinal, seen in connection.execute(query)
        if Seen(seen) & Seen.DELIVERED
    }
