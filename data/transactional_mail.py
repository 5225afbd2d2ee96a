"""Writing a transactional message: from its row to the mail that one person gets, or why she gets none."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from data import brands, content, messages, order_mail
from data.content import Template
from data.field_values import FieldError
from domain.accounts import Account
from domain.ledger import BatchState
from domain.templates import Content


class Unwritable(ValueError):
    """The message cannot go: `state` is where it ends. The text says why, and holds no value and no address."""

    def __init__(self, state: BatchState, why: str) -> None:
        super().__init__(why)
        self.state = state


@dataclass(frozen=True, slots=True)
class Letter:
    """A written message: what it says, to which mailbox."""

    address: str
    address_hash: str
    mailbox_group: str
    content: Content


def constants(account: Account) -> dict[str, str]:
    """What is the same in all mail of an account."""
    return {"shop_name": account.name, "postal_address": account.postal_address, "sender_name": account.sender_name}


def in_language(name: str, locale: str | None, own: Path | None) -> str:
    """The template in the reader's language where there is one (order-confirmation-de), else as it is."""
    language = _language(locale)
    return f"{name}-{language}" if language and content.exists(f"{name}-{language}", own) else name


def spelled(locale: str | None, template: Template) -> str | None:
    """How days and money are written: as the reader does (en-US), unless the template speaks another language than she."""
    return locale if _language(locale) == _language(template.language) else None


# What nobody wants to read of an order that is off by now.
_HOPEFUL = frozenset({"placed", "paid", "shipped"})


def _language(locale: str | None) -> str:
    return (locale or "").replace("_", "-").partition("-")[0].lower()


def write(connection: sa.Connection, row: Any, account: Account, own: Path | None) -> Letter:
    """Write the message of this row of transactional_messages.

    Raises Unwritable, and TemplateError for a fault of the template: that may be mended, and the message waits for it.
    """
    if row.order_id is not None:
        found = order_mail.of_order(connection, row.order_id, step=row.step, reference=row.reference)
        if row.step in _HOPEFUL and found.is_off:
            raise Unwritable(BatchState.CANCELLED, "its order was cancelled or deleted since")
        to = (found.email, found.address_hash, found.mailbox_group)
        values, locale = {**found.values, **(row.variables or {})}, row.locale or found.locale
    else:
        to = (row.email, row.address_hash, row.mailbox_group)
        values, locale = dict(row.variables or {}), row.locale
    if to[0] is None or to[1] is None or to[2] is None:
        raise Unwritable(BatchState.SUPPRESSED, "no_address")
    try:
        template = content.load(in_language(row.template, locale or account.language, own), own)
        return Letter(to[0], to[1], to[2], rendered(template, values, account, locale, own))
    except FieldError as error:
        raise Unwritable(BatchState.REJECTED, f"it cannot be written: {error}") from None


def rendered(
    template: Template, values: dict[str, Any], account: Account, locale: str | None, own: Path | None
) -> Content:
    """The mail for one person, whole: no placeholder is left for the ESP. Raises FieldError, TemplateError."""
    brand = brands.load(own, account.id)
    written = messages.render_message(template, values, constants(account), spelled(locale, template), brand=brand)
    digest = hashlib.sha256(f"{written.subject}\0{written.html}\0{written.text}".encode()).hexdigest()
    return Content(template.name, written.subject, written.html, written.text, (), digest)
