"""The mailbox group behind every mail domain: what the offline table or the DNS said, remembered, and told customers.

A domain is written here as it stands in addresses, in lower case. Its group belongs to no account: DNS is the same for
all.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from data import database, tables
from domain import mailbox_groups

# Providers change hands slowly. A domain that receives no mail may be one that was just registered.
KEPT = timedelta(days=30)
KEPT_NOWHERE = timedelta(days=7)
# So many customers are told in a transaction: on SQLite nobody else writes meanwhile.
_AT_ONCE = 20_000
_PARAMETERS = 1000


class Source(StrEnum):
    """By whose word a domain is of its group. `none`: it receives no mail at all."""

    TABLE = "table"
    MX = "mx"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Domains of customers of whom nothing, or nothing new enough, is remembered.

    `by_table`: domain → group, to be remembered as it is. `to_look_up`: only their MX tells, most customers first.
    """

    by_table: Mapping[str, str]
    to_look_up: tuple[str, ...]


def of_column(email: sa.ColumnElement[str | None], dialect: str) -> sa.ColumnElement[str | None]:
    """domain.addresses.domain_of in SQL, for addresses that can be mailed: those have one @."""
    trimmed = sa.func.trim(email)
    if dialect == "postgresql":
        return sa.func.lower(sa.func.split_part(trimmed, "@", 2))
    return sa.func.lower(sa.func.substr(trimmed, sa.func.instr(trimmed, "@") + 1))


def unknown(connection: sa.Connection, *, now: datetime, look_ups: int) -> Unsettled:
    """What is to be found out, over all accounts; at most `look_ups` domains for the DNS."""
    party, known = tables.parties.c, tables.mail_domains.c
    domain = of_column(party.email, connection.dialect.name)
    counted = (
        sa.select(domain.label("domain"), sa.func.count().label("people"))
        .where(party.address_hash.is_not(None))
        .group_by(domain)
        .subquery()
    )
    query = (
        sa.select(counted.c.domain, known.mailbox_group, known.source, known.looked_up_at)
        .outerjoin_from(counted, tables.mail_domains, known.domain == counted.c.domain)
        .order_by(counted.c.people.desc(), counted.c.domain)
    )
    by_table: dict[str, str] = {}
    to_look_up: list[str] = []
    for row in connection.execute(query):
        group = mailbox_groups.of_domain(row.domain)
        if group is not None:
            if (row.mailbox_group, row.source) != (group, Source.TABLE):
                by_table[row.domain] = group
        elif len(to_look_up) < look_ups and not _fresh(row.source, row.looked_up_at, now):
            to_look_up.append(row.domain)
    return Unsettled(by_table, tuple(to_look_up))


def _fresh(source: str | None, looked_up_at: datetime | None, now: datetime) -> bool:
    """Is what is remembered still good? What an older offline table said is not, once the table says nothing."""
    if looked_up_at is None or source not in {Source.MX, Source.NONE}:
        return False
    return now - looked_up_at < (KEPT_NOWHERE if source == Source.NONE else KEPT)


def remember(connection: sa.Connection, groups: Mapping[str, str], source: Source, *, now: datetime) -> None:
    """Keep domain → group, over whatever was kept before. In one order, so that two writers never deadlock."""
    rows = [
        {"domain": domain, "mailbox_group": groups[domain], "source": source, "looked_up_at": now}
        for domain in sorted(groups)
    ]
    if not rows:
        return
    insert = database.insert(connection, tables.mail_domains)
    news = {name: insert.excluded[name] for name in ("mailbox_group", "source", "looked_up_at")}
    connection.execute(insert.on_conflict_do_update(index_elements=["domain"], set_=news), rows)


def groups_of(connection: sa.Connection, domains: Collection[str]) -> dict[str, str]:
    """The group of each of these domains, of which anything is known: the offline table's word first."""
    found = {domain: group for domain in domains if (group := mailbox_groups.of_domain(domain)) is not None}
    rest = [domain for domain in domains if domain not in found]
    known = tables.mail_domains.c
    query = sa.select(known.domain, known.mailbox_group)
    for first in range(0, len(rest), _PARAMETERS):
        rows = connection.execute(query.where(known.domain.in_(rest[first : first + _PARAMETERS])))
        found |= dict(rows.tuples().all())
    return found


def apply(engine: sa.Engine, account_id: str) -> int:
    """Write the remembered group to every customer of an account who has another; how many those were.

    Part by part, each a transaction, and only rows that change: a night on which nothing changed writes nothing.
    """
    return sum(_apply(engine, account_id, *part) for part in _parts(engine, account_id))


def _parts(engine: sa.Engine, account_id: str) -> Iterator[tuple[int, int]]:
    """Ranges of party ids, ends included."""
    party = tables.parties.c
    with database.read(engine) as connection:
        query = sa.select(sa.func.min(party.id), sa.func.max(party.id)).where(party.account_id == account_id)
        first, last = connection.execute(query).one()
    if first is None:
        return
    yield from ((begin, begin + _AT_ONCE - 1) for begin in range(first, last + 1, _AT_ONCE))


def _apply(engine: sa.Engine, account_id: str, first: int, last: int) -> int:
    party, known = tables.parties, tables.mail_domains.c
    with database.write(engine) as connection:
        changed = (
            party.update()
            .where(
                party.c.account_id == account_id,
                party.c.id.between(first, last),
                party.c.address_hash.is_not(None),
                known.domain == of_column(party.c.email, connection.dialect.name),
                party.c.mailbox_provider.is_distinct_from(known.mailbox_group),
            )
            .values(mailbox_provider=known.mailbox_group)
        )
        return connection.execute(changed).rowcount
