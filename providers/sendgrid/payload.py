"""The body of POST /v3/mail/send, straight from a batch's columns: no object for any recipient.

All personalizations have one shape, which is written once with slots; each column becomes JSON in one call, and both
are joined. A dict for each recipient costs three times as much, the official helper objects twenty times and more
(benchmarks/sendgrid_payload.py). Ids travel in each personalization's `custom_args`: SendGrid echoes them in every
event, and its X-Message-Id is one per request.
"""

import html
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import orjson

from domain import ports, templates
from providers import batch_checks
from providers.sendgrid import checks
from providers.sendgrid.config import SendGridConfig

# The variable by which a template places its visible unsubscribe link.
UNSUBSCRIBE_VARIABLE = "unsubscribe_url"
_LONGEST_CATEGORY = 255
_MARKUP = "&<>\"'"  # what html.escape replaces
# A line break is in no JSON but between its tokens: inside a string it is escaped.
_SLOT = orjson.Fragment(b"\n")
_BETWEEN = b",\n  "
_ONE_CLICK = "List-Unsubscribe=One-Click"
# Our own unsubscribe link and headers are in every mail; SendGrid's would be a second one that we never hear of.
_TRACKING = {
    "click_tracking": {"enable": True, "enable_text": False},
    "open_tracking": {"enable": True},
    "subscription_tracking": {"enable": False},
}
# A link in mail that she waits for may be a secret: it goes through no redirector, and into no log of clicks.
_NO_TRACKING = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}
# The one list that mail she waits for goes past (facts/reliability.md C32). The flag is for global unsubscribes; of groups
# mail is only dropped that names one, and this names none. bypass_list_management would override bounces and spam reports
# too, and may not even be named beside this one, switched off or not: SendGrid refuses that (sendgrid/docs #6549).
_PAST_UNSUBSCRIBES = {"bypass_unsubscribe_management": {"enable": True}}
# RFC 3834: whoever is on holiday does not answer to it.
_AUTOMATIC = {"Auto-Submitted": "auto-generated"}


def build(batch: ports.Batch, config: SendGridConfig) -> bytes:
    """Return the request's body. Raises PayloadError, or its kind RecipientRefused, before anything is sent."""
    checks.batch_shape(batch)
    checks.custom_args(batch)
    checks.recipients(batch)
    checks.sender(batch)
    checks.scheduling(batch)
    batch_checks.header_text("subject", batch.content.subject)
    links = {} if batch.transactional else {UNSUBSCRIBE_VARIABLE: batch.unsubscribe_urls}
    values: dict[str, Sequence[str]] = {**batch.variables, **links}
    try:
        body = _dynamic(batch, values) if batch.content.esp_template_id else _inline(batch, values)
        return orjson.dumps(body | _settings(batch, config))
    except orjson.JSONEncodeError:  # its text may repeat a value
        raise batch_checks.RecipientRefused("a value is not valid Unicode (half of a surrogate pair)") from None


