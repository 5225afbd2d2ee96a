"""What the store knows of a selection before anything is sent: who would get it, their mail of late, a masked sample.

Who would not get it is judged by the very statements of the freeze (data.audience), and undone at once.
"""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import arrow, audience, quiet_hours, tables
from data.features.population import Customers
from domain import money
from domain.audience import SkipReason
from domain.campaigns import RunPlan
from domain.policy import SendingPolicy
from domain.previews import Earlier, Held, Sample, Verdict

PartyIds = npt.NDArray[np.int64]
_CAMPAIGNS = 5
_SAMPLES = 5
ABOUT = ("country", "orders", "last_order_at", "net_revenue")


def waterfall(
    connection: sa.Connection,
    plan: RunPlan,
    party_ids: Sequence[int] | PartyIds,
    *,
    excluded: Collection[int],
    policy: SendingPolicy,
    now: datetime,
    run_id: str = "",
) -> Verdict:
    """Who would get it, and why all others would not, if a run of this plan were frozen now. Nothing stays written.

    `policy` is the installation's; the account's own limits go first. `run_id`: the run of the plan, where there is
    one; else it goes by priority 0. Raises UnknownAccount.
    """
    with connection.begin_nested() as savepoint:
        found, zones = audience.judge(connection, run_id, plan, party_ids, excluded=excluded, policy=policy, now=now)
        savepoint.rollback()
    counts = found.counts()
    waiting = {zones[zone]: people for zone, people in found.zones().items()} if zones else {}
    held = quiet_hours.held_of(connection, plan.account_id, waiting, policy, now)
    return Verdict(
        planned=counts[None],
        skipped={reason.value: counts[reason] for reason in SkipReason if counts[reason]},
        held=tuple(Held(*one) for one in held),
    )


def earlier(engine: sa.Engine, account_id: str, party_ids: PartyIds, *, besides: str = "") -> tuple[Earlier, ...]:
    """The account's last five live campaigns, newest first, and how many of these people each planned.

    `party_ids`: persons, ascending. Whoever was mailed under another number is the same person (data.persons).
    """
    run, campaign = tables.campaign_runs.c, tables.campaigns.c
    sent = (
        sa.select(run.id, campaign.name, run.dispatch_started_at, run.planned)
        .join_from(tables.campaign_runs, tables.campaigns, campaign.id == run.campaign_id)
        .where(run.account_id == account_id, run.live, run.dispatch_started_at.is_not(None), run.id != besides)
        .order_by(run.dispatch_started_at.desc(), run.id)
        .limit(_CAMPAIGNS)
    )
    with engine.connect() as connection:
        last = connection.execute(sent).all()
    if not last:
        return ()
    persons = _persons(engine, account_id)
    return tuple(
        Earlier(
            one.id, one.name, one.dispatch_started_at, _shared(engine, one.id, party_ids, persons), one.planned or 0
        )
        for one in last
    )


def _persons(engine: sa.Engine, account_id: str) -> tuple[PartyIds, PartyIds]:
    """The parties for whom another stands, ascending, and who that is."""
    party = tables.parties.c
    query = (
        sa.select(party.id, party.person_id)
        .where(party.account_id == account_id, party.person_id.is_not(None))
        .order_by(party.id)
    )
    found = arrow.read_table(engine, query)
    return found["id"].to_numpy(), found["person_id"].to_numpy()


def _shared(engine: sa.Engine, run_id: str, party_ids: PartyIds, persons: tuple[PartyIds, PartyIds]) -> int:
    member = tables.audience.c
    query = sa.select(member.party_id).where(member.run_id == run_id, member.ordinal.is_not(None))
    planned: PartyIds = arrow.read_table(engine, query)["party_id"].to_numpy()
    numbers, whose = persons
    if len(numbers):
        place = np.searchsorted(numbers, planned).clip(max=len(numbers) - 1)
        planned = np.where(numbers[place] == planned, whose[place], planned)
    return len(np.intersect1d(planned, party_ids))


def sample(connection: sa.Connection, customers: Customers, party_ids: PartyIds, *, key: str) -> tuple[Sample, ...]:
    """Five members, the same for the same key; of their names the first letters, of their money whole units."""
    entropy = list(hashlib.sha256(key.encode()).digest())
    size = min(_SAMPLES, len(party_ids))
    drawn = np.random.default_rng(entropy).choice(party_ids, size, replace=False)
    party = tables.parties.c
    query = sa.select(party.id, party.first_name, party.last_name).where(party.id.in_(drawn.tolist()))
    names = {row.id: _initials(row.first_name, row.last_name) for row in connection.execute(query)}
    frame = customers.frame(ABOUT)
    rows: list[dict[str, Any]] = frame[frame["party_id"].isin(names)].to_dict("records")  # type: ignore[assignment]
    return tuple(
        Sample(
            name=names[row["party_id"]],
            country=row["country"] if isinstance(row["country"], str) else "–",
            orders=row["orders"],
            last_order=row["last_order_at"].date(),
            net_revenue=money.from_units(round(row["net_revenue"]) * money.UNIT),
        )
        for row in rows
    )


def _initials(*names: str | None) -> str:
    return " ".join(f"{name.strip()[:1].upper()}***" for name in names if name and name.strip()) or "–"
