"""Transactional's end points for templates. Each answers the whole template, or a list of them."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from providers.sandbox.mandrill import templates
from providers.sandbox.mandrill.errors import PREFIX, require_key
from providers.sandbox.state import Running

router = APIRouter(prefix=f"{PREFIX}/templates", dependencies=[Depends(require_key)])


class Named(BaseModel):
    """Which template; its slug names it too."""

    name: Annotated[str, Field(min_length=1)]


class Given(Named):
    """What it is to be. A part that is None stays as it is."""

    from_email: str | None = None
    from_name: str | None = None
    subject: str | None = None
    code: str | None = None
    text: str | None = None
    publish: bool = True
    labels: list[str] | None = None


class Asked(BaseModel):
    """Which templates."""

    label: str | None = None


@router.post("/add.json")
def add(given: Given, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        return templates.add(connection, given.name, given.model_dump(), now=time.time())


@router.post("/update.json")
def update(given: Given, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        return templates.update(connection, given.name, given.model_dump(), now=time.time())


@router.post("/publish.json")
def publish(named: Named, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        return templates.publish(connection, named.name, now=time.time())


@router.post("/delete.json")
def delete(named: Named, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        return templates.delete(connection, named.name)


@router.post("/info.json")
def info(named: Named, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.read() as connection:
        return templates.info(connection, named.name)


@router.post("/list.json")
def listed(asked: Asked, sandbox: Running) -> list[dict[str, Any]]:
    with sandbox.store.read() as connection:
        return templates.listed(connection, asked.label)
