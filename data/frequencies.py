"""How often customers want marketing mail, where they chose less than the account's cap allows. By mailbox."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain.preferences import Frequency

_chosen = tables.mail_frequencies.c
# Built once, for each claim asks it: one step in the index for each choice that there is.
_IN_USE = sa.select(
    *(
        sa.exists()
        .where(_chosen.account_id == sa.bindparam("account_id"), _chosen.frequency == one.value)
        .label(one.value)
        for one in Frequency
    )
)


def in_use(connection: sa.Connection, account_id: str) -> list[Frequency]:
    """What any customer of the account chose."""
    row = connection.execute(_IN_USE, {"account_id": account_id}).one()
    return [one for one, used in zip(Frequency, row, strict=True) if used]


def of(account_id: str, address_hash: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """What this mailbox chose, or NULL: one step in the index."""
    whose = (_chosen.account_id == account_id) & (_chosen.address_hash == address_hash)
    return sa.select(_chosen.frequency).where(whose).scalar_subquery()


def chosen(connection: sa.Connection, account_id: str, address_hash: str | None) -> Frequency | None:
    """What this mailbox chose; None: as much as the account's cap allows."""
    found = connection.scalar(sa.select(of(account_id, sa.literal(address_hash, sa.Text))))
    return None if found is None else Frequency(found)


def record(connection: sa.Connection, account_id: str, address_hash: str) -> sa.Row[Any] | None:
    """What this mailbox chose, with source, evidence and chosen_at; None: as much as the account's cap allows."""
    whose = (_chosen.account_id == account_id) & (_chosen.address_hash == address_hash)
    query = sa.select(_chosen.frequency, _chosen.source, _chosen.evidence, _chosen.chosen_at)
    return connection.execute(query.where(whose)).one_or_none()


def choose(
    connection: sa.Connection,
    account_id: str,
    address_hash: str,
    frequency: Frequency | None,
    *,
    source: str,
    evidence: str,
    now: datetime,
) -> None:
    """Keep the choice; None goes back to what the account's cap allows. It counts from the next claim on."""
    table = tables.mail_frequencies
    if frequency is None:
        whose = (table.c.account_id == account_id) & (table.c.address_hash == address_hash)
        connection.execute(table.delete().where(whose))
        return
    statement = database.insert(connection, table).values(
        account_id=account_id,
        address_hash=address_hash,
        frequency=frequency.value,
        source=source,
        evidence=evidence,
        chosen_at=now,
    )
    new = statement.excluded
    changed = {name: new[name] for name in ("frequency", "source", "evidence", "chosen_at")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "address_hash"],
            set_=changed,
            where=table.c.frequency != new.frequency,
        )
    )
