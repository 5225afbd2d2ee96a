"""The tree of a mail's HTML, as far as its checks and its text part need one; comments for Outlook are not in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)


@dataclass(slots=True)
class Node:
    """An element; its children are elements and pieces of text."""

    tag: str
    attributes: dict[str, str]
    line: int
    parent: "Node | None" = None
    children: "list[Node | str]" = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def hidden(self) -> bool:
        style = self.attributes.get("style", "").replace(" ", "").lower()
        return "display:none" in style or self.tag in {"head", "style", "script", "title", "template"}

    def walk(self) -> "Iterator[Node]":
        """The element and all below it, in their order."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def text(self) -> str:
        """All text in it, spaces folded."""
        pieces = (child if isinstance(child, str) else child.text() for child in self.children)
        return " ".join("".join(pieces).split())


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self._open = Node("", {}, 0)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.getpos()[0], self._open)
        self._open.children.append(node)
        if tag not in _VOID:
            self._open = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        node: Node | None = self._open
        while node is not None and node.tag != tag:
            node = node.parent
        if node is not None and node.parent is not None:  # an end without a beginning is nothing
            self._open = node.parent

    def handle_data(self, data: str) -> None:
        self._open.children.append(data)


def parse(html: str) -> Node:
    """The root, whose children are what the page begins with."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root
