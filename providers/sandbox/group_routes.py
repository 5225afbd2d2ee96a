"""SendGrid's endpoints of unsubscribe groups, and of who left them."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from providers.sandbox import groups
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import Running, require_key

router = APIRouter(prefix="/v3/asm/groups", dependencies=[Depends(require_key)])


class NewGroup(BaseModel):
    """What a group is called, with the lengths that SendGrid allows."""

    name: str = Field(min_length=1, max_length=30)
    description: str = Field("", max_length=100)
    is_default: bool = False


class Leaving(BaseModel):
    """Addresses that want no mail of one group."""

    recipient_emails: Annotated[list[str], Field(min_length=1)]


@router.post("", status_code=201)
def create(group: NewGroup, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        made = groups.create(connection, group.name, group.description, is_default=group.is_default)
    if made is None:
        raise Refused(400, Violation(f"You have reached the limit of {groups.MOST} suppression groups."))
    return made


@router.get("")
def every(sandbox: Running) -> list[dict[str, Any]]:
    with sandbox.store.read() as connection:
        return groups.every(connection)


@router.get("/{group_id}")
def one(group_id: int, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.read() as connection:
        found = groups.get(connection, group_id)
    if found is None:
        raise Refused(404, Violation("not found"))
    return found


@router.delete("/{group_id}", status_code=204)
def delete(group_id: int, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        known = groups.delete(connection, group_id)
    if not known:
        raise Refused(404, Violation("not found"))


@router.get("/{group_id}/suppressions")
def left(group_id: int, sandbox: Running) -> list[str]:
    with sandbox.store.read() as connection:
        return groups.left(connection, group_id)


@router.post("/{group_id}/suppressions", status_code=201)
def leave(group_id: int, leaving: Leaving, sandbox: Running) -> Leaving:
    with sandbox.store.write() as connection:
        groups.leave(connection, group_id, leaving.recipient_emails, time.time())
    return leaving


@router.delete("/{group_id}/suppressions/{email}", status_code=204)
def come_back(group_id: int, email: str, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        groups.come_back(connection, group_id, email)
