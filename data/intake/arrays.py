"""A JSON array of orders, cut without rewriting it: each order keeps the very characters that it came in.

Numbers stay as they were written that way: no float rounds them before an adapter sees them.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from data.channels.channel import Unreadable

Key = Callable[[Any], str | None]
_SPACE = re.compile(r"[ \t\n\r]*")


def orders(text: str, key: Key | None) -> list[list[str]] | None:
    """The raw text of an array's elements, those of one order together; None if the document is no array.

    `key` tells which order an element belongs to; without it each is one. Raises Unreadable, if that be at the last
    character: of a document that breaks off nothing is loaded.
    """
    try:
        start = _space(text, 0)
        if text[start : start + 1] != "[":
            _, end = _decoder.raw_decode(text, start)
            if _space(text, end) != len(text):
                raise Unreadable("holds several documents: with one on each line call it .jsonl")
            return None
        return _together(_elements(text, start + 1), key)
    except (ValueError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("is no JSON, or was cut off on its way") from error


def _elements(text: str, at: int) -> Iterator[tuple[str, Any]]:
    """Each element of the array that begins there, with its text. Raises ValueError."""
    at = _space(text, at)
    more = text[at : at + 1] != "]"
    while more:
        begin = _space(text, at)
        element, end = _decoder.raw_decode(text, begin)
        yield text[begin:end], element
        at = _space(text, end)
        more = text[at : at + 1] == ","
        at += more
    if text[at : at + 1] != "]" or _space(text, at + 1) != len(text):
        raise ValueError


def _together(elements: Iterator[tuple[str, Any]], key: Key | None) -> list[list[str]]:
    found: list[list[str]] = []
    above: str | None = None
    for text, element in elements:
        own = None if key is None else key(element)
        if not found or key is None or (own is not None and own != above):
            found.append([])
            above = own
        found[-1].append(text)
    return found


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _no_number(_word: str) -> NoReturn:
    raise ValueError


_decoder = json.JSONDecoder(parse_constant=_no_number)
