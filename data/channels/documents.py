"""Cut a JSON document into raw orders: one document, or JSON lines with one document on each line."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from data.channels.channel import Element, Unreadable

_KEPT_OF_BROKEN_LINE = 10_000  # characters


def parse(body: bytes) -> Any:
    """The document. Raises Unreadable; NaN and Infinity, which JSON does not know, are refused as well."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise Unreadable("the document is not UTF-8: send JSON in UTF-8") from error
    except RecursionError as error:
        raise Unreadable("the document is nested too deeply to be an order") from error
    except ValueError as error:  # its message may quote the document
        raise Unreadable("the document is no JSON, or was cut off on its way: send it again") from error


def _no_number(_word: str) -> NoReturn:
    raise ValueError


def elements(body: bytes, orders_in: Callable[[Any], Sequence[Any]]) -> Iterator[Element]:
    """All raw orders of a document or of JSON lines. `orders_in` finds them in one document. Raises Unreadable."""
    try:
        document = parse(body)
    except Unreadable:
        if not _is_lines(body):
            raise
        yield from _of_lines(body, orders_in)
        return
    for position, raw in enumerate(orders_in(document), start=1):
        yield Element(position, raw)


def _is_lines(body: bytes) -> bool:
    """Does the first line alone make sense, or where that one is broken at least half of all, and are there others?"""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) < 2:  # noqa: PLR2004 - one line is one document
        return False
    return _is_document(lines[0]) or 2 * sum(map(_is_document, lines)) >= len(lines)


def _is_document(line: bytes) -> bool:
    try:
        return isinstance(parse(line), dict | list)
    except Unreadable:
        return False


def _of_lines(body: bytes, orders_in: Callable[[Any], Sequence[Any]]) -> Iterator[Element]:
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = orders_in(parse(line))
        except Unreadable as error:
            kept = line.decode("utf-8", "replace")[:_KEPT_OF_BROKEN_LINE]
            yield Element(number, {"line": kept}, fault=str(error))
        else:
            for raw in found:
                yield Element(number, raw)
