"""The body of POST /email/batch: whole mails, because Postmark fills values in templates alone that it keeps itself.

Limits: "Send batch emails" (500 mails, 50 MB), "Custom metadata" (names of 20 characters, values of 80).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from domain import ports, templates
from providers import batch_checks
from providers.batch_checks import PayloadError, RecipientRefused
from providers.filling import Text
from providers.postmark.config import PostmarkConfig

UNSUBSCRIBE_VARIABLE = "unsubscribe_url"
_LONGEST_METADATA = 80
_LONGEST_TAG = 1000


def build(batch: ports.Batch, config: PostmarkConfig) -> bytes:
    """Return the request's body. Raises PayloadError, or its kind RecipientRefused, before anything is sent."""
    _check(batch, config)
    links = {} if batch.transactional else {UNSUBSCRIBE_VARIABLE: batch.unsubscribe_urls}
    values: dict[str, Sequence[str]] = {**batch.variables, **links}
    names = tuple(values)
    batch_checks.inline_content(batch, names)
    content = batch.content
    subject = Text(content.subject, names, templates.plain_tag, escaped=False)
    for name in set(subject.names):
        batch_checks.header_values(name, values[name])
    parts = {
        "Subject": subject,
        "TextBody": Text(content.text, names, templates.plain_tag, escaped=False),
        "HtmlBody": Text(content.html, names, templates.html_tag, escaped=True),
    }
    common = _common(batch, config)
    mails = [common | _own(batch, number, parts, values) for number in range(len(batch))]
    try:
        return orjson.dumps(mails)
    except orjson.JSONEncodeError:  # its text may repeat a value
        raise RecipientRefused("a value is not valid Unicode (half of a surrogate pair)") from None


def _common(batch: ports.Batch, config: PostmarkConfig) -> dict[str, Any]:
    sender = batch.sender
    name = sender.name.replace("\\", "\\\\").replace('"', '\\"')
    found = {
        "From": f'"{name}" <{sender.email}>' if name else sender.email,
        "Tag": batch.campaign[:_LONGEST_TAG],
        **(_waited_for(batch, config) if batch.transactional else _left_at_will(batch, config)),
    }
    return found | ({"ReplyTo": sender.reply_to} if sender.reply_to else {})


def _waited_for(batch: ports.Batch, config: PostmarkConfig) -> dict[str, Any]:
    """Suppressions are each stream's own, so who left the broadcasts is reached.

    A link may be a secret: it goes through no redirector. Nobody's holiday answers to it (RFC 3834).
    """
    return {
        "MessageStream": batch.pool or config.transactional_stream,
        "TrackOpens": False,
        "TrackLinks": "None",
        "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
    }


def _left_at_will(batch: ports.Batch, config: PostmarkConfig) -> dict[str, Any]:
    return {"MessageStream": batch.pool or config.message_stream, "TrackOpens": True, "TrackLinks": "HtmlOnly"}


def _own(
    batch: ports.Batch, number: int, parts: Mapping[str, Text], values: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    row = {name: column[number] for name, column in values.items()}
    own: dict[str, Any] = {
        "To": batch.addresses[number],
        "Metadata": {"message_id": batch.message_ids[number], "attempt_id": batch.attempt_id},
        **{name: text for name, part in parts.items() if (text := part.filled(row))},
    }
    if not batch.transactional:
        own["Headers"] = [
            {"Name": "List-Unsubscribe", "Value": f"<{batch.unsubscribe_urls[number]}>"},
            {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
        ]
    return own


def _check(batch: ports.Batch, config: PostmarkConfig) -> None:
    size = len(batch)
    if not 0 < size <= config.batch_size:
        raise PayloadError(f"a request takes 1 to {config.batch_size} mails as set, this batch has {size}")
    links = {} if batch.transactional else {"unsubscribe_urls": batch.unsubscribe_urls}
    columns: dict[str, Sequence[str]] = {"addresses": batch.addresses, **links, **batch.variables}
    for name, values in columns.items():
        if len(values) != size:
            raise PayloadError(f"the batch has {size} messages but {len(values)} values of {name}")
        if set(map(type, values)) != {str}:
            raise PayloadError(f"every value of {name} must be a string")
    if batch.content.esp_template_id is not None:
        raise PayloadError("templates that live at Postmark are not sent from here")
    if batch.send_at is not None or batch.schedule_id is not None:
        raise PayloadError("Postmark lets mail go at once: it cannot be scheduled")
    if max(map(len, (*batch.message_ids, batch.attempt_id))) > _LONGEST_METADATA:
        raise PayloadError(f"an id exceeds Postmark's {_LONGEST_METADATA} characters")
    for what, text in (("subject", batch.content.subject), ("sender's name", batch.sender.name)):
        batch_checks.header_text(what, text)
    batch_checks.header_text("sender's address", batch.sender.email)
    batch_checks.header_text("reply address", batch.sender.reply_to or "")
    batch_checks.header_values("address", batch.addresses)
    batch_checks.unsubscribe_urls(batch.unsubscribe_urls)
    # To takes several, with commas between them: nobody's address may become two.
    if not all(batch.addresses) or any(set(one) & set(',;<>"') for one in batch.addresses):
        raise RecipientRefused("an address is empty, or not one address alone")
