"""Transactional's end points for mail: send, send-template, search."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from providers.sandbox.mandrill import mail, search
from providers.sandbox.mandrill.errors import PREFIX, Failed, require_key
from providers.sandbox.state import Running

router = APIRouter(prefix=f"{PREFIX}/messages", dependencies=[Depends(require_key)])
_SEVEN_DAYS = 7 * 86_400  # messages/search looks back so far unless told otherwise


class Sending(BaseModel):
    """A mail, and how it goes."""

    model_config = ConfigDict(extra="ignore")

    message: mail.Mail
    in_background: Annotated[bool, Field(alias="async")] = False
    ip_pool: str | None = None
    send_at: str | None = None


class SendingTemplate(Sending):
    """The same, of a template that the ESP keeps."""

    template_name: str
    template_content: list[dict[str, str]]


class Query(BaseModel):
    """What is looked for."""

    query: str = "*"
    date_from: str | None = None
    date_to: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


@router.post("/send.json")
def send(sending: Sending, sandbox: Running) -> list[dict[str, Any]]:
    return _taken(sending, None, sandbox)


@router.post("/send-template.json")
def send_template(sending: SendingTemplate, sandbox: Running) -> list[dict[str, Any]]:
    return _taken(sending, sending.template_name, sandbox)


def _taken(sending: Sending, template: str | None, sandbox: Running) -> list[dict[str, Any]]:
    with sandbox.store.write() as connection:
        told = mail.take(
            connection,
            sending.message,
            template,
            sandbox.config,
            in_background=sending.in_background,
            goes_at=mail.send_at(sending.send_at),
            left_out=sandbox.dial.faults.results_left_out,
            now=time.time(),
        )
    sandbox.poster.wake()
    return told


@router.post("/search.json")
def searched(query: Query, sandbox: Running) -> list[dict[str, Any]]:
    now = time.time()
    if not sandbox.dial.may_search(now):
        raise Failed("RequestLimitExceeded", "Too many searches: 20 a minute are answered")
    since = mail.send_at(f"{query.date_from} 00:00:00") if query.date_from else now - _SEVEN_DAYS
    with sandbox.store.read() as connection:
        return search.found(
            connection,
            query.query,
            since=since,
            limit=query.limit,
            behind=sandbox.dial.faults.activity_behind_seconds,
            now=now,
        )
