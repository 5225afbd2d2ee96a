"""What no ESP has: questions about its record, and the knobs of its faults."""

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from providers.sandbox import figures
from providers.sandbox.faults import Faults
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import KnowsTheKey, Running, require_key

router = APIRouter()


@router.get("/health")
def health(sandbox: Running) -> JSONResponse:
    """Answer 503 when events are no longer posted, which only a restart cures."""
    dead = sandbox.poster.posts and sandbox.posting.done()
    return JSONResponse({"status": "not posting events" if dead else "ok"}, status_code=503 if dead else 200)


@router.get("/sandbox/accepted")
def accepted(run: str, sandbox: Running) -> dict[str, int]:
    with sandbox.store.read() as connection:
        return figures.accepted(connection, run)


@router.get("/sandbox/summary")
def summary(sandbox: Running, run: str | None = None) -> dict[str, Any]:
    with sandbox.store.read() as connection:
        return figures.summary(connection, run)


@router.get("/sandbox/message/{message_id}")
def message(message_id: str, sandbox: Running, known: KnowsTheKey) -> dict[str, Any]:
    """Tell a message's story; its address only to those who know the key."""
    with sandbox.store.read() as connection:
        acceptances = figures.message(connection, message_id, with_address=known)
    if not acceptances:
        raise Refused(404, Violation("The sandbox never accepted a message with this id."))
    return {"message_id": message_id, "acceptances": acceptances}


@router.get("/sandbox/faults", dependencies=[Depends(require_key)])
def faults(sandbox: Running) -> Faults:
    return sandbox.dial.faults


@router.put("/sandbox/faults", dependencies=[Depends(require_key)])
async def turn(faults: Faults, sandbox: Running) -> Faults:
    """Replace all knobs; an empty object takes every fault back."""
    sandbox.dial.turn(faults)
    sandbox.poster.wake()
    return faults
