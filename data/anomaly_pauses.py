"""Pausing what a shop sends because one of its key figures jumped: once for each jump, as a person's word counts more."""

from datetime import datetime

import sqlalchemy as sa

from data import control, runs, tables
from domain.campaigns import RunStatus


def pause(connection: sa.Connection, account_id: str, *, jump: str, why: str, now: datetime) -> list[str]:
    """Pause the runs of this account that send just now; which ones.

    A run that was paused for this jump before goes on: somebody looked at it and said so. `jump` names it, the same each
    hour for as long as it lasts.
    """
    sending = runs.with_status(connection, RunStatus.DISPATCHING, account_id=account_id)
    due = sorted(run.id for run in sending if run.plan.live and not _paused_before(connection, run.id, jump))
    for run_id in due:
        control.pause(connection, run_id, by=jump, why=why, now=now)
    return due


def _paused_before(connection: sa.Connection, run_id: str, jump: str) -> bool:
    log = tables.audit_log.c
    paused = (log.subject == f"run:{run_id}") & (log.action == "pause") & (log.actor == jump)
    return bool(connection.scalar(sa.select(sa.exists().where(paused))))
