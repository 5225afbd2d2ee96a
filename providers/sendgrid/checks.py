"""What SendGrid forbids and its published contract does not say (facts/esp-contracts.md sections 4.1 and 7).

All of it raises before a byte is sent. PayloadError is a fault of the whole batch, so of our program or of the
campaign; RecipientRefused lies in one recipient's data, and a smaller batch without him would pass.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain import ports, templates
from providers.sendgrid.schedule import BATCH_ID

MAX_RECIPIENTS = 1000
MAX_CUSTOM_ARGS_BYTES = 10_000
MAX_SUBSTITUTIONS = 150
MAX_SUBSTITUTION_BYTES = 10_000
LONGEST_AHEAD = timedelta(hours=72)
_POOL_NAME = range(2, 65)  # characters
_LONGEST_UTF8 = 4
# C0, DEL, C1 and the two Unicode line ends: whatever could begin a new header line somewhere on the way.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# RFC 8058 headers hold the URL between < and >: visible ASCII only, and neither of these two.
_NOT_IN_URL = " <>"


class PayloadError(ports.Unsendable):
    """The batch cannot become a request; nothing was sent. The message holds no address and no value."""


class RecipientRefused(PayloadError):
    """One recipient's data cannot become a request; nothing was sent."""


def batch_shape(batch: ports.Batch) -> None:
    """Refuse a batch that is empty, too large, or whose columns do not match."""
    size = len(batch)
    if not 0 < size <= MAX_RECIPIENTS:
        raise PayloadError(f"a SendGrid request takes 1 to {MAX_RECIPIENTS} messages, this batch has {size}")
    columns = {"addresses": batch.addresses, "unsubscribe_urls": batch.unsubscribe_urls, **batch.variables}
    for name, values in columns.items():
        if len(values) != size:
            raise PayloadError(f"the batch has {size} messages but {len(values)} values of {name}")
        if set(map(type, values)) != {str}:
            raise PayloadError(f"every value of {name} must be a string; SendGrid takes nothing else")


def custom_args(batch: ports.Batch) -> None:
    """Refuse ids that SendGrid would not carry back: empty, no strings, or too large."""
    ids = (*batch.message_ids, batch.attempt_id)
    if set(map(type, ids)) != {str} or not all(ids):
        raise PayloadError("message and attempt ids must be strings that are not empty")
    longest = max(map(len, batch.message_ids)) + len(batch.attempt_id) + len("message_idattempt_id")
    if longest * _LONGEST_UTF8 > MAX_CUSTOM_ARGS_BYTES:
        raise PayloadError(f"message and attempt id together exceed SendGrid's {MAX_CUSTOM_ARGS_BYTES} bytes")


def recipients(batch: ports.Batch) -> None:
    """Refuse addresses that break a line or occur twice, and unsubscribe URLs that do not fit a header."""
    header_values("address", batch.addresses)
    if not all(batch.addresses):
        raise RecipientRefused("a message has no address")
    if len(set(map(str.lower, batch.addresses))) != len(batch):
        raise RecipientRefused("an address occurs twice in the batch, which SendGrid forbids within one request")
    if not all(batch.unsubscribe_urls) or not _fits_a_header("".join(batch.unsubscribe_urls)):
        raise RecipientRefused("an unsubscribe URL is empty or holds blanks, brackets or characters beyond ASCII")


def _fits_a_header(urls: str) -> bool:
    return urls.isascii() and urls.isprintable() and not any(character in urls for character in _NOT_IN_URL)


def header_values(name: str, values: Sequence[str]) -> None:
    """Refuse values with line breaks or control characters. SendGrid's JSON has no guard of its own."""
    text = "".join(values)  # one scan for a thousand values, and the dear one only where the cheap one finds something
    if not text.isprintable() and _CONTROL.search(text):
        raise RecipientRefused(f"a value of {name} holds a line break or control character, which a header must not")


