"""What no ESP may be handed: what breaks a header, arrives unfilled, or puts a raw value into HTML.

All of it raises before a byte is sent. PayloadError is a fault of the whole batch, so of our program or of the
campaign; RecipientRefused lies in one recipient's data, and a smaller batch without him would pass.
"""

import re
from collections.abc import Sequence

from domain import ports, templates

# C0, DEL, C1 and the two Unicode line ends: whatever could begin a new header line somewhere on the way.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# RFC 8058 headers hold the URL between < and >: visible ASCII only, and neither of these two.
_NOT_IN_URL = " <>"


class PayloadError(ports.Unsendable):
    """The batch cannot become a request; nothing was sent. The message holds no address and no value."""


class RecipientRefused(PayloadError):
    """One recipient's data cannot become a request; nothing was sent."""


def unsubscribe_urls(urls: Sequence[str]) -> None:
    """Refuse URLs that do not fit a List-Unsubscribe header."""
    together = "".join(urls)
    fit = together.isascii() and together.isprintable() and not any(one in together for one in _NOT_IN_URL)
    if not all(urls) or not fit:
        raise RecipientRefused("an unsubscribe URL is empty or holds blanks, brackets or characters beyond ASCII")


def header_values(name: str, values: Sequence[str]) -> None:
    """Refuse values with line breaks or control characters. An ESP's JSON has no guard of its own."""
    text = "".join(values)  # one scan for a thousand values, and the dear one only where the cheap one finds something
    if not text.isprintable() and _CONTROL.search(text):
        raise RecipientRefused(f"a value of {name} holds a line break or control character, which a header must not")


def header_text(name: str, text: str) -> None:
    """Refuse a header text of the whole campaign with line breaks or control characters."""
    if _CONTROL.search(text):
        raise PayloadError(f"the {name} holds a line break or control character, which a header must not")


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
