"""Quiet hours in the ledger: whose batches are held now, and until when (domain.quiet_hours says when it is quiet).

Where an account has quiet hours, the freeze makes each batch of people of one zone. A claim passes over the batches of
the zones in which it is quiet; when there are no others it writes into them when they may be claimed. What is held so
goes at that time, also if somebody changes the quiet hours meanwhile. A run that was frozen before there were any has
batches without a zone: those go by the account's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from data import accounts, batches, tables
from domain import policy, zones
from domain.campaigns import Run
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from domain.quiet_hours import QuietHours


class Held(NamedTuple):
    """So many people of a zone get their mail not before then (UTC)."""

    zone: str
    people: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Quiet:
    """The zones in which it is quiet now, each with the end of that; `home` is the account's own zone."""

    home: str
    until: Mapping[str, datetime]
    hours: QuietHours | None = None

    def holds(self, zone: str | None, at: datetime) -> bool:
        """Whether it will be quiet then for a batch of this zone: no ESP may be told to let it go at such a time."""
        return self.hours is not None and self.hours.holds(at, zone or self.home)

    def batches(self) -> sa.ColumnElement[bool] | None:
        """True of the batches to be passed over; None where there are none."""
        return _zone(self.home).in_(sorted(self.until)) if self.until else None

    def hold(self, connection: sa.Connection, run_id: str) -> None:
        """Write into the planned batches when they may be claimed."""
        for zone, until in self.until.items():
            batches.hold(connection, run_id, _zone(self.home) == zone, until)


def _zone(home: str) -> sa.ColumnElement[str]:
    return sa.func.coalesce(tables.batches.c.zone, home)


def _rules(connection: sa.Connection, account_id: str, installation: SendingPolicy) -> tuple[str, QuietHours | None]:
    """The account's zone and its quiet hours, if it has any."""
    account = accounts.get(connection, account_id)
    return account.timezone, policy.of_account(installation, account).quiet_hours


def quiet(connection: sa.Connection, run: Run, installation: SendingPolicy, now: datetime) -> Quiet:
    """Where batches of this run have to wait now. Without quiet hours it costs the reading of one row."""
    home, hours = _rules(connection, run.plan.account_id, installation)
    if hours is None:
        return Quiet(home, {})
    return Quiet(home, _until(hours, (zone or home for zone in batches.zones(connection, run.id)), now), hours)


def _until(hours: QuietHours, found: Iterable[str], now: datetime) -> dict[str, datetime]:
    return {zone: until for zone in found if (until := hours.until(now, zone)) is not None}


def place(connection: sa.Connection, account_id: str, members: sa.Table, installation: SendingPolicy) -> list[str]:
    """Write into `members` (party_id, zone) the place of everybody's zone in the list that is returned.

    An empty list, and nothing is written, where the account has no quiet hours: then batches may mix zones and be full.
    """
    home, hours = _rules(connection, account_id, installation)
    if hours is None:
        return []
    party = tables.parties.c
    theirs = sa.select(party.country).select_from(members).where(party.id == members.c.party_id)
    of_country = {one: zones.zone_of(one, home) for one in connection.scalars(theirs.distinct()) if one is not None}
    found = sorted({home, *of_country.values()})
    # Named by the countries just read: one that changes this moment is at home.
    number = sa.case({one: found.index(zone) for one, zone in of_country.items()} or {"": 0}, value=party.country)
    own = sa.select(number).where(party.id == members.c.party_id).scalar_subquery()
    connection.execute(members.update().values(zone=sa.func.coalesce(own, found.index(home))))
    return found


def held(connection: sa.Connection, run: Run, installation: SendingPolicy, now: datetime) -> list[Held]:
    """How many of a frozen run could not be mailed now for the quiet hours of their zone, and until when.

    Of a live run those who are still to be mailed; of a dry run, which has no batches, all who are planned.
    """
    home, hours = _rules(connection, run.plan.account_id, installation)
    if hours is None:
        return []
    return _held(
        hours, _waiting(connection, run.id, home) if run.plan.live else _planned(connection, run.id, home), now
    )


def held_of(
    connection: sa.Connection, account_id: str, people: Mapping[str, int], installation: SendingPolicy, now: datetime
) -> list[Held]:
    """The same of so many people in each zone."""
    _, hours = _rules(connection, account_id, installation)
    return [] if hours is None else _held(hours, people, now)


def _held(hours: QuietHours, people: Mapping[str, int], now: datetime) -> list[Held]:
    until = _until(hours, people, now)
    return sorted((Held(zone, people[zone], at) for zone, at in until.items()), key=lambda one: (one.until, one.zone))


def _waiting(connection: sa.Connection, run_id: str, home: str) -> Counter[str]:
    batch = tables.batches.c
    size: sa.ColumnElement[Any] = sa.func.sum(batch.last_ordinal - batch.first_ordinal + 1)
    query = sa.select(batch.zone, size).where(batch.run_id == run_id, batch.state == BatchState.PLANNED)
    found: Counter[str] = Counter()
    for zone, people in connection.execute(query.group_by(batch.zone)):
        found[zone or home] += int(people)
    return found


def _planned(connection: sa.Connection, run_id: str, home: str) -> Counter[str]:
    member, party = tables.audience.c, tables.parties.c
    query = (
        sa.select(party.country, sa.func.count())
        .join_from(tables.audience, tables.parties, party.id == member.party_id)
        .where(member.run_id == run_id, member.ordinal.is_not(None))
    )
    found: Counter[str] = Counter()
    for country, people in connection.execute(query.group_by(party.country)):
        found[zones.zone_of(country, home)] += people
    return found
