"""Previews as they were made, kept as JSON for the page that shows them. Reading one needs no frames: the gateway does."""

import secrets
from datetime import timedelta
from typing import Any

import pydantic
import sqlalchemy as sa

from data import tables
from domain.previews import Preview

_JSON = pydantic.TypeAdapter(Preview)
_KEPT = timedelta(days=90)  # samples are of people: none is kept for ever, masked as they are


class UnknownPreview(LookupError):
    """No preview of that id: there was none, or it is older than 90 days."""


def new_id() -> str:
    """An id that cannot be guessed: who has it may see the page."""
    return "p" + secrets.token_hex(12)


def store(connection: sa.Connection, preview: Preview) -> None:
    """Keep a preview; those of the account that are older than 90 days go."""
    table = tables.previews
    old = (table.c.account_id == preview.account_id) & (table.c.made_at < preview.made_at - _KEPT)
    connection.execute(table.delete().where(old))
    connection.execute(
        table.insert().values(
            id=preview.id,
            account_id=preview.account_id,
            segment=preview.question.segment,
            made_at=preview.made_at,
            figures=_JSON.dump_python(preview, mode="json"),
        )
    )


def load(connection: sa.Connection, preview_id: str) -> Preview:
    """A preview as it was kept. Raises UnknownPreview."""
    table = tables.previews.c
    figures = connection.scalar(sa.select(table.figures).where(table.id == preview_id))
    if figures is None:
        raise UnknownPreview(f"there is no preview {preview_id!r}; previews are kept for {_KEPT.days} days")
    return _JSON.validate_python(figures)


def as_json(preview: Preview) -> dict[str, Any]:
    """A preview as plain lists, dicts, text and numbers; money as decimal text."""
    plain: dict[str, Any] = _JSON.dump_python(preview, mode="json")
    return plain
