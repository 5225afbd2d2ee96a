"""What SendGrid forbids and its published contract does not say (facts/esp-contracts.md sections 4.1 and 7).

All of it raises before a byte is sent, as providers/batch_checks.py does, where the checks for every ESP are.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain import ports, templates
from providers import batch_checks
from providers.sendgrid.schedule import BATCH_ID

MAX_RECIPIENTS = 1000
MAX_CUSTOM_ARGS_BYTES = 10_000
MAX_SUBSTITUTIONS = 150
MAX_SUBSTITUTION_BYTES = 10_000
LONGEST_AHEAD = timedelta(hours=72)
_POOL_NAME = range(2, 65)  # characters
_LONGEST_UTF8 = 4


def batch_shape(batch: ports.Batch) -> None:
    """Refuse a batch that is empty, too large, or whose columns do not match."""
    size = len(batch)
    if not 0 < size <= MAX_RECIPIENTS:
        raise batch_checks.PayloadError(
            f"a SendGrid request takes 1 to {MAX_RECIPIENTS} messages, this batch has {size}"
        )
    links = {} if batch.transactional else {"unsubscribe_urls": batch.unsubscribe_urls}
    columns: dict[str, Sequence[str]] = {"addresses": batch.addresses, **links, **batch.variables}
    for name, values in columns.items():
        if len(values) != size:
            raise batch_checks.PayloadError(f"the batch has {size} messages but {len(values)} values of {name}")
        if set(map(type, values)) != {str}:
            raise batch_checks.PayloadError(f"every value of {name} must be a string; SendGrid takes nothing else")


def custom_args(batch: ports.Batch) -> None:
    """Refuse ids that SendGrid would not carry back: empty, no strings, or too large."""
    ids = (*batch.message_ids, batch.attempt_id)
    if set(map(type, ids)) != {str} or not all(ids):
        raise batch_checks.PayloadError("message and attempt ids must be strings that are not empty")
    longest = max(map(len, batch.message_ids)) + len(batch.attempt_id) + len("message_idattempt_id")
    if longest * _LONGEST_UTF8 > MAX_CUSTOM_ARGS_BYTES:
        raise batch_checks.PayloadError(
            f"message and attempt id together exceed SendGrid's {MAX_CUSTOM_ARGS_BYTES} bytes"
        )


def recipients(batch: ports.Batch) -> None:
    """Refuse addresses that break a line or occur twice, and unsubscribe URLs that do not fit a header."""
    batch_checks.header_values("address", batch.addresses)
    if not all(batch.addresses):
        raise batch_checks.RecipientRefused("a message has no address")
    if len(set(map(str.lower, batch.addresses))) != len(batch):
        raise batch_checks.RecipientRefused(
            "an address occurs twice in the batch, which SendGrid forbids within one request"
        )
    batch_checks.unsubscribe_urls(batch.unsubscribe_urls)


def sender(batch: ports.Batch) -> None:
    """Refuse a sender that SendGrid would not take."""
    batch_checks.header_text("sender's name", batch.sender.name)
    batch_checks.header_text("sender's address", batch.sender.email)
    batch_checks.header_text("reply address", batch.sender.reply_to or "")
    if not batch.sender.email or not batch.sender.email.isascii():
        raise batch_checks.PayloadError("the sender's address is empty or not ASCII; SendGrid takes no other")


def scheduling(batch: ports.Batch) -> None:
    """Refuse a pool or a schedule that SendGrid would not take, and one that could not be called back."""
    if batch.pool is not None:
        batch_checks.header_text("pool's name", batch.pool)
        if len(batch.pool) not in _POOL_NAME:
            raise batch_checks.PayloadError(f"the pool's name has {len(batch.pool)} characters, SendGrid takes 2 to 64")
    if batch.send_at is not None and batch.send_at.tzinfo is None:
        raise batch_checks.PayloadError("send_at has no time zone")
    if batch.schedule_id is not None:
        if not BATCH_ID.fullmatch(batch.schedule_id):
            raise batch_checks.PayloadError("the schedule id is not one that SendGrid gave")
        if batch.send_at is None:
            raise batch_checks.PayloadError("a batch that is to be called back needs a send_at: it would go at once")


def send_at(batch: ports.Batch, *, now: datetime) -> None:
    """Refuse a time further ahead than SendGrid keeps mail: its 400 would look like a fault of the recipients."""
    if batch.send_at is not None and batch.send_at > now + LONGEST_AHEAD:
        raise batch_checks.PayloadError("send_at is more than 72 hours ahead, SendGrid keeps mail no longer")


def dynamic_content(batch: ports.Batch, names: Sequence[str]) -> None:
    """Refuse a template id of another kind, and a subject whose placeholders nobody would fill."""
    content = batch.content
    if not (content.esp_template_id or "").startswith("d-"):
        raise batch_checks.PayloadError(
            f"the template {content.name} names an ESP template that is no dynamic one (d-…)"
        )
    for name in {*names, *content.variables}:
        if templates.plain_tag(name) in content.subject:
            raise batch_checks.PayloadError(
                f"the subject of {content.name} uses {name}, which only SendGrid's own template can fill"
            )


def substitutions(columns: Mapping[str, Sequence[str]]) -> None:
    """Refuse more substitutions than SendGrid takes for one recipient."""
    if len(columns) > MAX_SUBSTITUTIONS:
        raise batch_checks.PayloadError(
            f"the content uses {len(columns)} placeholders, SendGrid takes {MAX_SUBSTITUTIONS}"
        )
    longest = sum(len(tag) + max(map(len, values)) for tag, values in columns.items())
    if longest * _LONGEST_UTF8 <= MAX_SUBSTITUTION_BYTES:
        return  # nearly always: the exact count costs as much as building the request
    tags = sum(len(tag.encode()) for tag in columns)
    for row in zip(*columns.values(), strict=True):
        if tags + sum(len(value.encode()) for value in row) > MAX_SUBSTITUTION_BYTES:
            raise batch_checks.RecipientRefused(
                f"one recipient's values exceed SendGrid's {MAX_SUBSTITUTION_BYTES} bytes"
            )
