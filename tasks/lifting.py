"""A suppression that a person lifts, here and, if she says so, at the ESPs; and what comes off there by itself."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from data import database, esp_listings, list_exits, suppressions, suppressions_push
from data.list_exits import Exit
from domain import suppression
from domain.suppression import Reason
from tasks import esps, lists, upkeep, wiring


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be lifted, and by whom. `only` None: all. `asked_for`: the person herself wants mail again."""

    account_id: str
    address: str
    address_hash: str
    only: Reason | None
    asked_for: bool
    at_esp: bool
    actor: str
    why: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """What came of it. Lists are named `<ESP>: <list>`; `still_refused`: where the ESP is known to refuse her yet."""

    lifted: list[Reason]
    left: list[Reason]
    taken_off: list[str]
    still_refused: list[str]


def lift(engine: sa.Engine, asked: Request, *, now: datetime) -> Lifted:
    """Lift. Raises NotLifted before anything is changed, and what the ESP raises before anything is lifted here."""
    with database.read(engine) as connection:
        standing = suppressions.standing(connection, asked.account_id, asked.address_hash)
        listed = esp_listings.of_address(connection, asked.address_hash, now=now)
    wanted = [one for one in standing if asked.only in (None, one)]
    # Lifted here before, by hand or by herself on her page, the address may be on their lists yet.
    there = [Reason(one.reason) for one in listed if one.reason is not None] if asked.at_esp and not standing else []
    suppression.check_lift([*wanted, *there], asked_for=asked.asked_for)
    taken_off = _take_off(engine, asked, wanted, now) if asked.at_esp and (wanted or not standing) else []
    with database.write(engine) as connection:
        # Before the suppressions, as whoever reads the lists does: two that lock rows in one order never deadlock.
        for provider, listing in sorted(taken_off):
            esp_listings.taken_off(connection, provider, listing, asked.address_hash)
        lifted = suppressions.lift(
            connection,
            account_id=asked.account_id,
            address_hash=asked.address_hash,
            actor=asked.actor,
            reason=asked.why,
            now=now,
            only=wanted,
            asked_for=asked.asked_for,
            taken_off=_told(taken_off),
        )
        known = esp_listings.of_address(connection, asked.address_hash, now=now)
    refused = [(one.provider, one.listing) for one in known if one.reason is not None or one.pushed_at is not None]
    left = [one for one in standing if one not in lifted]
    return Lifted(lifted, left, _told(taken_off), _told(refused) if not left else [])


def _take_off(engine: sa.Engine, asked: Request, lifting: list[Reason], now: datetime) -> list[tuple[str, str]]:
    """At the ESPs first: one that cannot be reached leaves her suppressed here, and the lift is asked for again."""
    done = []
    for account_id, provider in lists.lists_in_use.fn():
        if account_id != asked.account_id:
            continue
        sink = esps.lists(provider)
        with database.read(engine) as connection:
            listings = suppressions_push.to_take_off(
                connection,
                account_id=account_id,
                address_hash=asked.address_hash,
                lifting=lifting,
                provider=provider,
                sink=sink,
                shared=lists.is_shared(provider),
                now=now,
            )
        done += [(provider, one) for one in listings if sink.take_off(one, asked.address)]
    return done


def _told(lists: list[tuple[str, str]]) -> list[str]:
    return [f"{provider}: {listing}" for provider, listing in lists]


@task(task_run_name="take addresses off the ESPs' lists", cache_policy=NO_CACHE)
def leave_lists() -> dict[str, int]:
    """Take off who wants mail again and who is to be asked once more; how many entries. Safe to repeat."""
    engine = wiring.engine()
    with database.read(engine) as connection:
        due = list_exits.due(connection, now=wiring.clock())
    if not due:
        return {"taken_off_lists": 0}
    failures, taken_off = upkeep.Failures(), 0
    in_use = set(lists.lists_in_use.fn())
    exits_of: dict[str, list[Exit]] = {}
    for one in due:
        if (one.account_id, one.provider) in in_use:
            exits_of.setdefault(one.provider, []).append(one)
    for provider, exits in sorted(exits_of.items()):
        with failures.kept(f"take addresses off the lists of {provider}"):
            taken_off += list_exits.leave(
                engine,
                exits,
                sink=esps.lists(provider),
                shared=lists.is_shared(provider),
                clock=wiring.clock,
            )
    get_run_logger().info("Took %d addresses off the ESPs' lists", taken_off)
    failures.raise_kept()
    return {"taken_off_lists": taken_off}
