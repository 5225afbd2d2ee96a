"""SendGrid's endpoints for scheduled sends: batch ids, and what was said of a batch."""

import time

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from providers.sandbox import schedules
from providers.sandbox.schedules import Status
from providers.sandbox.state import Running, require_key

router = APIRouter(dependencies=[Depends(require_key)])


class Change(BaseModel):
    """What is said of a batch."""

    status: Status


class Beginning(Change):
    """What is said of which batch."""

    batch_id: str


@router.post("/v3/mail/batch", status_code=201)
def new_batch(sandbox: Running) -> dict[str, str]:
    with sandbox.store.write() as connection:
        return {"batch_id": schedules.issue(connection, now=time.time())}


@router.post("/v3/user/scheduled_sends", status_code=201)
def cancel_or_pause(said: Beginning, sandbox: Running) -> Beginning:
    with sandbox.store.write() as connection:
        schedules.begin(
            connection,
            said.batch_id,
            said.status,
            most=sandbox.config.most_called_back,
            late_cancels_work=sandbox.dial.faults.late_cancels_work,
            now=time.time(),
        )
    return said


@router.get("/v3/user/scheduled_sends")
def all_said(sandbox: Running) -> list[dict[str, str]]:
    with sandbox.store.read() as connection:
        return schedules.said(connection)


@router.get("/v3/user/scheduled_sends/{batch_id}")
def said_of(batch_id: str, sandbox: Running) -> list[dict[str, str]]:
    """An empty list says that the batch is neither cancelled nor paused."""
    with sandbox.store.read() as connection:
        return schedules.said(connection, batch_id)


@router.patch("/v3/user/scheduled_sends/{batch_id}", status_code=204)
def change(batch_id: str, said: Change, sandbox: Running) -> None:
    late = sandbox.dial.faults.late_cancels_work
    with sandbox.store.write() as connection:
        schedules.change(connection, batch_id, said.status, late_cancels_work=late, now=time.time())


@router.delete("/v3/user/scheduled_sends/{batch_id}", status_code=204)
def resume(batch_id: str, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        schedules.resume(connection, batch_id, sandbox.config, now=time.time())
    sandbox.poster.wake()
