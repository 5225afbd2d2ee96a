"""A text with slots, for ESPs that get whole mails: filled in one pass, so that no value's own text is filled in turn."""

import html
import re
from collections.abc import Callable, Mapping, Sequence


class Text:
    """One part of a content. `tag`: how a placeholder is spelt; `escaped`: values stand in HTML."""

    def __init__(self, text: str, names: Sequence[str], tag: Callable[[str], str], *, escaped: bool) -> None:
        tags = {tag(name): name for name in names}
        pieces = re.split("(" + "|".join(map(re.escape, tags)) + ")", text) if tags else [text]
        self._fixed, self.names = pieces[::2], [tags[piece] for piece in pieces[1::2]]
        self._used, self._escaped = set(self.names), escaped

    def filled(self, values: Mapping[str, str]) -> str:
        """The text as one recipient reads it."""
        own = {name: html.escape(values[name]) if self._escaped else values[name] for name in self._used}
        found = [self._fixed[0]]
        for name, fixed in zip(self.names, self._fixed[1:], strict=True):
            found += (own[name], fixed)
        return "".join(found)
