"""At which mail domains the recipients are: what the pre-flight asks the DNS about an audience."""

import sqlalchemy as sa

from data import tables
from data.mail_domains import of_column


def planned(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """Domain → people of a frozen run who are to get its mail, most people first."""
    member, party = tables.audience.c, tables.parties.c
    people = tables.audience.join(tables.parties, member.party_id == party.id)
    return _counted(connection, people, member.run_id == run_id, member.skip_reason.is_(None))


def customers(connection: sa.Connection, account_id: str) -> dict[str, int]:
    """Domain → customers of an account who have an address that can be mailed, most people first."""
    return _counted(connection, tables.parties, tables.parties.c.account_id == account_id)


def _counted(connection: sa.Connection, whom: sa.FromClause, *where: sa.ColumnElement[bool]) -> dict[str, int]:
    party = tables.parties.c
    domain, count = of_column(party.email, connection.dialect.name).label("domain"), sa.func.count()
    query = sa.select(domain, count).select_from(whom).where(*where, party.address_hash.is_not(None))
    rows = connection.execute(query.group_by(domain).order_by(count.desc(), domain)).tuples()
    return {name: people for name, people in rows if name}
