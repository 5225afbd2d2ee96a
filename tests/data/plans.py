"""How a database goes about a query."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


@contextmanager
def explained(connection: sa.Connection) -> Iterator[list[str]]:
    """The plans of the statements that are executed meanwhile."""
    plans: list[str] = []
    word = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "

    def explain(_connection: sa.Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if not statement.startswith(word):
            plans.append(str(connection.exec_driver_sql(word + statement, parameters).all()))

    sa.event.listen(connection, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        sa.event.remove(connection, "before_cursor_execute", explain)
