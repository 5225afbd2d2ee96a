"""Our own faults: which provider is slowed or paused at which mailbox group, and which run waits for a person.

Nobody is suppressed here. A brake is in force for running campaigns from the next batch on (data.outlook).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import accounts, audit_log, brakes, control, results, runs, sender_refusals
from data.sender_refusals import Way
from domain import sender_faults
from domain.campaigns import Run, RunStatus
from domain.guardrails import FACTOR, RECENT, Guard, GuardAction, total
from domain.sender_faults import Refused, Trouble

CONTENT_REFUSED = "its content is refused"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was refused at an account's ways lately, for our own faults."""

    account_id: str
    at: datetime
    refused: Mapping[tuple[Way, Trouble], Refused]
    lifts: Mapping[tuple[str, str], datetime]


@dataclass(frozen=True, slots=True)
class Held:
    """A brake that was set just now."""

    account_id: str
    way: Way
    trouble: Trouble
    guard: Guard
    brake_id: int
    until: datetime | None


def observe(connection: sa.Connection, now: datetime) -> list[Seen]:
    """Read all that ways are judged by, of every account of which anything was refused lately."""
    since = now - RECENT
    found = []
    for account_id in sender_refusals.accounts_in_trouble(connection, since):
        lifts = brakes.lifts_of_providers(connection, account_id)
        counts = sender_refusals.by_way(connection, account_id, since, {Way(*way): at for way, at in lifts.items()})
        if not any(count >= sender_faults.LEAST_MESSAGES for count, _ in counts.values()):
            continue
        heard = sender_refusals.heard(connection, account_id, since)
        refused = {key: Refused(count, heard.get(key[0], 0), text) for key, (count, text) in counts.items()}
        found.append(Seen(account_id, now, refused, lifts))
    return found


def guard(connection: sa.Connection, seen: Seen) -> Sequence[Held]:
    """Brake the ways that are in trouble; what was set. Safe to repeat: a weaker brake never replaces a stronger one."""
    accounts.lock(connection, seen.account_id)  # two that watch set a brake once
    held = brakes.of_providers(connection, seen.account_id, seen.at)
    lifts = brakes.lifts_of_providers(connection, seen.account_id)
    new = []
    for (way, trouble), refused in sorted(seen.refused.items()):
        found = sender_faults.pair_guard(way.mailbox_group, trouble, refused)
        before = held.get(way)
        if found.action is GuardAction.NONE or lifts.get(way) != seen.lifts.get(way):
            continue
        until = seen.at + found.lasts if found.lasts is not None else None
        if before is not None and not _stronger(found, until, before):
            continue
        if before is not None:
            brakes.end(connection, before.id, brakes.BY_ITSELF, seen.at)
        brake_id = brakes.put(
            connection,
            account_id=seen.account_id,
            run_id=None,
            mailbox_group=way.mailbox_group,
            factor=FACTOR[found.action],
            reason=found.reason,
            figures=found.figures,
            now=seen.at,
            until=until,
            provider=way.provider,
        )
        held = brakes.of_providers(connection, seen.account_id, seen.at)
        new.append(Held(seen.account_id, way, trouble, found, brake_id, until))
    return new


def _stronger(found: Guard, until: datetime | None, before: brakes.Brake) -> bool:
    """Whether less goes than before; or as little, but until a person lifts it."""
    factor = FACTOR[found.action]
    return factor < before.factor or (factor == before.factor and until is None and before.until is not None)


# --- content ---------------------------------------------------------------------------------------------------------


def observe_content(connection: sa.Connection, run: Run) -> Refused:
    """How much of a run was refused for its content, since somebody let it go on."""
    since = control.continuation(connection, run).at
    count, text = sender_refusals.of_content(connection, run.id, since)
    if not count:
        return Refused(0, 0, "")
    heard = total(results.of_run(connection, run.id, since=since).values()).heard
    return Refused(count, heard, text)


def hold(connection: sa.Connection, run: Run, refused: Refused, now: datetime) -> Guard | None:
    """Pause a run whose content is refused, with the exact words; None where it goes on, or is paused already."""
    found = sender_faults.content_guard(refused)
    if found.action is GuardAction.NONE:
        return None
    current = runs.get(connection, run.id, locked=True)
    if current.status is not RunStatus.DISPATCHING:
        return None
    runs.advance(connection, current, RunStatus.PAUSED, stop_reason=f"{CONTENT_REFUSED}: {found.reason}")
    audit_log.write(
        connection,
        account_id=run.plan.account_id,
        actor="guard",
        action="pause",
        subject=f"run:{run.id}",
        detail={"why": CONTENT_REFUSED, **found.figures},
        now=now,
    )
    return found
