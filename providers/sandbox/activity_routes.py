"""SendGrid's endpoint of Email Activity, which an account has to buy."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from providers.sandbox import activity
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import Running, require_key

router = APIRouter(dependencies=[Depends(require_key)])


@router.get("/v3/messages", response_model=None)
def messages(
    query: str, sandbox: Running, limit: Annotated[int, Query(ge=1, le=1000)] = 10
) -> dict[str, list[dict[str, Any]]] | Response:
    if not sandbox.config.email_activity:
        raise Refused(403, Violation("access forbidden"))
    if not sandbox.dial.may_look_up(time.monotonic()):
        return Response(status_code=429)
    behind = sandbox.dial.faults.activity_behind_seconds
    with sandbox.store.read() as connection:
        return {"messages": activity.search(connection, query, limit=limit, behind=behind, now=time.time())}
