"""What the gates say of an account's data as it is now: the same for a run and for the command. No Prefect here."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

import settings
from data import database, tables, variables
from data.expectations import drift, features, freshness, orders
from data.expectations.subject import Subject
from data.features import frame
from domain.campaigns import Refinement
from domain.features import BY_NAME
from segments import selection
from tasks import wiring


def needed(segment: str, refinement: Refinement, template_variables: Iterable[str] = ()) -> tuple[str, ...]:
    """The features that decide who is in, who is excluded, and what they read. Raises what a wrong segment raises."""
    chosen = selection.of(segment, refinement)
    excluded = (selection.of(name, Refinement()) for name in refinement.exclude)
    columns = [*chosen.needs, *(name for one in excluded for name in one.needs)]
    for expression in variables.columns(tuple(template_variables)).values():
        parts = sa.sql.visitors.iterate(expression)
        columns += [one.name for one in parts if isinstance(one, sa.Column) and one.table is tables.customer_features]
    return tuple(name for name in dict.fromkeys(columns) if name in BY_NAME)


def subjects(engine: sa.Engine, account_id: str, columns: Sequence[str]) -> list[Subject]:
    """Orders, features and their drift, for the gate to judge. Raises NoFeatures, UnusableConnections."""
    config, now = settings.load(), wiring.clock()
    with database.read(engine) as connection:
        channels = freshness.rules(
            connection, wiring.connections(), account_id=account_id, now=now, patience=config.gate.patience
        )
        of_orders = orders.subject(
            connection,
            account_id=account_id,
            now=now,
            newest_within_days=config.sending.newest_order_days,
            channels=channels,
        )
        of_drift = drift.subject(connection, account_id=account_id, columns=columns, policy=config.gate)
    of_features = features.subject(frame.read_frame(engine, account_id=account_id, columns=columns), columns)
    return [of_orders, of_features, of_drift]
