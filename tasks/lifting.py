"""A suppression that a person lifts, here and, if she says so, at the ESPs."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import database, esp_listings, suppressions, suppressions_push
from domain import suppression
from domain.suppression import Reason
from tasks import esps, lists


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
        for provider, listing in taken_off:
            esp_listings.taken_off(connection, provider, listing, asked.address_hash)
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
        sink = esps.suppression_sink(provider)
        with database.read(engine) as connection:
            listings = suppressions_push.to_take_off(
                connection,
                account_id=account_id,
                address_hash=asked.address_hash,
                lifting=lifting,
                provider=provider,
                sink=sink,
                now=now,
            )
        done += [(provider, one) for one in listings if sink.take_off(one, asked.address)]
    return done


def _told(lists: list[tuple[str, str]]) -> list[str]:
    return [f"{provider}: {listing}" for provider, listing in lists]
