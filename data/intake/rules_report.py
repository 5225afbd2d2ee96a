"""The rules that fired, by channel and account, and how often each was wrong.

A rule was wrong about an order where a person released its dead letter unchanged. Only letters that ended count: of an
open one nobody knows yet.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import tables
from data.dead_letters import State

_Key = tuple[str, str, str]
_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule on one channel of one account, over some days.

    `fired`: on how many orders; `orders`: of how many that were judged; `letters`: the dead letters that it made, by
    state. A rule that keeps its orders fires and makes none.
    """

    account_id: str
    channel: str
    rule: str
    fired: int
    orders: int
    letters: Mapping[State, int] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """Of the orders, on how many it fired; None where none were judged."""
        return self.fired / self.orders if self.orders else None

    @property
    def ended(self) -> int:
        """Letters of which somebody, or a newer state of the order, said what they were."""
        return sum(count for state, count in self.letters.items() if state is not State.OPEN)

    @property
    def false_positive_share(self) -> float | None:
        """Of the letters that ended, those released unchanged; None where none ended."""
        return self.letters.get(State.RELEASED, 0) / self.ended if self.ended else None


def report(connection: sa.Connection, account_id: str | None, *, days: int, now: datetime) -> list[RuleReport]:
    """Of one account or of all, what fired in the last `days` days; in each channel what fired most often first."""
    since = now - timedelta(days=days)
    orders, fired = _fired(connection, account_id, since)
    letters = _letters(connection, account_id, since)
    found = [
        RuleReport(*key, fired=fired[key], orders=orders[key[:2]], letters=letters.get(key, {}))
        for key in fired.keys() | letters.keys()
    ]
    return sorted(found, key=lambda one: (one.account_id, one.channel, -one.fired, one.rule))


def _fired(connection: sa.Connection, account_id: str | None, since: datetime) -> tuple[Counter[_Pair], Counter[_Key]]:
    batch = tables.intake_batches.c
    query = sa.select(batch.account_id, batch.channel, batch.orders, batch.fired).where(batch.drained_at > since)
    if account_id is not None:
        query = query.where(batch.account_id == account_id)
    orders: Counter[_Pair] = Counter()
    fired: Counter[_Key] = Counter()
    for row in connection.execute(query):
        orders[row.account_id, row.channel] += row.orders
        for rule, count in row.fired.items():
            fired[row.account_id, row.channel, rule] += count
    return orders, fired


def _letters(connection: sa.Connection, account_id: str | None, since: datetime) -> dict[_Key, dict[State, int]]:
    letter = tables.dead_letters.c
    # Letters without a rule are of other things than orders: elements of an ESP's webhooks.
    query = sa.select(letter.account_id, letter.source, letter.rule, letter.state, sa.func.count().label("letters"))
    query = query.where(letter.created_at > since, letter.rule != "", letter.account_id.is_not(None))
    if account_id is not None:
        query = query.where(letter.account_id == account_id)
    found: dict[_Key, dict[State, int]] = {}
    for row in connection.execute(query.group_by(letter.account_id, letter.source, letter.rule, letter.state)):
        found.setdefault((row.account_id, row.source, row.rule), {})[State(row.state)] = row.letters
    return found
