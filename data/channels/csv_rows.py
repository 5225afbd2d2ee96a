"""Rows of a CSV document: cut into lines and cells, and those of one order put together. A line is a row.

No line breaks inside of quotes, so a forgotten quote spoils one row only. Whole documents are parsed at once, which is
fast; one that has anything odd in it is parsed again line by line, to tell which rows are broken and why. A row that is
broken so badly that it cannot be told whose it is counts with the order above it: never half an order.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import groupby, repeat
from operator import itemgetter
from typing import NamedTuple

from data.channels.channel import Element, Unreadable

# Everything that moves a cursor or breaks a line; joiners inside of emoji and soft hyphens are text.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MARK = b"\xef\xbb\xbf"
_KEPT_OF_BROKEN_ROW = 10_000
_AT_ONCE = 64  # rows parsed together; more of them do not stay in the processor's cache


class Layout(NamedTuple):
    """How to read the rows. `key`: the column that neighbouring rows of one order share; None: each row is an order.

    `encodings`: the first in which a line makes sense. `strict`: control characters break a row.
    """

    names: tuple[str, ...]
    key: int | None = 0
    delimiter: str = ","
    encodings: tuple[str, ...] = ("utf-8",)
    strict: bool = True


# The order's id, the cells by their columns, and what is wrong with the row.
_Row = tuple[str, dict[str, str], str | None]


def lines(body: bytes, delimiter: str) -> list[bytes]:
    """All lines that hold anything (a spreadsheet's empty row is all commas), without their line ends."""
    nothing = empty(delimiter)
    return [line.rstrip(b"\r") for line in body.removeprefix(_MARK).split(b"\n") if line.strip(nothing)]


def empty(delimiter: str) -> bytes:
    """The characters of which an empty row consists."""
    return b" \r\n" + delimiter.encode()


def header(line: bytes, delimiter: str, encodings: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns. Raises Unreadable."""
    text = _decoded(line.removeprefix(_MARK), encodings)
    try:
        names = tuple(name.strip() for name in next(csv.reader([text], strict=True, delimiter=delimiter), []))
    except csv.Error as error:
        raise Unreadable(_no_header(encodings)) from error
    if "\N{REPLACEMENT CHARACTER}" in text or "\0" in text:
        raise Unreadable(_no_header(encodings))
    return names


def _no_header(encodings: Sequence[str]) -> str:
    if tuple(encodings) == ("utf-8",):
        return "there is no header row in UTF-8: save it as 'CSV UTF-8'"
    return f"there is no header row in {' or '.join(encodings)}: the mapping's `encoding` says what the file is in"


def key_of(line: bytes, layout: Layout) -> str | None:
    """Whose the row is, or None where that cannot be told."""
    text = _decoded(line, layout.encodings)
    return _key(_split(text, layout)[0], layout)


def elements(rows: Sequence[bytes], layout: Layout) -> Iterator[Element]:
    """One element an order: its rows as dicts. `rows` come without the header; the first has position 1."""
    position = 1
    for _, group in groupby(_read(rows, layout), key=itemgetter(0)):
        found = list(group)
        yield Element(position, [row[1] for row in found], len(found), _told(found))
        position += len(found)


def _read(rows: Sequence[bytes], layout: Layout) -> Iterator[_Row]:
    """All rows with their order's id; each row its own where no column tells it."""
    above = ""
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        for number, row in enumerate(_sound(some, layout) or _one_by_one(some, layout, above), start=start):
            above = row[0]
            yield row if layout.key is not None else (str(number), *row[1:])


def _sound(rows: Sequence[bytes], layout: Layout) -> list[_Row] | None:
    """The rows if nothing is odd in any of them, else None: then they take a closer look."""
    try:
        text = b"\n".join(rows).decode(layout.encodings[0])
        if not text.replace("\n", "").isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
            return None
        parsed = list(csv.reader(text.split("\n"), strict=True, delimiter=layout.delimiter))
    except (UnicodeDecodeError, csv.Error):
        return None
    names, key = layout.names, layout.key or 0
    if len(parsed) != len(rows) or len(names) == 1 or any(len(row) != len(names) for row in parsed):
        return None
    cells = [dict(zip(names, map(str.strip, row), strict=True)) for row in parsed]
    ids = [row[names[key]] for row in cells]
    return list(zip(ids, cells, repeat(None))) if layout.key is None or all(ids) else None


def _one_by_one(rows: Sequence[bytes], layout: Layout, above: str) -> Iterator[_Row]:
    for line in rows:
        text = _decoded(line, layout.encodings)
        values, fault = _split(text, layout)
        above = _key(values, layout) or above
        if len(values) == len(layout.names):
            cells = dict(zip(layout.names, values, strict=True))
            if layout.key is not None and not values[layout.key]:
                fault = fault or f"{layout.names[layout.key]} is empty"
        else:
            cells = {"row": text[:_KEPT_OF_BROKEN_ROW]}
            fault = fault or f"the row has {len(values)} cells where the header has {len(layout.names)}"
        yield above, cells, fault


def _decoded(line: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode(encodings[0], "replace")


def _split(text: str, layout: Layout) -> tuple[list[str], str | None]:
    fault = None
    try:
        values = next(csv.reader([text], strict=True, delimiter=layout.delimiter), [])
    except csv.Error:
        # Enough to tell the order id, where that comes first.
        values = text.replace('"', "").split(layout.delimiter)[:2]
        fault = "the quotes do not match, or a cell holds a line break or is too long"
    if layout.strict and not text.isprintable() and CONTROL.search(text):
        fault = "the row holds control characters"
    elif "\N{REPLACEMENT CHARACTER}" in text:
        fault = "the row is not UTF-8" if layout.encodings == ("utf-8",) else "the row is in another encoding"
    return [value.strip() for value in values], fault


def _key(values: list[str], layout: Layout) -> str | None:
    """The order's id if it can be trusted. One that nothing follows may have been cut off.

    A first cell is in its place whatever comes behind it; another one only if the row has all its cells.
    """
    if layout.key is None or (layout.key and len(values) != len(layout.names)):
        return None
    value = values[layout.key] if values else ""
    sound = len(values) > 1 and bool(value) and value.isprintable() and "\N{REPLACEMENT CHARACTER}" not in value
    return value if sound else None


def _told(rows: list[_Row]) -> str | None:
    """The first fault, and where several rows make the order, in which of them it is."""
    for number, (_, _, fault) in enumerate(rows, start=1):
        if fault is not None:
            return fault if len(rows) == 1 else f"row {number} of the order's {len(rows)}: {fault}"
    return None
