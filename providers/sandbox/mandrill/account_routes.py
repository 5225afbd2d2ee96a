"""Transactional's end points of the account: who it is, and its denylist."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from providers.sandbox.mandrill import rejects
from providers.sandbox.mandrill.errors import PREFIX, Failed, require_key
from providers.sandbox.state import Running

router = APIRouter(prefix=PREFIX, dependencies=[Depends(require_key)])
_HOURLY_QUOTA = 100_000


@router.post("/users/ping2.json")
def ping() -> dict[str, str]:
    return {"PING": "PONG!"}


@router.post("/users/info.json")
def info() -> dict[str, Any]:
    return {
        "username": "sandbox",
        "created_at": "2026-01-01 00:00:00",
        "public_id": "sandbox",
        "reputation": 100,
        "hourly_quota": _HOURLY_QUOTA,
        "backlog": 0,
    }


class Addressed(BaseModel):
    """Whose row of the denylist."""

    email: Annotated[str, Field(min_length=3)]
    comment: str = ""


class Asked(BaseModel):
    """Which rows."""

    email: str | None = None
    include_expired: bool = False


@router.post("/rejects/list.json")
def listed(asked: Asked, sandbox: Running) -> list[dict[str, Any]]:
    email = asked.email.lower() if asked.email else None
    with sandbox.store.read() as connection:
        return rejects.listed(connection, email, include_expired=asked.include_expired, now=time.time())


@router.post("/rejects/add.json")
def put(addressed: Addressed, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        rejects.put(connection, addressed.email, addressed.comment, now=time.time())
    return {"email": addressed.email, "added": True}


@router.post("/rejects/delete.json")
def take_off(addressed: Addressed, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        if not rejects.take_off(connection, addressed.email):
            raise Failed("Invalid_Reject", f"{addressed.email} is not on your denylist")
    return {"email": addressed.email, "deleted": True, "subaccount": None}
