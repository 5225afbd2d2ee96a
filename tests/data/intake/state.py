"""What the tests feed and what they look at: any channel's documents in, and every table out by natural keys."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, eligibility, tables
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connections
from data.features import refresh
from data.intake.records import Incoming
from tests.conftest import NOW
from tests.data import frozen
from tests.data.intake import feed

_parties, _orders = tables.parties, tables.orders
_first = _parties.alias("first")
_WHO = (_parties.c.numbering, _parties.c.external_id)
_ORDER = (_orders.c.account_id, _orders.c.channel, _orders.c.external_id.label("order"))
_ARRIVAL = {"id", "party_id", "order_id", "person_id", "created_at", "recorded_at", "first_recorded_at"}


def connections(*channels: str, **about: Any) -> Connections:
    """A connection for each of these channels of the shop; `about` them all."""
    listed = [{"account": "shop", "channel": channel, **about} for channel in channels]
    return Connections.model_validate({"connections": listed})


def take(
    engine: sa.Engine,
    channel: str,
    *bodies: Any,
    topic: str = "",
    observed_at: datetime | None = None,
    received_at: datetime = NOW,
    origin: Origin = Origin.PUSH,
    account_id: str = "shop",
    **drained: Any,
) -> None:
    """Keep each body (JSON, or bytes as they are) as one record, and drain."""
    about: dict[str, Any] = {"topic": topic, "observed_at": observed_at, "received_at": received_at, "origin": origin}
    keep(engine, channel, *bodies, account_id=account_id, **about)
    feed.drained(engine, **drained)


def keep(
    engine: sa.Engine,
    channel: str,
    *bodies: Any,
    topic: str = "",
    observed_at: datetime | None = None,
    received_at: datetime = NOW,
    origin: Origin = Origin.PUSH,
    account_id: str = "shop",
) -> None:
    """Keep each body as one record."""
    documents = [
        Incoming(
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            origin,
            f"push {topic}".strip(),
            received_at,
            topic,
            observed_at,
            Urgency.NOW,
        )
        for body in bodies
    ]
    feed.keep(engine, *documents, channel=channel, account_id=account_id)


def _plain(table: sa.Table, *left_out: str) -> list[sa.ColumnElement[Any]]:
    return [column for column in table.c if column.name not in _ARRIVAL.union(left_out)]


def _queries() -> dict[str, sa.Select[Any]]:
    with_order = _orders.join(_parties, _parties.c.id == _orders.c.party_id)
    consents, features, letters = tables.consents, tables.customer_features, tables.dead_letters
    return {
        "parties": sa.select(
            *_plain(_parties),
            _first.c.numbering.label("person_numbering"),
            _first.c.external_id.label("person_number"),
        ).select_from(_parties.outerjoin(_first, _first.c.id == _parties.c.person_id)),
        "orders": sa.select(*_plain(_orders), _WHO[0], _WHO[1].label("party")).select_from(with_order),
        **{
            table.name: sa.select(*_ORDER, *_plain(table)).join_from(table, _orders, _orders.c.id == table.c.order_id)
            for table in (tables.order_lines, tables.order_events)
        },
        "order_deletions": sa.select(tables.order_deletions),
        "consents": sa.select(*_WHO, *_plain(consents)).join_from(
            consents, _parties, _parties.c.id == consents.c.party_id
        ),
        "customer_features": sa.select(*_WHO, *_plain(features)).join_from(
            features, _parties, _parties.c.id == features.c.party_id
        ),
        "open letters": sa.select(letters.c.source, letters.c.external_id, letters.c.rule, letters.c.as_of).where(
            letters.c.state == "open"
        ),
    }


QUERIES = _queries()


def rows(engine: sa.Engine, name: str) -> list[dict[str, Any]]:
    """All rows of a table, with natural keys in the place of row ids, and without times of arrival."""
    with database.read(engine) as connection:
        found = [dict(row) for row in connection.execute(QUERIES[name]).mappings()]
    return sorted(found, key=repr)


def only(engine: sa.Engine, name: str) -> dict[str, Any]:
    """The one row that there is."""
    (row,) = rows(engine, name)
    return row


def whole(engine: sa.Engine, *, as_of: datetime = NOW) -> dict[str, list[dict[str, Any]]]:
    """Every table, with features computed as of that time."""
    refresh.refresh(engine, account_id="shop", as_of=as_of, now=as_of)
    return {name: rows(engine, name) for name in QUERIES}


def left_out(engine: sa.Engine, *, now: datetime = NOW) -> dict[str, str | None]:
    """Why each party (numbering/number, guests by where they came from) may not be mailed; None where it may."""
    among = sa.select(_parties.c.id.label("party_id"), _WHO[0], _WHO[1]).subquery("among")
    with database.read(engine) as connection:
        select = eligibility.select(connection, "shop", run_id="r", among=among, policy=frozen.POLICY, now=now)
        return {f"{row.numbering}/{row.external_id}": row.reason for row in connection.execute(select)}


def pick(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """These values of a row."""
    return tuple(row[name] for name in names)


def no_personal_data(sentences: Iterable[str], *personal: str) -> None:
    """None of these sentences repeats any of it, nor anything that looks like an address."""
    for sentence in sentences:
        assert "@" not in sentence
        for one in personal:
            assert one.casefold() not in sentence.casefold()
