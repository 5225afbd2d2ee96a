"""The body of Transactional's messages/send and messages/send-template, from a batch's columns.

Merge tags are Mailchimp's (`*|NAME|*`), because there a value is put in as it is: what is put into HTML we escape, and
what would be a tag itself we take apart, so that nothing that a customer wrote is ever evaluated. Each variable is sent
twice for that, as plain text (`T_…`) and for HTML (`H_…`), where the content uses it.

Sources: facts/esp-contracts.md section 4.4; the vendor's own document of the API; "Using Custom Message Metadata".
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

import orjson

from domain import ports, templates
from providers import batch_checks
from providers.batch_checks import PayloadError, RecipientRefused
from providers.mailchimp.config import MailchimpConfig

# The variable by which a template places its visible unsubscribe link.
UNSUBSCRIBE_VARIABLE = "unsubscribe_url"
MAX_METADATA_BYTES = 200  # of JSON, a message
_LONGEST_TAG = 50
_ONE_CLICK = "List-Unsubscribe=One-Click"
_OPENS, _CLOSES = "*|", "|*"
_EDGES = "*|"  # what could become a tag together with the text beside it
_AS_ENTITIES = str.maketrans({"*": "&#42;", "|": "&#124;"})
_AUTOMATIC = {"Auto-Submitted": "auto-generated"}  # RFC 3834: nobody's holiday answers to it
# What the preview showed is what goes out: nothing is added, and the content is not kept for people to look at.
_HANDLING = {
    "track_opens": True,
    "track_clicks": True,
    "auto_text": False,
    "auto_html": False,
    "inline_css": False,
    "url_strip_qs": False,
    "view_content_link": False,
    "preserve_recipients": False,  # else everybody reads all addresses in To
    "merge": True,
    "merge_language": "mailchimp",
}
# Mail that she waits for goes ahead of other mail. A link in it may be a secret: it goes through no redirector, and into
# no log of clicks. It is written whole, so nothing in it is a tag. No flag goes past the denylist, nor may any: it has
# bounces and complaints, and who left by our links is not on it.
_WAITED_FOR = {"track_opens": False, "track_clicks": False, "merge": False, "important": True}

Columns = dict[str, Sequence[str]]


def build(batch: ports.Batch, config: MailchimpConfig) -> dict[str, Any]:
    """Return the request without its key. Raises PayloadError, or its kind RecipientRefused."""
    _check(batch, config)
    if batch.transactional and (batch.variables or batch.content.esp_template_id):
        raise PayloadError("transactional mail is written whole: it has no variables, and no template at Mailchimp")
    links = {} if batch.transactional else {UNSUBSCRIBE_VARIABLE: batch.unsubscribe_urls}
    values: dict[str, Sequence[str]] = {**batch.variables, **links}
    content = batch.content
    by_template = content.esp_template_id is not None
    parts, columns = _of_template(content, values) if by_template else _inline(batch, values)
    body: dict[str, Any] = {"message": _message(batch, config) | parts | _personal(batch, columns), "async": False}
    if by_template:
        body |= {"template_name": content.esp_template_id, "template_content": []}
    if batch.pool is not None:
        body["ip_pool"] = batch.pool
    if batch.send_at is not None:
        # The vendor's text and examples; its document names another format, which is one of its faults (section 6).
        body["send_at"] = f"{batch.send_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return body


def _message(batch: ports.Batch, config: MailchimpConfig) -> dict[str, Any]:
    sender = batch.sender
    headers = {"Reply-To": sender.reply_to} if sender.reply_to else {}
    if batch.transactional:
        headers |= _AUTOMATIC
    elif len(batch) == 1:
        # There are no headers of one's own for each of several recipients, and no tag is filled in a header.
        headers |= {"List-Unsubscribe": f"<{batch.unsubscribe_urls[0]}>", "List-Unsubscribe-Post": _ONE_CLICK}
    message: dict[str, Any] = {
        **_HANDLING,
        **(_WAITED_FOR if batch.transactional else {}),
        "from_email": sender.email,
        "headers": headers,
        "to": [{"email": address, "type": "to"} for address in batch.addresses],
        "tags": [tag(batch.campaign)],
        "metadata": {"attempt_id": batch.attempt_id, "run": batch.run_id},
    }
    if sender.name:
        message["from_name"] = sender.name
    if config.transactional_subaccount is not None:
        message["subaccount"] = config.transactional_subaccount
    return message


def _personal(batch: ports.Batch, columns: Columns) -> dict[str, Any]:
    """What each recipient has of her own."""
    names = tuple(columns)
    rows = zip(*columns.values(), strict=True) if columns else iter([()] * len(batch))
    own: dict[str, Any] = {
        "recipient_metadata": [
            {"rcpt": address, "values": {"message_id": message_id}}
            for address, message_id in zip(batch.addresses, batch.message_ids, strict=True)
        ],
    }
    if not batch.transactional:  # any would have Mailchimp look for tags
        own["merge_vars"] = [
            {"rcpt": address, "vars": [{"name": n, "content": v} for n, v in zip(names, row, strict=True)]}
            for address, row in zip(batch.addresses, rows, strict=True)
        ]
    return own


def _inline(batch: ports.Batch, values: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], Columns]:
    batch_checks.inline_content(batch, tuple(values))
    content = batch.content
    parts = {"subject": content.subject, "text": content.text, "html": content.html}
    if not batch.transactional and any(_OPENS in part for part in parts.values()):
        raise PayloadError(f"the template {content.name} holds {_OPENS}, which Mailchimp takes for a merge tag")
    columns: Columns = {}
    for name, column in values.items():
        plain, escaped = templates.plain_tag(name), templates.html_tag(name)
        if plain in parts["subject"]:
            batch_checks.header_values(name, column)
        if plain in parts["subject"] + parts["text"]:
            columns[_merge_name("T", name)] = _each(column, _plain)
        if escaped in parts["html"]:
            columns[_merge_name("H", name)] = _each(column, _escaped)
        for part in ("subject", "text"):
            parts[part] = parts[part].replace(plain, f"*|{_merge_name('T', name)}|*")
        parts["html"] = parts["html"].replace(escaped, f"*|{_merge_name('H', name)}|*")
    return {part: text for part, text in parts.items() if text}, columns


def _of_template(content: templates.Content, values: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], Columns]:
    """A template at Mailchimp names `*|NAME|*` in its HTML, and `*|NAME_TEXT|*` in its subject and text part."""
    columns: Columns = {}
    for name, column in values.items():
        batch_checks.header_values(name, column)  # the template may use any of them in its subject
        if templates.plain_tag(name) in content.subject:
            raise PayloadError(
                f"the subject of {content.name} uses {name}, which only Mailchimp's own template can fill"
            )
        columns[name.upper()] = _each(column, _escaped)
        columns[f"{name.upper()}_TEXT"] = _each(column, _plain)
    if len(columns) != 2 * len(values) or any(name.startswith("_") for name in columns):
        raise PayloadError(f"the template {content.name} has variables that Mailchimp cannot tell apart")
    return ({"subject": content.subject} if content.subject else {}), columns


def _merge_name(kind: str, name: str) -> str:
    return f"{kind}_{name.upper()}"


def _each(column: Sequence[str], safe: Any) -> Sequence[str]:
    """Make each different value safe once."""
    made = {value: safe(value) for value in set(column)}
    return [made[value] for value in column]


def _plain(value: str) -> str:
    """A value for subject and text, in which nothing is a merge tag, alone or beside any other text."""
    apart = value.replace(_OPENS, "* |").replace(_CLOSES, "| *")
    before, after = " " if apart[:1] and apart[0] in _EDGES else "", " " if apart[-1:] and apart[-1] in _EDGES else ""
    return f"{before}{apart}{after}"


def _escaped(value: str) -> str:
    """A value for HTML."""
    return html.escape(value).translate(_AS_ENTITIES)


def tag(campaign: str) -> str:
    """The campaign's name as a tag: of at most 50 characters, and not beginning with an underscore."""
    printable = "".join(character for character in campaign if character.isprintable())
    return printable.lstrip("_ ")[:_LONGEST_TAG].strip() or "campaign"


