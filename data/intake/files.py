"""Files on their way in: cut into documents of some 500 orders each, which become intake records.

A piece of a CSV file is its header and the rows of some orders, one of JSON lines is some lines, one of a JSON array is
a shorter array. An order is never cut apart: neighbouring rows (or lines) of one order stay together. The same file
gives the same pieces byte for byte, so that a file which is loaded twice adds nothing. CSV and JSON lines are streamed;
a JSON document has to be held as a whole, and is bounded.
"""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from data.channels import csv_orders, csv_rows
from data.channels.channel import Unreadable
from data.channels.mapping import Mapping
from data.intake import arrays

CSV, LINES, DOCUMENT = "CSV", "JSON lines", "JSON"
KINDS = {".csv": CSV, ".jsonl": LINES, ".ndjson": LINES, ".json": DOCUMENT}  # each also with .gz behind
_ORDERS = 500
_PIECE = 2**20  # bytes
_LARGEST_ORDER = 16 * 2**20  # bytes; a larger one is a wrong column to group by, or no text file
_LARGEST_DOCUMENT = 256 * 2**20
_BUFFER = 2**16  # of a file that breaks off so much before its end is not read
_MARK = b"\xef\xbb\xbf"


class UnreadableFile(ValueError):
    """The file as a whole cannot be used. The message says what to change and what was kept."""


class Piece(NamedTuple):
    """Some orders of a file. `first_row`: the row (line, place in the array) at which they begin, see `cut`."""

    body: bytes
    first_row: int
    rows: int


def found(path: Path) -> list[Path]:
    """The file itself; of a folder all files that can be read, by name. Raises UnreadableFile."""
    if not path.is_dir():
        return [path]
    files = sorted(one for one in path.iterdir() if one.is_file() and _kind(one) is not None)
    if not files:
        raise UnreadableFile(f"there is no file in {path} that can be read: {_known()}")
    return files


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes: the same file is known again under any name. Raises UnreadableFile."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be read: {_reason(error)}. Nothing was loaded") from error


def cut(path: Path, mapping: Mapping | None = None) -> Iterator[Piece]:
    """Cut one file. `mapping`: the connection's, where it has one; it says which rows belong to one order.

    The header of a CSV file is row 1, and empty rows (lines) are not counted. Raises UnreadableFile; what is wrong
    with the file's beginning is told before the first piece.
    """
    kind = _kind(path)
    if kind is None:
        raise UnreadableFile(f"{path.name} has an unknown ending: {_known()}. Nothing was loaded")
    if mapping is not None and (mapping.format == "csv") != (kind == CSV):
        raise UnreadableFile(f"{path.name} is {kind} and the mapping is for {mapping.format}. Nothing was loaded")
    if kind == CSV:
        yield from _cut_csv(path, mapping)
    elif kind == LINES:
        yield from _cut_lines(path, None if mapping is None else mapping.key)
    else:
        yield from _cut_document(path, None if mapping is None else mapping.key)


