"""SendGrid's endpoints: mail/send, suppressions, the public key of the signed webhook."""

import sqlite3
import time
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, model_validator

from providers.sandbox import acceptance, faults, kept_templates, rules, schedules, suppressions
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import Running, Sandbox, require_key
from providers.sandbox.suppressions import Listing

router = APIRouter(dependencies=[Depends(require_key)])
_END_OF_TIME = 2**40


@router.post(faults.PATH)
async def send(request: Request, sandbox: Running) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, Violation("Content-Type should be application/json."))
    body = await _body(request)
    response = await run_in_threadpool(_take, sandbox, body)
    sandbox.poster.wake()
    return response


async def _body(request: Request) -> bytes:
    """Read it all, keep no more than is allowed: a refusal in mid-body would reach the client as a reset."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= rules.MAX_BODY_BYTES:
            body += chunk
    if size > rules.MAX_BODY_BYTES:
        raise Refused(413, Violation("The JSON payload you have included in your request is too large."))
    return bytes(body)


def _take(sandbox: Sandbox, body: bytes) -> Response:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, Violation("Bad Request")) from error
    now = time.time()
    if found := rules.violations(payload, now=now):
        raise Refused(400, *found)
    if payload.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
        return Response(status_code=200)
    reference = acceptance.new_reference()
    with sandbox.store.write() as connection:
        _refuse_unknown_template(connection, payload)
        schedules.take(connection, payload, reference, sandbox.config, now=now)
    return Response(status_code=202, headers={"X-Message-Id": reference})


def _refuse_unknown_template(connection: sqlite3.Connection, payload: dict[str, Any]) -> None:
    """A dynamic template that nobody made, or of which no version is active, has no content."""
    template_id = payload.get("template_id", "")
    if template_id.startswith("d-") and not kept_templates.may_be_sent(connection, template_id):
        raise Refused(400, Violation("The template_id names no template with an active version.", "template_id"))


@router.get("/v3/user/webhooks/event/settings/signed")
def public_key(sandbox: Running) -> dict[str, str]:
    return {"public_key": sandbox.key.public_key}


@router.get("/v3/suppression/{listing}")
def suppression_list(
    listing: Listing,
    sandbox: Running,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
    offset: Annotated[int, Query(ge=0)] = 0,
    start_time: Annotated[int, Query(ge=0)] = 0,
    end_time: Annotated[int, Query(ge=0)] = _END_OF_TIME,
) -> list[dict[str, Any]]:
    end = min(end_time, int(time.time()))  # what lies ahead has not happened yet
    with sandbox.store.read() as connection:
        return suppressions.page(connection, listing, limit=limit, offset=offset, start=start_time, end=end)


class Removal(BaseModel):
    """Either some addresses or all."""

    emails: list[str] | None = None
    delete_all: bool = False

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "Removal":
        if self.delete_all == (self.emails is not None):
            raise ValueError("give either emails or delete_all")
        return self


@router.delete("/v3/suppression/{listing}", status_code=204)
def remove_from_list(listing: Listing, removal: Removal, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        suppressions.remove(connection, listing, removal.emails)


class Unsubscribes(BaseModel):
    """Addresses that want nothing more."""

    recipient_emails: Annotated[list[str], Field(min_length=1)]


@router.post("/v3/asm/suppressions/global", status_code=201)
def unsubscribe(added: Unsubscribes, sandbox: Running) -> Unsubscribes:
    now = time.time()
    with sandbox.store.write() as connection:
        suppressions.add(connection, [suppressions.unsubscribe(email, now) for email in added.recipient_emails])
    return added


@router.get("/v3/asm/suppressions/global/{email}")
def unsubscribed(email: str, sandbox: Running) -> dict[str, str]:
    """An empty object says that the address is not on the list."""
    with sandbox.store.read() as connection:
        listed = suppressions.is_unsubscribed(connection, email, time.time())
    return {"recipient_email": email} if listed else {}


@router.delete("/v3/asm/suppressions/global/{email}", status_code=204)
def resubscribe(email: str, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        suppressions.remove(connection, Listing.UNSUBSCRIBES, [email])


@router.delete("/v3/suppression/{listing}/{email}", status_code=204)
def remove_one(listing: Listing, email: str, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        suppressions.remove(connection, listing, [email])
