"""What a definition says of those who entered or left, then and later, and had one of the things not happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from data.features.population import Customers, Tables
from data.features.scale import Scale
from data.past_customers import Known, PastCustomers
from domain.campaigns import Run
from domain.differences import Side
from segments.selection import Selection
from tasks import diff_sentences

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a run's members were chosen. `selection`: as it is read today; None where it cannot be read any more."""

    run: Run
    side: Side
    selection: Selection | None
    scale: Scale | None

    @property
    def is_known(self) -> bool:
        """Whether today's code still has this very definition."""
        return self.selection is not None and self.selection.definition_hash == self.side.definition_hash


@dataclass(frozen=True, slots=True)
class Views:
    """Who of the changed would be a member: then, later, and later without one of the things that happened."""

    who: Integers
    before: Flags
    after: Flags
    by_old_definition: Flags | None  # at the second instant, where there is another one and it is known
    without_orders: Flags
    without_mails: Flags
    without_either: Flags
    with_old_scale: Flags
    then: PastCustomers | None
    later: PastCustomers | None
    of_all: bool

    def is_told(self, place: int, now: bool) -> bool:
        """Whether what is known today gives both verdicts as they were frozen."""
        return self.then is not None and bool(self.before[place]) != now and bool(self.after[place]) == now

    def flip(self, chosen: Selection | None, place: int, now: bool) -> str:
        """The condition that turned, with both values; empty where it is not known."""
        if chosen is None or self.then is None or self.later is None or not self.is_told(place, now):
            return ""
        person = int(self.who[place])
        if self.of_all:
            return diff_sentences.flip(chosen, self.then, self.later, person)
        return diff_sentences.flip(chosen, self.then.only(person), self.later.only(person), person)


def views(engine: sa.Engine, account_id: str, who: Integers, one: Chosen, other: Chosen, *, arrived: Integers) -> Views:
    """Evaluated over the changed persons alone; over all where the definition compares customers with each other.

    `arrived`: ids of orders that were not known at the first instant, though they were placed before it.
    """
    nobody = np.zeros(len(who), bool)
    if other.selection is None or one.scale is None or other.scale is None:
        return Views(who, nobody, nobody, None, nobody, nobody, nobody, nobody, None, None, False)
    start, end = one.side.watermark, other.side.watermark
    newest = Customers(engine, account_id)
    of_all = any(_compares(by, newest) for by in (one.selection, other.selection) if by is not None)
    whom = None if of_all else who
    known_then = Known.read(engine, account_id, whom, as_of=start).without_orders(arrived)
    known = Known.read(engine, account_id, whom, as_of=end)
    unmailed = known.with_mails_of(known_then)
    unordered = known.without_orders(arrived)
    then = PastCustomers(known_then, as_of=start, scale=one.scale)
    later = PastCustomers(known, as_of=end, scale=other.scale)
    by = other.selection
    old = None
    if one.selection is not None and one.is_known and one.side.definition_hash != other.side.definition_hash:
        old = _members(one.selection, later, who)
    return Views(
        who=who,
        before=_members(by, then, who),
        after=_members(by, later, who),
        by_old_definition=old,
        without_orders=_members(by, PastCustomers(unordered, as_of=end, scale=other.scale, until=start), who),
        without_mails=_members(by, PastCustomers(unmailed, as_of=end, scale=other.scale), who),
        without_either=_members(
            by, PastCustomers(unordered.with_mails_of(known_then), as_of=end, scale=other.scale, until=start), who
        ),
        with_old_scale=_members(by, PastCustomers(known, as_of=end, scale=one.scale), who),
        then=then,
        later=later,
        of_all=of_all,
    )


def _members(by: Selection, population: PastCustomers, who: Integers) -> Flags:
    ids = population.frame([])["party_id"].to_numpy("int64")
    if not len(ids):
        return np.zeros(len(who), bool)
    return np.isin(who, ids[by.members(population).to_numpy(bool)])


class _Part:
    """Some rows of a population."""

    def __init__(self, whole: Customers, rows: Flags) -> None:
        self._whole, self._rows = whole, rows

    @property
    def as_of(self) -> datetime:
        return self._whole.as_of

    @property
    def shop(self) -> Tables:
        return self._whole.shop

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        return self._whole.frame(columns)[self._rows].reset_index(drop=True)

    def chosen(self, select: sa.Select[Any]) -> Integers:
        return self._whole.chosen(select)


def _compares(by: Selection, customers: Customers) -> bool:
    """Whether it compares customers with each other, such as "the top tenth".

    Then it says something else of its members, or of all others, when it is asked about them alone.
    """
    members = by.members(customers).to_numpy(bool)
    within, outside = _Part(customers, members), _Part(customers, ~members)
    return not by.members(within).all() or bool(by.members(outside).any())
