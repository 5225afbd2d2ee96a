"""Who has no value for a template's variable: counted for everybody of an audience in one pass, before anything is sent.

A value that is there and says nothing (blanks) is missing too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from data import bulk, tables, variables
from domain import addresses
from domain.audience import SkipReason
from domain.campaigns import Run

_SAMPLE = 3  # enough to look at, few enough to read


@dataclass(frozen=True, slots=True)
class Gap:
    """One variable. `instead`: the template's words for who has none; None: it has no such words.

    `sample`: a few of those people, masked.
    """

    name: str
    meaning: str
    people: int
    instead: str | None
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gaps:
    """All variables of a template over `people`. `without`: of whom something is missing that has no words instead."""

    people: int
    without: int
    gaps: tuple[Gap, ...]

    @property
    def lacking(self) -> tuple[Gap, ...]:
        """Those that anybody has no value for, the worst first: first without words instead, then by people."""
        found = (gap for gap in self.gaps if gap.people)
        return tuple(sorted(found, key=lambda gap: (gap.instead is not None, -gap.people, gap.name)))


def is_missing(name: str) -> sa.ColumnElement[bool]:
    """True of a customer who has no value for the variable."""
    column = variables.VARIABLES[name].column
    missing = column.is_(None)
    return missing | (sa.func.trim(column) == "") if isinstance(column.type, sa.String) else missing


def lack_any(names: Sequence[str]) -> sa.ColumnElement[bool]:
    """True of a customer who has no value for one of them."""
    return sa.or_(sa.false(), *(is_missing(name) for name in names))


def of_run(connection: sa.Connection, run: Run, names: Sequence[str], fallbacks: Mapping[str, str]) -> Gaps:
    """Of everybody planned, and of those whom the run left out for want of a value."""
    member = tables.audience.c
    # Said so that SQLite reads them by party id, as parties lie (data.expectations.audience).
    asked = (sa.func.coalesce(member.ordinal, -1) >= 0) | (member.skip_reason == SkipReason.MISSING_VALUE)
    people = sa.select(member.party_id).where(member.run_id == run.id, asked, member.party_id > 0).subquery("people")
    return _count(connection, people, names, fallbacks)


def of_members(
    connection: sa.Connection, party_ids: Sequence[int], names: Sequence[str], fallbacks: Mapping[str, str]
) -> Gaps:
    """Of these customers, whether they would get mail or not. Nothing stays written."""
    people = sa.Table(
        "asked_members",
        sa.MetaData(),
        sa.Column("party_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        prefixes=["TEMPORARY"],
    )
    people.create(connection)
    bulk.insert_rows(connection, people, ["party_id"], ((one,) for one in sorted(party_ids)))
    found = _count(connection, people, names, fallbacks)
    people.drop(connection)
    return found


def with_facts(people: sa.FromClause) -> sa.FromClause:
    """These people with all that a variable may be read from."""
    party, features = tables.parties, tables.customer_features
    return (
        people.join(party, party.c.id == people.c.party_id)
        .join(tables.accounts, tables.accounts.c.id == party.c.account_id)
        .outerjoin(features, features.c.party_id == party.c.id)
    )


def _count(
    connection: sa.Connection, people: sa.FromClause, names: Sequence[str], fallbacks: Mapping[str, str]
) -> Gaps:
    names = [name for name in names if name in variables.VARIABLES]
    source = with_facts(people)
    required = [name for name in names if name not in fallbacks]
    sums = (sa.func.coalesce(sa.func.sum(sa.case((is_missing(name), 1), else_=0)), 0) for name in names)
    without = sa.func.coalesce(sa.func.sum(sa.case((lack_any(required), 1), else_=0)), 0)
    total, lacking, *counts = connection.execute(sa.select(sa.func.count(), without, *sums).select_from(source)).one()
    gaps = (
        Gap(
            name,
            variables.VARIABLES[name].meaning,
            count,
            fallbacks.get(name),
            _sample(connection, source, people, name) if count else (),
        )
        for name, count in zip(names, counts, strict=True)
    )
    return Gaps(total, lacking, tuple(gaps))


def _sample(connection: sa.Connection, source: sa.FromClause, people: sa.FromClause, name: str) -> tuple[str, ...]:
    found = connection.scalars(
        sa.select(tables.parties.c.email)
        .select_from(source)
        .where(is_missing(name))
        .order_by(people.c.party_id)
        .limit(_SAMPLE)
    )
    return tuple(addresses.masked(email) if email else "(no address)" for email in found)
