"""The HTML part of a mail as a reader and a filter see it: text that shows, text that is hidden, links, pictures.

Read with selectolax (Lexbor): it builds the tree that browsers build from broken markup too, which the standard
library's tokenizer leaves to its caller. Only styles written at the element are read; a style sheet's classes are not.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

_UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript"})
_HIDING = re.compile(r"display:none|visibility:hidden|opacity:0(?:\.0+)?(?![.\d])")
_FLAT = re.compile(r"(?<![-\w])(?:max-)?(?:height|width):0(?:px)?(?=;|!|$)")
_FONT_SIZE = re.compile(r"(?<![-\w])font-size:([^;!]+)")
_NOTHING = re.compile(r"0(?:\.0+)?(?:px|pt|em|rem|%)?")
_COLOUR = re.compile(r"(?<![-\w])(background-color|background|color):([^;!]+)")
_PARAGRAPHS = frozenset(
    {"p", "div", "td", "th", "tr", "li", "br", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"}
)


class Link(NamedTuple):
    """An address that can be gone to, and the text (or picture's text) that is clicked on."""

    href: str
    text: str


class Picture(NamedTuple):
    """Its size in CSS pixels, as far as the markup tells it."""

    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """What was found. Texts have single blanks, and no characters that show nothing.

    `preheader`: hidden text before anything that shows, which mail programs preview; `hidden`: all other hidden text.
    """

    text: str
    preheader: str
    hidden: str
    links: tuple[Link, ...]
    pictures: tuple[Picture, ...]


def read(html: str) -> Page:
    """Never raises: anything is a page to a browser."""
    body = LexborHTMLParser(html).body
    if body is None:
        return Page("", "", "", (), ())
    seen: list[str] = []
    before: list[str] = []
    after: list[str] = []
    for text, hidden in _texts(body, hidden=False):
        if not hidden:
            seen.append(text)
        elif plain("".join(seen)):
            after.append(text)
        else:
            before.append(text)
    return Page(
        text=plain("".join(seen)),
        preheader=plain("".join(before)),
        hidden=plain("".join(after)),
        links=tuple(Link((node.attributes.get("href") or "").strip(), _label(node)) for node in body.css("a[href]")),
        pictures=tuple(Picture(_pixels(one, "width"), _pixels(one, "height")) for one in body.css("img")),
    )


def _texts(node: LexborNode, *, hidden: bool) -> Iterator[tuple[str, bool]]:
    """Each piece of text with whether it is hidden; blocks are set off by a blank."""
    stack = [(node, hidden, False)]
    while stack:
        one, within, tiny = stack.pop()
        if one.tag == "-text":
            yield one.text(deep=False) or "", within or tiny
            continue
        if one.tag in _UNSEEN or (one.tag or "-").startswith(("-", "_")):
            continue
        if one.tag in _PARAGRAPHS:
            yield " ", within
        style = re.sub(r"\s+", "", one.attributes.get("style") or "").lower()
        within = within or "hidden" in one.attributes or _hides(style)
        # Columns stand side by side in a parent of size 0, and each cell sets its own: what counts is the innermost.
        if found := _FONT_SIZE.search(style):
            tiny = _NOTHING.fullmatch(found[1]) is not None
        stack += [(child, within, tiny) for child in reversed(list(one.iter(include_text=True)))]


def _hides(style: str) -> bool:
    if _HIDING.search(style) or ("overflow:hidden" in style and _FLAT.search(style)):
        return True
    colours = dict(_COLOUR.findall(style))
    own = colours.get("color")
    return own is not None and own in {colours.get("background-color"), colours.get("background")}


def _label(node: LexborNode) -> str:
    """What is clicked on: the text, else what stands for the picture."""
    text = plain(node.text(separator=""))
    return text or plain(" ".join(one.attributes.get("alt") or "" for one in node.css("img")))


def _pixels(node: LexborNode, name: str) -> int | None:
    found = re.match(r"\s*(\d{1,5})\s*(?:px)?\s*$", node.attributes.get(name) or "")
    return int(found[1]) if found else None


def plain(text: str) -> str:
    """With single blanks, and without what shows nothing: preheaders are padded with hundreds of joiners."""
    shown = "".join(one for one in text if unicodedata.category(one) != "Cf" and one != "\u034f")
    return " ".join(shown.split())
