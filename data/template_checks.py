"""What is wrong with a mail before anybody gets it: size, contrast, links, the way out, dark mode and what breaks in inboxes.

Pure functions over one rendered mail; each finding says where, and what to do.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from data import html_tree, messages, template_colours, template_links
from data.brands import Brand
from data.content import Template
from data.html_tree import Node
from data.messages import Rendered
from domain import template_fields
from domain.suppression import Stream

CLIP = 102 * 1024  # bytes of HTML: Gmail cuts a mail there, and its way out with it
_NEAR_CLIP = 0.8
WIDEST = 600
SUBJECT, PREHEADER = range(4, 71), range(30, 141)  # characters; inboxes show 40 to 70, and 40 to 140 after it
_FEW_WORDS = 100
_FORBIDDEN = {
    "script",
    "form",
    "input",
    "button",
    "select",
    "textarea",
    "iframe",
    "object",
    "embed",
    "video",
    "audio",
    "base",
}
_PIXELS = re.compile(r"(?:^|;)\s*(?:min-)?width\s*:\s*(\d+)px", re.IGNORECASE)
_UNFILLED = re.compile(r"{{|}}|{%|%}|\[%\w|%\]|\*\|\w+\|\*")
_INVISIBLE = re.compile(r"[\u034f\u200b-\u200d\u2060\ufeff\u00ad\s\xa0]+")


class Severity(StrEnum):
    """An error keeps a template from being used well; a warning is for a person to judge."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    check: str
    severity: Severity
    where: str
    what_to_do: str


@dataclass(frozen=True)
class Mail:
    """One mail with all that it is judged by. `given` are addresses that came as values: not the template's fault."""

    subject: str
    html: str
    text: str
    stream: Stream
    unsubscribe_url: str = ""
    postal_address: str = ""
    given: Collection[str] = ()

    @cached_property
    def root(self) -> Node:
        return html_tree.parse(self.html)

    @cached_property
    def nodes(self) -> list[Node]:
        return list(self.root.walk())

    @cached_property
    def preheader(self) -> str:
        shown = (node.text() for node in self.nodes if "preheader" in node.classes)
        return _INVISIBLE.sub(" ", next(shown, "")).strip()


def check(mail: Mail) -> list[Finding]:
    """All findings, errors first."""
    found = [finding for one in CHECKS.values() for finding in one(mail)]
    return sorted(found, key=lambda finding: finding.severity)


def of_template(template: Template, constants: dict[str, str], brand: Brand) -> list[Finding]:
    """Check a template as it is with sample values. Raises TemplateError."""
    samples = template_fields.samples(template.purpose)
    shown = messages.render_message(template, samples, constants, brand=brand)
    return check(mail_of(template, shown, samples, constants["postal_address"]))


def mail_of(template: Template, shown: Rendered, values: dict[str, Any], postal_address: str) -> Mail:
    """A rendered template, ready to be judged."""
    return Mail(
        shown.subject,
        shown.html,
        shown.text,
        template.stream,
        str(values.get("unsubscribe_url", "")),
        postal_address,
        frozenset(_links_in(values)),
    )


def _links_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _links_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _links_in(inner)


def _error(check: str, where: str, what_to_do: str) -> Finding:
    return Finding(check, Severity.ERROR, where, what_to_do)


def _warning(check: str, where: str, what_to_do: str) -> Finding:
    return Finding(check, Severity.WARNING, where, what_to_do)


def _at(node: Node) -> str:
    return f"<{node.tag}>, line {node.line}"


def _size(mail: Mail) -> Iterator[Finding]:
    size = len(mail.html.encode())
    if size > CLIP * _NEAR_CLIP:
        grade = _error if size > CLIP else _warning
        yield grade(
            "size",
            f"HTML, {size / 1024:.0f} KB",
            "Gmail cuts a mail at 102 KB, and the way out with it: show less of it",
        )


def _alt(mail: Mail) -> Iterator[Finding]:
    for node in mail.nodes:
        if node.tag != "img":
            continue
        linked = node.parent is not None and node.parent.tag == "a"
        if "alt" not in node.attributes or (linked and not node.attributes["alt"].strip()):
            yield _error("alt", _at(node), 'say in alt="…" what the picture shows: many see no pictures')


def _contrast(mail: Mail) -> Iterator[Finding]:
    for one in template_colours.faint(mail.root):
        where = f"line {one.line}, {one.scheme} mode: {one.text} on {one.background}"
        yield _error(
            "contrast", where, f"it has {one.ratio} to 1 and needs {one.wanted} (WCAG AA): change one of the two"
        )


def _dark(mail: Mail) -> Iterator[Finding]:
    told = [n.attributes.get("content", "") for n in mail.nodes if n.attributes.get("name") == "color-scheme"]
    if not any("dark" in one for one in told):
        yield _error("dark mode", "<head>", 'add <meta name="color-scheme" content="light dark">')
    if not template_colours.has_dark_rules(mail.root):
        yield _error("dark mode", "<style>", "add @media (prefers-color-scheme: dark) with colours of its own")


def _links(mail: Mail) -> Iterator[Finding]:
    told: set[str] = set()
    for node in mail.nodes:
        address = node.attributes.get("href" if node.tag == "a" else "src" if node.tag == "img" else "")
        if node.tag == "a" and address is None:
            yield _error("links", _at(node), "this link leads nowhere: give it an href")
        if address is None or address in mail.given or address in told:
            continue
        told.add(address)
        if what := template_links.fault(address):
            yield _error("links", f"{_at(node)}: {address[:60]}", what)
    if examples := sorted(address for address in told if template_links.is_example(address)):
        yield _warning(
            "links", ", ".join(examples)[:120], "these are an example's: set home and contact_url in brand.toml"
        )