def header_text(name: str, text: str) -> None:
    """Refuse a header text of the whole campaign with line breaks or control characters."""
    if _CONTROL.search(text):
        raise PayloadError(f"the {name} holds a line break or control character, which a header must not")


def sender(batch: ports.Batch) -> None:
    """Refuse a sender that SendGrid would not take."""
    header_text("sender's name", batch.sender.name)
    header_text("sender's address", batch.sender.email)
    header_text("reply address", batch.sender.reply_to or "")
    if not batch.sender.email or not batch.sender.email.isascii():
        raise PayloadError("the sender's address is empty or not ASCII; SendGrid takes no other")


def scheduling(batch: ports.Batch) -> None:
    """Refuse a pool or a schedule that SendGrid would not take, and one that could not be called back."""
    if batch.pool is not None:
        header_text("pool's name", batch.pool)
        if len(batch.pool) not in _POOL_NAME:
            raise PayloadError(f"the pool's name has {len(batch.pool)} characters, SendGrid takes 2 to 64")
    if batch.send_at is not None and batch.send_at.tzinfo is None:
        raise PayloadError("send_at has no time zone")
    if batch.schedule_id is not None:
        if not BATCH_ID.fullmatch(batch.schedule_id):
            raise PayloadError("the schedule id is not one that SendGrid gave")
        if batch.send_at is None:
            raise PayloadError("a batch that is to be called back needs a send_at: it would go at once")


def send_at(batch: ports.Batch, *, now: datetime) -> None:
    """Refuse a time further ahead than SendGrid keeps mail: its 400 would look like a fault of the recipients."""
    if batch.send_at is not None and batch.send_at > now + LONGEST_AHEAD:
        raise PayloadError("send_at is more than 72 hours ahead, SendGrid keeps mail no longer")


def inline_content(batch: ports.Batch, names: Sequence[str]) -> None:
    """Refuse content that would arrive empty, unfilled, or with a raw value inside HTML."""
    content = batch.content
    if not content.subject.strip():
        raise PayloadError(f"the template {content.name} has no subject")
    if not content.html and not content.text:
        raise PayloadError(
            f"the template {content.name} has neither an HTML nor a text part, and names no ESP template"
        )
    everything = content.subject + content.text + content.html
    for name in content.variables:
        used = templates.plain_tag(name) in everything or templates.html_tag(name) in everything
        if used and name not in names:
            raise PayloadError(f"the template {content.name} uses {name}, for which the batch has no values")
    for name in names:
        if templates.plain_tag(name) in content.html:
            raise PayloadError(f"the HTML part of {content.name} uses {name} without escaping it")


def dynamic_content(batch: ports.Batch, names: Sequence[str]) -> None:
    """Refuse a template id of another kind, and a subject whose placeholders nobody would fill."""
    content = batch.content
    if not (content.esp_template_id or "").startswith("d-"):
        raise PayloadError(f"the template {content.name} names an ESP template that is no dynamic one (d-…)")
    for name in {*names, *content.variables}:
        if templates.plain_tag(name) in content.subject:
            raise PayloadError(
                f"the subject of {content.name} uses {name}, which only SendGrid's own template can fill"
            )


def substitutions(columns: Mapping[str, Sequence[str]]) -> None:
    """Refuse more substitutions than SendGrid takes for one recipient."""
    if len(columns) > MAX_SUBSTITUTIONS:
        raise PayloadError(f"the content uses {len(columns)} placeholders, SendGrid takes {MAX_SUBSTITUTIONS}")
    longest = sum(len(tag) + max(map(len, values)) for tag, values in columns.items())
    if longest * _LONGEST_UTF8 <= MAX_SUBSTITUTION_BYTES:
        return  # nearly always: the exact count costs as much as building the request
    tags = sum(len(tag.encode()) for tag in columns)
    for row in zip(*columns.values(), strict=True):
        if tags + sum(len(value.encode()) for value in row) > MAX_SUBSTITUTION_BYTES:
            raise RecipientRefused(f"one recipient's values exceed SendGrid's {MAX_SUBSTITUTION_BYTES} bytes")
