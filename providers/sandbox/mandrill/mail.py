"""Take a mail of messages/send on: what is refused as a whole, and what becomes of each recipient.

Up to ten recipients are answered one by one: `sent`, or `rejected` with the denylist's reason, or `invalid`. More than ten
are all `queued`, whatever becomes of them, as are those of an `async` request; then a `reject` event tells. A message that
is refused in the answer is not among those that were taken on.
"""

import calendar
import random
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from providers.sandbox import acceptance, fate, shapes
from providers.sandbox.acceptance import Person, Taken
from providers.sandbox.config import SandboxConfig
from providers.sandbox.mandrill import events, rejects, templates
from providers.sandbox.mandrill.errors import Failed

_AT_ONCE = 10
_MOST_METADATA_BYTES = 200
_LONGEST_TAG = 50
_INVALID = "invalid"
_YEAR = 365 * 86_400


class Recipient(BaseModel):
    """To whom."""

    model_config = ConfigDict(extra="ignore")

    email: str
    name: str | None = None
    type: str = "to"


class Mail(BaseModel):
    """What is read of `message`; the rest of it is taken and not looked at."""

    model_config = ConfigDict(extra="ignore")

    to: list[Recipient]
    html: str | None = None
    text: str | None = None
    subject: str | None = None
    from_email: str | None = None
    tags: list[str] = []
    metadata: dict[str, str | int | float | bool | None] = {}
    recipient_metadata: list[dict[str, Any]] = []
    subaccount: str | None = None


def send_at(text: str | None) -> float:
    """When it is to go, as seconds since the epoch; now where nothing is said. Raises Failed."""
    if not text:
        return 0.0
    try:
        at = float(calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S")))
    except ValueError:
        raise Failed("ValidationError", "Validation error: send_at must be YYYY-MM-DD HH:MM:SS in UTC") from None
    if at > time.time() + _YEAR:
        raise Failed("ValidationError", "Validation error: send_at is more than a year ahead")
    return at


def take(
    connection: sqlite3.Connection,
    mail: Mail,
    template: str | None,
    config: SandboxConfig,
    *,
    in_background: bool,
    goes_at: float,
    left_out: float,
    now: float,
) -> list[dict[str, Any]]:
    """Take it on, and say of each recipient what becomes of it. `left_out`: so many of them the answer does not name."""
    if template is not None:
        templates.published(connection, template)
    _check(mail, template)
    reference = acceptance.new_reference()
    queued = in_background or len(mail.to) > _AT_ONCE
    people = _people(mail, reference, goes_at)
    dropped = rejects.reasons(connection, [person.address.lower() for person in people], now)
    refused = {} if queued else {one.address: why for one in people if (why := _refused(one, dropped, config.seed))}
    taken = Taken(
        events.VENDOR,
        reference,
        {"sender": mail.from_email, "subject": mail.subject, "template": template, "tags": mail.tags},
        acceptance.links(mail.html or "", ("*|",)),
        [person for person in people if person.address not in refused],
        dropped,
        _INVALID,
        rejects.entry,
    )
    acceptance.write(connection, taken, seed=config.seed, delay=config.event_delay_seconds, now=now)
    status = "scheduled" if goes_at > now else "queued" if queued else "sent"
    return _told(people, reference, status, refused, left_out)


def _told(
    people: Sequence[Person], reference: str, status: str, refused: Mapping[str, str], left_out: float
) -> list[dict[str, Any]]:
    dice = random.Random(reference)  # noqa: S311 - dice for tests, not a secret
    answer = []
    for person in people:
        why = refused.get(person.address)
        called = status if why is None else "invalid" if why == _INVALID else "rejected"
        told = {"email": person.address, "status": called, "reject_reason": why}
        if why != _INVALID:
            told["_id"] = events.message_id(reference, person.message_id, person.address)
        if dice.random() >= left_out:
            answer.append(told)
    return answer


def _refused(person: Person, dropped: Mapping[str, str], seed: int) -> str | None:
    if not shapes.is_address(person.address):
        return _INVALID
    if (why := dropped.get(person.address.lower())) is not None:
        return why
    story = fate.of(seed=seed, key=person.key, address=person.address, suppressed=False)
    return _INVALID if story.end is fate.End.INVALID else None


def _people(mail: Mail, reference: str, goes_at: float) -> list[Person]:
    own = {str(one.get("rcpt", "")).lower(): one.get("values") or {} for one in mail.recipient_metadata}
    people = []
    for position, recipient in enumerate(mail.to):
        metadata = {**mail.metadata, **own.get(recipient.email.lower(), {})}
        if len(orjson.dumps(metadata)) > _MOST_METADATA_BYTES:
            raise Failed("ValidationError", "Validation error: metadata is limited to 200 bytes")
        ours = metadata.get("message_id")
        people.append(
            Person(
                message_id=str(ours or f"{reference}.{position}"),
                attempt_id=metadata.get("attempt_id"),
                address=recipient.email,
                copy=recipient.type != "to",
                key=str(ours or recipient.email.lower()),
                custom_args=metadata,
                send_at=goes_at,
            )
        )
    return people


def _check(mail: Mail, template: str | None) -> None:
    if not mail.to:
        raise Failed("ValidationError", "Validation error: message.to must name a recipient")
    if mail.subaccount is not None and mail.subaccount != "sandbox":
        raise Failed("Unknown_Subaccount", f'No subaccount exists with the id "{mail.subaccount}"')
    if template is None and (not mail.from_email or not shapes.is_address(mail.from_email)):
        raise Failed("ValidationError", "Validation error: message.from_email is no address")
    if template is None and not (mail.html or mail.text):
        raise Failed("ValidationError", "Validation error: message has neither html nor text")
    if any(tag.startswith("_") or len(tag) > _LONGEST_TAG for tag in mail.tags):
        raise Failed("ValidationError", "Validation error: a tag begins with an underscore or exceeds 50 characters")