def _check(batch: ports.Batch, config: MailchimpConfig) -> None:
    size = len(batch)
    if not 0 < size <= config.transactional_batch_size:
        raise PayloadError(
            f"a request takes 1 to {config.transactional_batch_size} mails as set, this batch has {size}"
        )
    links = {} if batch.transactional else {"unsubscribe_urls": batch.unsubscribe_urls}
    columns: dict[str, Sequence[str]] = {"addresses": batch.addresses, **links, **batch.variables}
    for name, values in columns.items():
        if len(values) != size:
            raise PayloadError(f"the batch has {size} messages but {len(values)} values of {name}")
        if set(map(type, values)) != {str}:
            raise PayloadError(f"every value of {name} must be a string")
    names = {*batch.variables, UNSUBSCRIBE_VARIABLE}
    if len({name.upper() for name in names}) < len(names):
        raise PayloadError("two variables have one name in capitals, in which Mailchimp tells them apart")
    _check_people(batch)
    _check_ids(batch.message_ids, batch)
    for what, text in (
        ("subject", batch.content.subject),
        ("sender's name", batch.sender.name),
        ("sender's address", batch.sender.email),
        ("reply address", batch.sender.reply_to or ""),
    ):
        batch_checks.header_text(what, text)
    if not batch.sender.email:
        raise PayloadError("the sender's address is empty")
    if batch.send_at is not None and batch.send_at.tzinfo is None:
        raise PayloadError("send_at has no time zone")
    if batch.schedule_id is not None:
        raise PayloadError("Mailchimp Transactional names no schedule by which mail could be called back")


def _check_people(batch: ports.Batch) -> None:
    batch_checks.header_values("address", batch.addresses)
    batch_checks.unsubscribe_urls(batch.unsubscribe_urls)
    if not all(batch.addresses):
        raise RecipientRefused("a message has no address")
    if len(set(map(str.lower, batch.addresses))) != len(batch):
        raise RecipientRefused("an address occurs twice in the batch: values and answers go by address")


def _check_ids(message_ids: Iterable[str], batch: ports.Batch) -> None:
    """Refuse ids that Mailchimp would not carry back."""
    if not all(isinstance(one, str) and one for one in (*message_ids, batch.attempt_id, batch.run_id)):
        raise PayloadError("message, attempt and run ids must be strings that are not empty")
    metadata = {
        "message_id": max(message_ids, key=len),
        "attempt_id": batch.attempt_id,
        "run": batch.run_id,
    }
    if len(orjson.dumps(metadata)) > MAX_METADATA_BYTES:
        raise PayloadError(f"message, attempt and run id together exceed Mailchimp's {MAX_METADATA_BYTES} bytes")
