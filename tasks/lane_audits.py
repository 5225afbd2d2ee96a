"""Auditing an account's transactional mail, against the sandbox's own record too. Nothing here needs Prefect."""

from collections.abc import Sequence
from datetime import timedelta

from data import database, transactional_audit
from data.transactional_audit import LaneAudit
from tasks import esps, wiring

# The record is asked message by message; the latest tell of a fault as well as all would.
_COMPARED = 300
# The two records are of one instant once nothing moves: a message that was asked for this moment may be on its way.
_RESTED = timedelta(minutes=10)


def audit_of(account_id: str, window: timedelta) -> LaneAudit:
    """Audit what was asked for within the window. Raises RecordUnavailable where the sandbox does not answer."""
    now = wiring.clock()
    with database.read(wiring.engine()) as connection:
        ids = transactional_audit.to_compare(
            connection, account_id=account_id, since=now - window, until=now - _RESTED, most=_COMPARED
        )
        tried = transactional_audit.providers(connection, ids)
    record = _accepted(ids, tried)
    with database.read(wiring.engine()) as connection:
        return transactional_audit.audit(
            connection, account_id=account_id, since=now - window, now=now, record=record, asked_of=ids
        )


def _accepted(ids: Sequence[str], tried: Sequence[str]) -> dict[str, int] | None:
    """How often each was accepted, over all ESPs; None where not all of them have a record."""
    records = [esps.acceptance_record(provider) if esps.is_declared(provider) else None for provider in tried]
    if not records or None in records:
        return None
    # Several names may stand for one ESP, whose record is to be counted once.
    distinct = {one.url: one for one in records if one is not None}.values()
    return {one: sum(sum(record.accepted(one).values()) for record in distinct) for one in ids}
