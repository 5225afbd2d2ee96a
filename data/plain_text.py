"""The text part of a mail, made from its HTML where a template brings none.

Written by structure: a paragraph is a paragraph, the cells of a table's row stand on one line, a link's address stands
below or behind its words, what is hidden is left out. Why no library: docs/decisions/0002-dependencies.md.
"""

import re

from data.html_tree import Node, parse

_BLOCKS = frozenset(
    [
        "p",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "table",
        "blockquote",
        "section",
        "header",
        "footer",
        "hr",
    ]
)
_ROWS = frozenset({"tr", "li", "br"})
_ROW, _PARAGRAPH, _CELL = "\r", "\n\n", "\t"
_INVISIBLE = re.compile(r"[\u034f\u200b-\u200d\u2060\ufeff\u00ad]")


def of_html(html: str) -> str:
    """Readable plain text with every link kept."""
    text = _INVISIBLE.sub("", "".join(_pieces(parse(html)))).replace("\xa0", " ")
    paragraphs = ("\n".join(filter(None, map(_line, one.split(_ROW)))) for one in text.split(_PARAGRAPH))
    return "\n\n".join(filter(None, paragraphs))


def _line(line: str) -> str:
    """The cells of a row, two spaces apart."""
    cells = (" ".join(cell.split()) for cell in line.split(_CELL))
    return "  ".join(cell for cell in cells if cell)


def _pieces(node: Node) -> list[str]:
    if node.hidden or node.attributes.get("aria-hidden") == "true":
        return []
    inner: list[str] = []
    for child in node.children:
        inner += [re.sub(r"\s+", " ", child)] if isinstance(child, str) else _pieces(child)
    if node.tag == "a":
        return [_link(node, "".join(inner))]
    if node.tag == "img":
        return [node.attributes.get("alt", "")]
    if node.tag in {"td", "th"}:
        return [*inner, _CELL]
    edge = _PARAGRAPH if node.tag in _BLOCKS else _ROW if node.tag in _ROWS else ""
    return [edge, "- " * (node.tag == "li"), *inner, edge]


def _link(node: Node, words: str) -> str:
    """The words, and the address unless they say it already."""
    words, address = " ".join(words.split()), node.attributes.get("href", "").removeprefix("mailto:")
    if not address or words == address:
        return words or address
    return f"{words}: {address}" if words else address
