"""Who is meant: a run's segment, refined, over the customers as of the last refresh. Nothing here needs Prefect."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import audience, database, persons, runs, segment_sizes
from data.features import scale
from data.features.population import Customers
from domain import money
from domain.campaigns import Refinement, RunPlan
from segments import registry, selection
from segments.definition import EvaluationError
from segments.selection import Selection
from tasks import wiring

PartyIds = npt.NDArray[np.int64]
_DISTRIBUTION = "campaign-engine"
_ROOMS = ("segments", "data", "domain", "tasks")


@dataclass(frozen=True, slots=True)
class Members:
    """Who belongs to a selection, by ascending party id; of how many customers, and what they have spent in all."""

    party_ids: PartyIds
    customers: int
    net_revenue: Decimal
    definition_hash: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """A run's members, and those of them whom it excludes, as members of other segments."""

    members: Members
    excluded: PartyIds


def choose(engine: sa.Engine, plan: RunPlan, customers: Customers | None = None) -> Choice:
    """Evaluate what a run was planned with. Raises what a wrong segment, rule or argument raises, with a sentence.

    `customers`: the account's, where the caller reads more of them.
    """
    customers = customers or Customers(engine, plan.account_id)
    if plan.refinement.members_of is not None:
        chosen = _of_run(engine, plan, customers)
    else:
        chosen = members(customers, selection.of(plan.segment, plan.refinement))
    others = [members(customers, selection.of(name, Refinement())).party_ids for name in plan.refinement.exclude]
    if not others:
        return Choice(chosen, np.empty(0, np.int64))
    with database.read(engine) as connection:
        # Of an earlier run's members some may be one person with somebody else by now, and segments are of persons.
        people = persons.who(connection, chosen.party_ids) if plan.refinement.members_of else chosen.party_ids
    return Choice(chosen, chosen.party_ids[np.isin(people, np.concatenate(others))])


def members(customers: Customers, by: Selection) -> Members:
    """Who belongs to a selection now."""
    inside = by.members(customers).to_numpy(bool)
    return _members(customers, inside, by.definition_hash)


def _members(customers: Customers, inside: npt.NDArray[np.bool_], definition_hash: str) -> Members:
    frame = customers.frame(["net_revenue"])
    return Members(
        party_ids=frame["party_id"].to_numpy("int64")[inside],
        customers=len(frame),
        net_revenue=money.from_units(int(scale.units(frame["net_revenue"])[inside].sum())),
        definition_hash=definition_hash,
        as_of=customers.as_of,
    )


def _of_run(engine: sa.Engine, plan: RunPlan, customers: Customers) -> Members:
    """The members of an earlier run, as they were frozen. Raises CannotStart, UnknownRun."""
    assert plan.refinement.members_of is not None, "asked for by name"
    with database.read(engine) as connection:
        run = runs.get(connection, plan.refinement.members_of)
        frozen = audience.members(connection, run.id)
    if run.plan.account_id != plan.account_id or run.frozen_at is None or run.feature_watermark is None:
        raise wiring.CannotStart(
            f"Run {run.id} cannot lend its members: it must be of this account and have a frozen audience."
        )
    ids = customers.frame([])["party_id"].to_numpy("int64")
    known = _members(customers, np.isin(ids, frozen), run.definition_hash or "")
    return replace(known, party_ids=frozen, as_of=run.feature_watermark)


def note_size(connection: sa.Connection, account_id: str, name: str, found: Members) -> None:
    """Keep how many there were, for trends and size bands."""
    segment_sizes.note(
        connection,
        account_id=account_id,
        segment=name,
        definition_hash=found.definition_hash,
        as_of=found.as_of,
        members=len(found.party_ids),
        customers=found.customers,
        net_revenue=found.net_revenue,
    )


def measure_library(engine: sa.Engine, account_id: str) -> tuple[dict[str, int], list[str]]:
    """The size of each segment of the library, with its parameters' defaults, kept as of the last refresh.

    Besides the sizes a sentence for each segment that could not be evaluated: it takes no other with it.
    """
    customers = Customers(engine, account_id)
    found: dict[str, Members] = {}
    faults = [fault.sentence for fault in registry.faults()]
    for name in registry.load():
        try:
            found[name] = members(customers, selection.of(name, Refinement()))
        except EvaluationError as error:
            faults.append(str(error))
    with database.write(engine) as connection:
        for name, one in found.items():
            note_size(connection, account_id, name, one)
    return {name: len(one.party_ids) for name, one in found.items()}, faults


@cache
def code_version() -> str:
    """The release, and a hash of the code that decides who is in an audience: kept with each snapshot."""
    root = Path(__file__).parent.parent
    files = sorted(file for room in _ROOMS for file in (root / room).rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return f"{metadata.version(_DISTRIBUTION)}+{digest.hexdigest()[:12]}"