def _way_out(mail: Mail) -> Iterator[Finding]:
    if mail.stream is not Stream.MARKETING:
        return
    visible = [n for n in mail.nodes if n.tag == "a" and not _is_hidden(n) and n.text()]
    if not any(node.attributes.get("href") == mail.unsubscribe_url for node in visible):
        yield _error("way out", "HTML", "marketing mail needs a visible link to {{ unsubscribe_url }}")
    if mail.unsubscribe_url not in mail.text:
        yield _error("way out", "text part", "marketing mail needs {{ unsubscribe_url }} here, too")
    if mail.postal_address and " ".join(mail.postal_address.split()) not in mail.root.text():
        yield _error("postal address", "HTML", "the law asks for {{ postal_address }} in marketing mail")


def _is_hidden(node: Node | None) -> bool:
    return node is not None and (node.hidden or _is_hidden(node.parent))


def _head(mail: Mail) -> Iterator[Finding]:
    if not any(node.tag == "html" and node.attributes.get("lang", "").strip() for node in mail.nodes):
        yield _error("language", "<html>", 'add lang="en-GB", or what it is written in: screen readers speak by it')
    if not any(node.tag == "title" and node.text() for node in mail.nodes):
        yield _error("title", "<head>", "add a <title>: some programs show it, and screen readers read it first")


def _preheader(mail: Mail) -> Iterator[Finding]:
    length = len(mail.preheader)
    if not length:
        yield _warning("preheader", "preheader.txt", "write one: without it inboxes show the first words of the mail")
    elif length not in PREHEADER:
        yield _warning(
            "preheader",
            f"{length} characters",
            f"write {PREHEADER.start} to {PREHEADER.stop - 1}: inboxes show 40 to 140",
        )


def _text(mail: Mail) -> Iterator[Finding]:
    if not mail.text.strip():
        yield _error("text part", "body.txt", "write it, or remove the file: then it is made from the HTML")
    words = " ".join(node.text() for node in mail.nodes if node.tag == "body")
    if any(node.tag == "img" for node in mail.nodes) and len(words) < _FEW_WORDS:
        yield _error(
            "pictures", "HTML", "say it in words, too: many see no pictures, and filters distrust a mail of them"
        )


def _active(mail: Mail) -> Iterator[Finding]:
    for node in mail.nodes:
        outside = node.tag == "link" and "stylesheet" in node.attributes.get("rel", "")
        if node.tag in _FORBIDDEN or outside:
            yield _error("what mail cannot", _at(node), "remove it: mail programs take it out, or refuse the mail")
        if events := [name for name in node.attributes if name.startswith("on")]:
            yield _error("what mail cannot", _at(node), f"remove {events[0]}: nothing runs in a mail")
        if node.tag == "style" and "@import" in node.text():
            yield _error(
                "what mail cannot", _at(node), "write the styles into the mail: nothing is loaded from elsewhere"
            )


def _width(mail: Mail) -> Iterator[Finding]:
    for node in mail.nodes:
        told = [int(one) for one in _PIXELS.findall(node.attributes.get("style", ""))]
        attribute = node.attributes.get("width", "").removesuffix("px")
        widest = max([*told, int(attribute) if attribute.isdigit() else 0])
        if widest > WIDEST:
            yield _error(
                "width", f"{_at(node)}: {widest} px", f"stay within {WIDEST} px: phones and previews are narrow"
            )


def _layout(mail: Mail) -> Iterator[Finding]:
    tables = [node for node in mail.nodes if node.tag == "table"]
    if plain := [node for node in tables if node.attributes.get("role") not in {"presentation", "none", "table"}]:
        yield _warning("layout", _at(plain[0]), 'add role="presentation": else screen readers read rows and columns')


def _subject(mail: Mail) -> Iterator[Finding]:
    if len(mail.subject) not in SUBJECT:
        grade = _warning if mail.subject.strip() else _error
        what = f"write {SUBJECT.start} to {SUBJECT.stop - 1} characters: inboxes cut it"
        yield grade("subject", f"{len(mail.subject)} characters", what)
    if not mail.subject.isprintable():
        yield _error("subject", "subject.txt", "write one line without control characters")


def _unfilled(mail: Mail) -> Iterator[Finding]:
    for part, shown in (("subject", mail.subject), ("HTML", _without_styles(mail)), ("text part", mail.text)):
        if match := _UNFILLED.search(shown):
            yield _error(
                "unfilled", f"{part}: {shown[match.start() : match.start() + 30]!r}", "a placeholder was not filled in"
            )


def _without_styles(mail: Mail) -> str:
    """Styles end with two braces."""
    return re.sub(r"<style.*?</style>", "", mail.html, flags=re.DOTALL | re.IGNORECASE)


CHECKS: dict[str, Callable[[Mail], Iterator[Finding]]] = {
    "size": _size,
    "alt texts": _alt,
    "contrast": _contrast,
    "dark mode": _dark,
    "links": _links,
    "way out": _way_out,
    "language and title": _head,
    "preheader": _preheader,
    "text part": _text,
    "what mail cannot": _active,
    "width": _width,
    "layout": _layout,
    "subject": _subject,
    "unfilled": _unfilled,
}
