"""Is an address a role's and no person's? domain.addresses.is_role in SQL."""

from typing import Any

import sqlalchemy as sa

from domain import addresses

_LEAST = min(map(len, addresses.ROLES))
# Spelled out: SQLAlchemy writes a list that is a parameter into the statement anew at each execution.
_ROLES = [sa.literal_column(f"'{role}'", sa.Text) for role in sorted(addresses.ROLES)]
_BEGINNINGS = [sa.literal_column(f"'{one}'", sa.Text) for one in sorted({role[:_LEAST] for role in addresses.ROLES})]


def is_role(dialect: str, email: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Is what stands before the @ or the tag, in lower case, a role, as domain.addresses.is_role says?

    By its first letters first: the rest would cost a quarter of a freeze, and hardly anybody needs it.
    """
    postgresql = dialect == "postgresql"
    spelled = sa.collate(email, "C") if postgresql else email  # else it takes a Turkish dotted I for an i
    begins = sa.func.lower(sa.func.substr(sa.func.ltrim(spelled), 1, _LEAST))
    plain = sa.func.replace(sa.func.lower(sa.func.trim(spelled)), "+", "@")
    local = sa.func.split_part(plain, "@", 1) if postgresql else sa.func.substr(plain, 1, sa.func.instr(plain, "@") - 1)
    return sa.case((begins.in_(_BEGINNINGS), local.in_(_ROLES)), else_=False)
