"""SendGrid's endpoints of Email Activity, which an account has to buy."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from providers.sandbox import activity
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import Running, Sandbox, require_key

router = APIRouter(dependencies=[Depends(require_key)])


@router.get("/v3/messages", response_model=None)
def messages(
    query: str, sandbox: Running, limit: Annotated[int, Query(ge=1, le=1000)] = 10
) -> dict[str, list[dict[str, Any]]] | Response:
    if (refused := _refused(sandbox)) is not None:
        return refused
    behind = sandbox.dial.faults.activity_behind_seconds
    with sandbox.store.read() as connection:
        return {"messages": activity.search(connection, query, limit=limit, behind=behind, now=time.time())}


@router.get("/v3/messages/{msg_id}", response_model=None)
def message(msg_id: str, sandbox: Running) -> dict[str, Any] | Response:
    if (refused := _refused(sandbox)) is not None:
        return refused
    behind = sandbox.dial.faults.activity_behind_seconds
    with sandbox.store.read() as connection:
        told = activity.story(connection, msg_id, seed=sandbox.config.seed, behind=behind, now=time.time())
    if told is None:
        raise Refused(404, Violation("message not found"))
    return told


def _refused(sandbox: Sandbox) -> Response | None:
    """The answer to who did not buy it (raised), or asks too often."""
    if not sandbox.config.email_activity:
        raise Refused(403, Violation("access forbidden"))
    return None if sandbox.dial.may_look_up(time.monotonic()) else Response(status_code=429)
