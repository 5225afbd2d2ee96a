"""Pools: each belongs to one stream for ever, and the database itself refuses mail of the other stream through it."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from domain.routes import Route


class PoolOfOtherStream(ValueError):
    """The routes give a pool to a stream that is not the one it belongs to; nothing was written."""


def ensure(connection: sa.Connection, routes: Iterable[Route], *, now: datetime) -> None:
    """Write the pools of these routes that are not there yet. Raises PoolOfOtherStream before anything is written."""
    wanted = {(route.account_id, route.pool): route.stream for route in routes}
    if not wanted:
        return
    rows = [
        {"account_id": account_id, "name": name, "stream": stream, "created_at": now}
        for (account_id, name), stream in sorted(wanted.items())  # two writers take rows in one order
    ]
    pools = tables.pools
    with connection.begin_nested():
        # Of any of its keys: of two first writers at once either unique index may be the one that stops the second.
        statement = database.insert(connection, pools).on_conflict_do_nothing()
        connection.execute(statement, rows)
        accounts = {account_id for account_id, _ in wanted}
        query = sa.select(pools.c.account_id, pools.c.name, pools.c.stream).where(pools.c.account_id.in_(accounts))
        for account_id, name, stream in connection.execute(query):
            if wanted.get((account_id, name), stream) != stream:
                raise PoolOfOtherStream(
                    f"pool {name} of account {account_id} belongs to the {stream} stream and carries no other mail: "
                    "give the other stream a pool of another name"
                )
