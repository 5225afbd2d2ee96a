"""The outlook of a run's traffic: which groups are braked now, and how each pool fared with each group for a week."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa

from data import brakes, database, results, seeds
from data.desk import Outlook
from data.seeds import SeedState
from domain import guardrails
from domain.campaigns import Run
from domain.routes import Route

# What a seed message may show; unproven is no reproach.
_UNWELL = frozenset({SeedState.SILENT, SeedState.REFUSED, SeedState.BOUNCED})
_RESULTS_OF = timedelta(days=7)
# To read them costs a row a message of the week (half a second to two for a million): not at each claim.
_READ_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Store:
    """An engine by its identity, so that what was read of it can be kept."""

    engine: sa.Engine


def reader(
    engine: sa.Engine, run: Run, routes: Sequence[Route], now: datetime
) -> Callable[[sa.Connection, datetime], Outlook]:
    """What `data.traffic.Traffic` asks before each claim: results and seed messages as of now, brakes as of then."""
    account_id = run.plan.account_id
    pools = tuple(sorted({route.pool for route in routes}))
    with database.read(engine) as connection:
        poorly = unwell(connection, {route.provider for route in routes}, now)
    known = _results(_Store(engine), account_id, pools, int(now.timestamp() // _READ_EVERY.total_seconds()))

    def outlook(connection: sa.Connection, then: datetime) -> Outlook:
        held = brakes.in_force(connection, account_id, run.id, then)
        alone = brakes.of_providers(connection, account_id, then)
        return replace(
            known,
            brakes={group: brake.factor for group, brake in held.items()},
            providers={way: brake.factor for way, brake in alone.items()},
            unwell=poorly,
        )

    return outlook


def unwell(connection: sa.Connection, providers: Collection[str], now: datetime) -> frozenset[str]:
    """The ESPs whose seed messages of the last hour fare badly."""
    told = [seeds.health(connection, provider, now) for provider in sorted(providers)]
    return frozenset(one.provider for one in told if one.state in _UNWELL)


@lru_cache(maxsize=8)
def _results(store: _Store, account_id: str, pools: tuple[str, ...], turn: int) -> Outlook:
    since = datetime.fromtimestamp(turn * _READ_EVERY.total_seconds(), tz=UTC) - _RESULTS_OF
    found, factors = {}, {}
    with database.read(store.engine) as connection:
        for pool in pools:
            for group, seen in results.of_pool(connection, account_id, pool, since).items():
                found[pool, group] = (seen.delivered, seen.blocked + seen.deferred)
                factors[pool, group] = guardrails.volume_factor(seen)
    return Outlook(results=found, factors=factors)