def _inline(batch: ports.Batch, values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    batch_checks.inline_content(batch, tuple(values))
    content = batch.content
    columns = _substitutions(content, values)
    checks.substitutions(columns)
    parts = (("text/plain", content.text), ("text/html", content.html))  # SendGrid demands this order
    return {
        "personalizations": _personalizations(batch, "substitutions", columns),
        "subject": content.subject,
        "content": [{"type": kind, "value": value} for kind, value in parts if value],
    }


def _substitutions(content: templates.Content, values: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Only placeholders that occur, each with its column: plain values for subject and text, escaped for HTML."""
    columns: dict[str, Sequence[str]] = {}
    for name, column in values.items():
        plain, escaped = templates.plain_tag(name), templates.html_tag(name)
        if plain in content.subject:
            batch_checks.header_values(name, column)
        if plain in content.subject or plain in content.text:
            columns[plain] = column
        if escaped in content.html:
            columns[escaped] = _escaped(column)
    return columns


def _escaped(column: Sequence[str]) -> Sequence[str]:
    """Escape each different value once, and none where one scan finds nothing to escape: a third of the time."""
    text = "".join(column)
    if not any(character in text for character in _MARKUP):
        return column
    escaped = {value: html.escape(value) for value in set(column)}
    return [escaped[value] for value in column]


def _dynamic(batch: ports.Batch, values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Handlebars escapes by itself, so values travel as they are."""
    checks.dynamic_content(batch, tuple(values))
    for name, column in values.items():
        batch_checks.header_values(name, column)  # the template at SendGrid may use any of them in its subject
    content = batch.content
    # The published contract requires subject and content beside a template too, which overrides both. Our parts are
    # not sent: placeholders in them would reach the customer, should the template lack a part.
    return {
        "template_id": content.esp_template_id,
        "personalizations": _personalizations(batch, "dynamic_template_data", values),
        "subject": content.subject or content.name,
        "content": [{"type": "text/plain", "value": content.subject or content.name}],
    }


def _personalizations(batch: ports.Batch, key: str, columns: Mapping[str, Sequence[str]]) -> orjson.Fragment:
    shape: dict[str, Any] = {
        "to": [{"email": _SLOT}],
        "custom_args": {"message_id": _SLOT, "attempt_id": batch.attempt_id},
    }
    first: list[Sequence[str]] = [batch.addresses, batch.message_ids]
    if not batch.transactional:
        shape["headers"] = {"List-Unsubscribe": _SLOT, "List-Unsubscribe-Post": _ONE_CLICK}
        first.append([f"<{url}>" for url in batch.unsubscribe_urls])
    if columns or not batch.transactional:
        shape[key] = dict.fromkeys(columns, _SLOT)
    return _filled(shape, [*first, *columns.values()])


def _filled(shape: Mapping[str, Any], columns: Sequence[Sequence[str]]) -> orjson.Fragment:
    """A JSON array of one object for each row of the columns, which fill the shape's slots in their order."""
    *before, end = orjson.dumps(shape).split(b"\n")
    size = len(columns[0])
    written: dict[int, list[bytes]] = {}  # a value that needs no escaping stands in two columns that are one
    for column in columns:
        if id(column) not in written:
            written[id(column)] = _strings(column)
    texts = (written[id(column)] for column in columns)
    parts = chain.from_iterable((repeat(text, size), values) for text, values in zip(before, texts, strict=True))
    rows = zip(*parts, repeat(end + b",", size), strict=True)  # nobody's value may slip to her neighbour
    return orjson.Fragment(b"[" + b"".join(chain.from_iterable(rows))[:-1] + b"]")


def _strings(column: Sequence[str]) -> list[bytes]:
    """Each of at least one value as JSON."""
    array = orjson.dumps(column if isinstance(column, list) else list(column), option=orjson.OPT_INDENT_2)
    return array.removeprefix(b"[\n  ").removesuffix(b"\n]").split(_BETWEEN)


def _settings(batch: ports.Batch, config: SendGridConfig) -> dict[str, Any]:
    sender = batch.sender
    body: dict[str, Any] = {
        "from": {"email": sender.email, "name": sender.name} if sender.name else {"email": sender.email},
        "categories": [category(batch.campaign)],
    }
    if sender.reply_to:
        body["reply_to"] = {"email": sender.reply_to}
    if batch.pool is not None:
        body["ip_pool_name"] = batch.pool
    if batch.send_at is not None:
        body["send_at"] = int(batch.send_at.timestamp())
    if batch.schedule_id is not None:
        body["batch_id"] = batch.schedule_id
    return body | _of_stream(batch, config)


def _of_stream(batch: ports.Batch, config: SendGridConfig) -> dict[str, Any]:
    """What differs between mail that she waits for and mail that she may leave."""
    handling: dict[str, Any] = {"sandbox_mode": {"enable": True}} if config.validate_only else {}
    if batch.transactional:
        return {
            "tracking_settings": _NO_TRACKING,
            "headers": _AUTOMATIC,
            "mail_settings": handling | _PAST_UNSUBSCRIBES,
        }
    body: dict[str, Any] = {"tracking_settings": _TRACKING}
    if config.asm_group_id is not None:
        body["asm"] = {"group_id": config.asm_group_id}
    return body | ({"mail_settings": handling} if handling else {})


def category(campaign: str) -> str:
    """The campaign's name in printable ASCII, as SendGrid demands of categories: Frühling becomes Fruhling."""
    plain = unicodedata.normalize("NFKD", campaign).encode("ascii", "ignore").decode()
    return (
        "".join(character for character in plain if character.isprintable())[:_LONGEST_CATEGORY].strip() or "campaign"
    )