def _kind(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return KINDS.get(Path(name).suffix)


def _known() -> str:
    return f"{', '.join(KINDS)} are read, and the same with .gz behind"


def _open(path: Path) -> io.BufferedReader:
    raw = gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # noqa: SIM115 - the caller closes it
    return io.BufferedReader(raw, _BUFFER)


def _lines(path: Path, nothing: bytes) -> Iterator[bytes]:
    """All lines that hold more than `nothing`, without their line ends."""
    number = 0
    try:
        with _open(path) as file:
            for line in iter(partial(file.readline, _LARGEST_ORDER + 1), b""):
                if len(line) > _LARGEST_ORDER:
                    raise UnreadableFile(f"{path.name} has a line of more than 16 MiB after row {number}: is it text?")
                if line.strip(nothing):
                    number += 1
                    yield line.rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFile(
            f"{path.name} cannot be read after row {number}: {_reason(error)}. What stands above that row may be "
            "loaded already; load the whole file again, nothing is loaded twice"
        ) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _cut_csv(path: Path, mapping: Mapping | None) -> Iterator[Piece]:
    delimiter = "," if mapping is None else mapping.delimiter
    lines = _lines(path, csv_rows.empty(delimiter))
    header = next(lines, b"").removeprefix(_MARK)
    try:
        layout = (csv_orders if mapping is None else mapping).layout(header)
    except Unreadable as error:
        raise UnreadableFile(f"{path.name}: {error}. Nothing was loaded") from error
    key_of = None if layout.key is None else partial(_row_key, layout=layout)
    orders = _together(path, lines, key_of, delimiter.encode() if layout.key == 0 else b"")
    yield from _packed(orders, lambda rows: b"\n".join((header, *rows)), first_row=2, room=_PIECE - len(header) - 1)


def _row_key(row: bytes, layout: csv_rows.Layout) -> str | None:
    """Whose the row is. Mostly a look at its first cell is enough, also if that is quoted: no row is parsed."""
    if layout.key == 0:
        cell, more, _ = row.partition(layout.delimiter.encode())
        if more and cell.isascii() and _plain(cell):
            text = cell.strip(b'"').decode().strip()
            return text if text and text.isprintable() else None
    return csv_rows.key_of(row, layout)


def _plain(cell: bytes) -> bool:
    """Has it no quotes, or one at either end?"""
    quotes = cell.count(b'"')
    return not quotes or (quotes == 2 and cell[:1] == cell[-1:] == b'"')  # noqa: PLR2004 - one at either end


def _together(
    path: Path, rows: Iterable[bytes], key_of: Callable[[bytes], str | None] | None, delimiter: bytes = b""
) -> Iterator[list[bytes]]:
    """The rows of each order. One of which it cannot be told whose it is counts with the order above it.

    `delimiter`: what stands behind the key, where a row begins with it: most rows need no closer look then.
    """
    if key_of is None:
        yield from ([row] for row in rows)
        return
    order: list[bytes] = []
    size = 0
    above, begins = None, b""
    for row in rows:
        if not (begins and row.startswith(begins)) and (key := key_of(row)) is not None and key != above:
            if order:
                yield order
            order, size, above = [], 0, key
            cell = row.partition(delimiter)[0] if delimiter else b""
            begins = cell + delimiter if cell and _plain(cell) else b""
        order.append(row)
        size += len(row)
        if size > _LARGEST_ORDER:
            raise UnreadableFile(f"{path.name} has more than 16 MiB of rows of one order: is it the right column?")
    if order:
        yield order


def _packed(
    orders: Iterable[list[bytes]], body: Callable[[list[bytes]], bytes], *, first_row: int, room: int
) -> Iterator[Piece]:
    """As many whole orders a piece as it may hold."""
    rows: list[bytes] = []
    held = size = 0
    for order in orders:
        length = sum(map(len, order)) + len(order)
        if rows and (held == _ORDERS or size + length > room):
            yield Piece(body(rows), first_row, len(rows))
            first_row += len(rows)
            rows, held, size = [], 0, 0
        rows += order
        held += 1
        size += length
    if rows:
        yield Piece(body(rows), first_row, len(rows))


def _cut_lines(path: Path, key: arrays.Key | None) -> Iterator[Piece]:
    def key_of(line: bytes) -> str | None:
        try:
            return None if key is None else key(json.loads(line))
        except (ValueError, RecursionError):
            return None  # the adapter says what is wrong with it

    lines = _lines(path, b" \t\r\n")
    first = next(lines, None)
    if first is None:
        raise UnreadableFile(f"{path.name} is empty. Nothing was loaded")
    rows = chain((first.removeprefix(_MARK),), lines)
    orders = _together(path, rows, None if key is None else key_of)
    yield from _packed(orders, b"\n".join, first_row=1, room=_PIECE)


def _cut_document(path: Path, key: arrays.Key | None) -> Iterator[Piece]:
    text = _document(path)
    try:
        orders = arrays.orders(text, key)
    except Unreadable as error:
        raise UnreadableFile(f"{path.name} {error}. Nothing was loaded") from error
    if orders is not None:
        rows = ([one.encode() for one in order] for order in orders)
        yield from _packed(rows, lambda some: b"[" + b",".join(some) + b"]", first_row=1, room=_PIECE - 1)
        return
    body = text.encode()
    if len(body) > _LARGEST_ORDER:
        raise UnreadableFile(
            f"{path.name} is one JSON object of more than 16 MiB: write an array of orders, or one order a line as "
            ".jsonl. Nothing was loaded"
        )
    yield Piece(body, 1, 1)


def _document(path: Path) -> str:
    try:
        with _open(path) as file:
            body = file.read(_LARGEST_DOCUMENT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFile(f"{path.name} cannot be read: {_reason(error)}. Nothing was loaded") from error
    if len(body) > _LARGEST_DOCUMENT:
        raise UnreadableFile(
            f"{path.name} is larger than {_LARGEST_DOCUMENT // 2**20} MiB as one JSON document: write one order a line "
            "and call it .jsonl, which may be of any size. Nothing was loaded"
        )
    if not body.removeprefix(_MARK).strip():
        raise UnreadableFile(f"{path.name} is empty. Nothing was loaded")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path.name} is not UTF-8, as JSON has to be. Nothing was loaded") from error
