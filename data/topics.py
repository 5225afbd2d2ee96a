"""Topics of an account's marketing mail, and who wants no mail about which: a mailbox refuses, as with suppressions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain.preferences import Topic


class UnknownTopic(LookupError):
    """The account has no topic of this name; the message names those it has."""


def add(connection: sa.Connection, account_id: str, topic: Topic, *, now: datetime) -> None:
    """Add the topic, or change titles and position of the one that is there."""
    statement = database.insert(connection, tables.topics).values(
        account_id=account_id, name=topic.name, titles=topic.titles, position=topic.position, created_at=now
    )
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "name"], set_={"titles": new.titles, "position": new.position}
        )
    )


def remove(connection: sa.Connection, account_id: str, name: str) -> None:
    """Offer the topic no more. Refusals of it are kept and go on to hold. Raises UnknownTopic."""
    check(connection, account_id, name)
    topic = tables.topics
    connection.execute(topic.delete().where(topic.c.account_id == account_id, topic.c.name == name))


def listing(connection: sa.Connection, account_id: str) -> list[Topic]:
    """In the order of the page."""
    topic = tables.topics.c
    query = sa.select(topic.name, topic.titles, topic.position).where(topic.account_id == account_id)
    return [Topic(*row) for row in connection.execute(query.order_by(topic.position, topic.name))]


def check(connection: sa.Connection, account_id: str, name: str) -> None:
    """Raises UnknownTopic."""
    known = [topic.name for topic in listing(connection, account_id)]
    if name not in known:
        told = ", ".join(known) or "none yet; `campaigns topics add` adds one"
        raise UnknownTopic(f"account {account_id} has no topic {name!r}; its topics: {told}")


def refusals(connection: sa.Connection, account_id: str) -> dict[str, int]:
    """How many mailboxes refuse each topic now, also one that is offered no more."""
    refusal = tables.topic_refusals.c
    query = sa.select(refusal.topic, sa.func.count()).where(
        refusal.account_id == account_id, refusal.lifted_at.is_(None)
    )
    return {row[0]: row[1] for row in connection.execute(query.group_by(refusal.topic))}


def refused(connection: sa.Connection, account_id: str, address_hash: str | None) -> frozenset[str]:
    """The topics that this mailbox refuses."""
    refusal = tables.topic_refusals.c
    query = sa.select(refusal.topic).where(
        refusal.account_id == account_id, refusal.address_hash == address_hash, refusal.lifted_at.is_(None)
    )
    return frozenset(connection.scalars(query))


def history(connection: sa.Connection, account_id: str, address_hash: str) -> Sequence[sa.Row[Any]]:
    """All refusals of one mailbox, those too that it took back: topic, source, evidence, created_at, lifted_at."""
    refusal = tables.topic_refusals.c
    query = sa.select(refusal.topic, refusal.source, refusal.evidence, refusal.created_at, refusal.lifted_at)
    whose = (refusal.account_id == account_id) & (refusal.address_hash == address_hash)
    return connection.execute(query.where(whose).order_by(refusal.created_at, refusal.topic)).all()


def refuse(
    connection: sa.Connection,
    account_id: str,
    address_hash: str,
    names: Collection[str],
    *,
    source: str,
    evidence: str,
    now: datetime,
) -> None:
    """Refuse these from now on. One that stands already keeps its date."""
    if not names:
        return
    table = tables.topic_refusals
    statement = database.insert(connection, table)
    new = statement.excluded
    kept = statement.on_conflict_do_update(
        index_elements=["account_id", "address_hash", "topic"],
        set_={
            "created_at": new.created_at,
            "lifted_at": sa.null(),
            "source": new.source,
            "evidence": new.evidence,
        },
        where=table.c.lifted_at.is_not(None),
    )
    one = {"account_id": account_id, "address_hash": address_hash, "source": source, "evidence": evidence}
    connection.execute(kept, [{**one, "topic": name, "created_at": now} for name in sorted(names)])


def accept(
    connection: sa.Connection, account_id: str, address_hash: str, names: Collection[str], *, now: datetime
) -> None:
    """Refuse these no more."""
    table = tables.topic_refusals
    whose = (table.c.account_id == account_id) & (table.c.address_hash == address_hash)
    connection.execute(
        table.update().where(whose, table.c.topic.in_(names), table.c.lifted_at.is_(None)).values(lifted_at=now)
    )


def is_refused(account_id: str, address_hash: sa.ColumnElement[Any], topic: str) -> sa.ColumnElement[bool]:
    """Whether this mailbox refuses the topic: one step in the index."""
    refusal = tables.topic_refusals.c
    return sa.exists().where(
        refusal.account_id == account_id,
        refusal.address_hash == address_hash,
        refusal.topic == topic,
        refusal.lifted_at.is_(None),
    )
