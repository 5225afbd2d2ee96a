"""Auditing a run outside of a flow too: nothing here needs Prefect."""

from datetime import timedelta

import settings
from data import audit, database, ledger_sweep, runs
from domain.ledger import BatchState
from domain.reports import Audit
from tasks import wiring

_MOVING = {BatchState.PLANNED, BatchState.INFLIGHT}

# A sweep comes every minute; a flow that takes long is no fault of a ledger.
_SWEEP_IS_LATE = timedelta(minutes=15)


def audit_of(run_id: str) -> Audit:
    """Audit one run; once its batches are out, against the ESP's own record too, where the ESP has one."""
    with database.read(wiring.engine()) as connection:
        provider = runs.get(connection, run_id).plan.provider
        # While mail goes out, the two records are of different instants and cannot agree.
        moving = _MOVING & ledger_sweep.progress(connection, run_id).states.keys()
    record = None if moving else wiring.acceptance_record(provider)
    accepted = record.accepted(run_id) if record is not None else None
    overdue = wiring.clock() - timedelta(minutes=settings.load().sending.hold_after_minutes) - _SWEEP_IS_LATE
    with database.read(wiring.engine()) as connection:
        return audit.audit(connection, run_id, record=accepted, overdue=overdue)
