"""Auditing a run outside of a flow too: nothing here needs Prefect."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import settings
from data import audit, batches, database, ledger_sweep
from domain.ledger import BatchState
from domain.reports import Audit
from tasks import esps, wiring

_MOVING = {BatchState.PLANNED, BatchState.INFLIGHT}

# A sweep comes every minute; a flow that takes long is no fault of a ledger.
_SWEEP_IS_LATE = timedelta(minutes=15)


def audit_of(run_id: str) -> Audit:
    """Audit one run; once its batches are out, against the ESPs' own records too, where all of them have one."""
    with database.read(wiring.engine()) as connection:
        tried = batches.providers(connection, run_id)
        # While mail goes out, the two records are of different instants and cannot agree.
        moving = _MOVING & ledger_sweep.progress(connection, run_id).states.keys()
    accepted = None if moving else _accepted(run_id, tried)
    overdue = wiring.clock() - timedelta(minutes=settings.load().sending.hold_after_minutes) - _SWEEP_IS_LATE
    with database.read(wiring.engine()) as connection:
        return audit.audit(connection, run_id, record=accepted, overdue=overdue)


def _accepted(run_id: str, providers: Sequence[str]) -> Counter[str] | None:
    """How often each message was accepted, over all ESPs: one that two of them took went out twice."""
    records = [esps.acceptance_record(provider) for provider in providers]
    if not records or None in records:
        return None
    found: Counter[str] = Counter()
    # Several names may stand for one ESP, whose record is to be counted once.
    for record in {one.url: one for one in records if one is not None}.values():
        found.update(record.accepted(run_id))
    return found
