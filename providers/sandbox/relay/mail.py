"""Take a mail on: who it is for, which of our messages it is, and what will come of it.

A mail names its message by its Message-ID, or by X-SMTPAPI's unique_args. Whether that name is signed is not the relay's
to ask; one without such a name is kept under a name of the relay's own.
"""

import json
import re
import sqlite3
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import Message
from typing import Any

from providers.sandbox import acceptance
from providers.sandbox.acceptance import Person, Taken
from providers.sandbox.config import SandboxConfig
from providers.sandbox.fate import End, Kind
from providers.sandbox.suppressions import Entry

VENDOR = "smtp"
# Run, ordinal and perhaps attempt, as they stand at the beginning of what domain/message_ids.py makes.
_OURS = re.compile(
    r"<([a-z][a-z0-9-]{0,40}\.\d{1,9})(?:\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?\.\d{1,3}\.[a-z0-9_-]{20}@",
    re.IGNORECASE,
)
_KEPT_HEADERS = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
)


@dataclass(slots=True)
class Recipient:
    """One RCPT: the address, and what reports are wanted (RFC 3461)."""

    address: str
    notify: frozenset[str] = frozenset({"FAILURE", "DELAY"})
    orcpt: str = ""


@dataclass(slots=True)
class Envelope:
    """What MAIL and RCPT said."""

    sender: str
    envid: str = ""
    recipients: list[Recipient] = field(default_factory=list)


def take(
    connection: sqlite3.Connection, envelope: Envelope, content: bytes, config: SandboxConfig, *, now: float
) -> str:
    """Write it down, and return by which name it is queued."""
    reference = acceptance.new_reference()
    mail = message_from_bytes(content, policy=policy.compat32)
    message_id, attempt_id = _named(mail)
    people = [
        Person(
            message_id=message_id or f"{reference}.{position}",
            attempt_id=attempt_id,
            address=recipient.address,
            copy=position > 0,
            key=message_id or recipient.address.lower(),
            custom_args={
                "return_path": envelope.sender,
                "envid": envelope.envid,
                "orcpt": recipient.orcpt,
                "notify": ",".join(sorted(recipient.notify)),
            },
            send_at=0.0,
        )
        for position, recipient in enumerate(envelope.recipients)
    ]
    headers = [f"{name}: {mail[name]}" for name in _KEPT_HEADERS if mail[name] is not None]
    taken = Taken(VENDOR, reference, {"headers": headers}, acceptance.links("", ()), people, {}, "", _listed)
    acceptance.write(connection, taken, seed=config.seed, delay=config.event_delay_seconds, now=now)
    return reference


def _listed(_end: End, _kind: Kind, _address: str, _at: float) -> Entry | None:
    """A relay keeps no lists."""
    return None


def _named(mail: Message) -> tuple[str | None, str | None]:
    """Message and attempt, as the mail says."""
    try:
        told: Any = json.loads(str(mail["X-SMTPAPI"] or "{}"))
    except ValueError:
        told = {}
    own = told.get("unique_args") if isinstance(told, dict) else None
    if isinstance(own, dict) and isinstance(own.get("message_id"), str):
        return own["message_id"], own.get("attempt_id")
    found = _OURS.match(str(mail["Message-ID"] or "").strip())
    return (found[1].lower(), found[2]) if found else (None, None)
