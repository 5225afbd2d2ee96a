"""Whether the features look as they usually do: the newest refresh against the median of those before it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from data import tables
from data.expectations.subject import Rule, Subject
from data.features import profile
from data.features.frame import MISSING, NoFeatures
from data.features.profile import Change, Kind, Profile
from domain.gate_policy import GatePolicy

_REFRESHES = "refreshes"
ACCEPTED = "accepted"  # in the profile of a refresh that is as it should be: nothing is compared beyond it


def subject(connection: sa.Connection, *, account_id: str, columns: Collection[str], policy: GatePolicy) -> Subject:
    """These columns and the number of customers. The first refresh is compared with nothing, and passes."""
    profiles = _profiles(connection, account_id, policy.trailing)
    newest, trailing = profiles[:1], profiles[1:]
    row: dict[str, Any] = {_REFRESHES: len(trailing)}
    rules = [
        Rule(
            "The newest refresh of the features is compared with those before it",
            _REFRESHES,
            minimum=0,
            observed=f"with the median of {len(trailing)}" if trailing else "it is the first: with nothing",
        )
    ]
    if trailing:
        rules += (
            _rule(change, policy, row)
            for change in profile.against(trailing, *newest)
            if change.known >= policy.least_customers and (not change.column or change.column in columns)
        )
    return Subject("drift", row, tuple(rules))


def _profiles(connection: sa.Connection, account_id: str, trailing: int) -> Sequence[Profile]:
    """The newest first, back to the one that somebody accepted."""
    refresh = tables.feature_refreshes.c
    newest = sa.select(refresh.profile, refresh.customers).where(refresh.account_id == account_id)
    rows = connection.execute(newest.order_by(refresh.id.desc()).limit(1 + trailing))
    return list(_since_accepted({**row.profile, "customers": row.customers} for row in rows))


def _since_accepted(profiles: Iterable[Profile]) -> Iterator[Profile]:
    for one in profiles:
        if "columns" in one:  # else it was kept without a profile
            yield one
        if ACCEPTED in one:
            return


def _rule(change: Change, policy: GatePolicy, row: dict[str, Any]) -> Rule:
    column = f"{change.column}: {change.kind}" if change.column else str(change.kind)
    if change.kind is Kind.CUSTOMERS:
        row[column] = round(100 * change.amount, 6)
        most = policy.customers_percent
        sentence = f"The number of customers is within {most:g} % of the usual {change.before:,.0f}"
        return Rule(sentence, column, maximum=most, observed=f"{change.after:,.0f} customers")
    if change.kind is Kind.UNKNOWN:
        row[column] = round(100 * change.amount, 6)
        most = policy.unknown_points
        sentence = f"{change.column} is unknown within {most:g} points of the usual {change.before:.1%} of customers"
        return Rule(sentence, column, maximum=most, observed=f"unknown of {change.after:.1%}")
    row[column] = round(change.amount, 6)
    most = policy.drift_index
    sentence = f"{change.column} is spread as usual: its population stability index is at most {most:g}"
    told = f"index {change.amount:.2f}; {change.middle} {change.after:,.4g}, usually {change.before:,.4g}"
    return Rule(sentence, column, maximum=most, observed=told)


def accept(connection: sa.Connection, account_id: str) -> int:
    """Note that the newest refresh is as it should be: it is compared with none, and later ones with none before it.

    Returns its id. Raises NoFeatures.
    """
    table = tables.feature_refreshes
    newest = sa.select(table.c.id, table.c.profile).where(table.c.account_id == account_id).order_by(table.c.id.desc())
    row = connection.execute(newest.limit(1)).one_or_none()
    if row is None:
        raise NoFeatures(MISSING.format(account_id))
    profiled = {**row.profile, ACCEPTED: True}
    connection.execute(table.update().where(table.c.id == row.id).values(profile=profiled))
    refresh_id: int = row.id
    return refresh_id
