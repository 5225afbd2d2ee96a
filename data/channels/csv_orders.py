"""The CSV channel: one file of order lines, a header row, one row an order line. docs/orders-csv.md is the contract.

In short: UTF-8 (a byte order mark is tolerated), commas, `.csv` or `.csv.gz`. `order_id` is the first column, the
others come in any order, optional ones may be missing, unknown ones are refused. The order's own fields are repeated
on each of its rows, and its rows stand together. Money is a decimal string with a point, times are ISO 8601 with a
zone, ids are text. A line is a row: no line breaks inside of quotes, so a forgotten quote spoils one row only.

A row that cannot be used takes its whole order to the dead letters: never half an order. A row that is broken so
badly that its order id cannot be told counts with the order above it.
"""

import csv
import difflib
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from data.channels import cells
from data.dead_letters import BadRow
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderLine, OrderStatus

CHANNEL = "csv"
_REQUIRED_OF_ORDER = (
    "order_id",
    "customer_id",
    "email",
    "status",
    "currency",
    "order_total",
    "placed_at",
    "updated_at",
)
_OPTIONAL_OF_ORDER = (
    *("first_name", "last_name", "country", "refunded_total", "cancelled_at", "test"),
    *("consent_status", "consent_at", "consent_source", "consent_basis", "consent_wording"),
)
_REQUIRED_OF_LINE = ("line_no", "sku", "quantity", "line_total")
_OPTIONAL_OF_LINE = ("title", "category")
_REQUIRED = (*_REQUIRED_OF_ORDER, *_REQUIRED_OF_LINE)
COLUMNS = (*_REQUIRED, *_OPTIONAL_OF_ORDER, *_OPTIONAL_OF_LINE)

_STATUS = {status.value: status for status in OrderStatus} | {"canceled": OrderStatus.CANCELLED}
_MAY_BE_CANCELLED = {OrderStatus.CANCELLED, OrderStatus.REFUNDED}
_CONSENT = tuple(status.value for status in ConsentStatus)
# Everything that moves a cursor or breaks a line; joiners inside of emoji and soft hyphens are text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOTHING = b" ,\r\n"
_WHOLE_UNITS = re.compile("[0-9]{1,9}")
_KEPT_OF_BROKEN_ROW = 10_000
_order_fields = itemgetter(*_REQUIRED_OF_ORDER, *_OPTIONAL_OF_ORDER)


class UnreadableFile(ValueError):
    """The file as a whole cannot be used. The message says what to change and what was kept."""


class _Row(NamedTuple):
    number: int
    order_id: str
    cells: dict[str, str]
    fault: str | None


def read(path: Path) -> Iterator[Order | BadRow]:
    """Stream the file's orders, and the rows of those that cannot be used. Raises UnreadableFile.

    The header is row 1 and blank lines are not counted, so each row is either a line of one order or a bad row, in
    the file's order. Remembers the order ids that it has seen: some 100 bytes an order.
    """
    lines = _lines(path)
    header = _header(path, next(lines, b""))
    seen: set[str] = set()
    for order_id, group in groupby(_rows(lines, header), key=itemgetter(1)):
        rows = list(group)
        if order_id in seen:
            faults = dict.fromkeys(
                (row.number for row in rows), "the order stands further up already: keep its rows together"
            )
            yield from _bad_rows(rows, faults)
        else:
            yield from _judged(rows)
        seen.add(order_id)


def count_rows(path: Path) -> int:
    """How many rows `read` will account for. Raises UnreadableFile."""
    return max(0, sum(1 for _ in _lines(path)) - 1)


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes: the same file is known again under any name."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(path: Path) -> Iterator[bytes]:
    """All lines that hold anything (a spreadsheet's empty row is all commas), without their line ends."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                if line.strip(_NOTHING):
                    number += 1
                    yield line.rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile(
            f"{path.name} cannot be read after row {number}: {reason}. What stands above that row may be loaded "
            "already; load the whole file again, nothing is loaded twice"
        ) from error


def _header(path: Path, line: bytes) -> tuple[str, ...]:
    """The names of the columns, or UnreadableFile with everything that is wrong with them."""
    try:
        names = tuple(name.strip() for name in next(csv.reader([line.decode("utf-8-sig")], strict=True), []))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(
            f"{path.name} has no header row in UTF-8: save it as 'CSV UTF-8'. Nothing was loaded"
        ) from error
    if wrong := _wrong_with(names):
        raise UnreadableFile(f"{path.name}: {'; '.join(wrong)}. Nothing was loaded; docs/orders-csv.md has the columns")
    return names


def _wrong_with(names: tuple[str, ...]) -> list[str]:
    if not names or names == ("",):
        return ["the file is empty"]
    if len(names) == 1 and ";" in names[0]:
        return ["the columns are separated by semicolons: use commas"]
    wrong = [f"column {name!r} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    wrong += [f"unknown column {name!r}{_nearest(name)}" for name in names if name not in COLUMNS]
    if missing := [name for name in _REQUIRED if name not in names]:
        wrong.append(f"missing: {', '.join(missing)}")
    elif names[0] != "order_id":
        wrong.append("order_id has to be the first column")
    return wrong


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), COLUMNS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _rows(lines: Iterator[bytes], header: tuple[str, ...]) -> Iterator[_Row]:
    absent = dict.fromkeys(COLUMNS, "")
    above = ""
    for number, line in enumerate(lines, start=2):
        text = line.decode("utf-8", "replace")
        values, fault = _split(text)
        above = values[0] if _is_whole_id(values) else above
        if len(values) == len(header):
            row = absent | dict(zip(header, values, strict=True))
            fault = fault or (None if values[0] else "order_id is empty")
        else:
            row = {"row": text[:_KEPT_OF_BROKEN_ROW]}
            fault = fault or f"the row has {len(values)} cells where the header has {len(header)}"
        yield _Row(number, above, row, fault)


def _split(text: str) -> tuple[list[str], str | None]:
    fault = None
    try:
        values = next(csv.reader([text], strict=True))
    except csv.Error:
        values = text.replace('"', "").split(",")[:2]  # enough to tell the order id
        fault = "the quotes do not match, or a cell holds a line break or is too long"
    if not text.isprintable() and _CONTROL.search(text):
        fault = "the row holds control characters"
    elif "\N{REPLACEMENT CHARACTER}" in text:
        fault = "the row is not UTF-8"
    return [value.strip() for value in values], fault


def _is_whole_id(values: list[str]) -> bool:
    """Say whether the first cell can be trusted; one that nothing follows may have been cut off."""
    first = values[0]
    return len(values) > 1 and bool(first) and first.isprintable() and "\N{REPLACEMENT CHARACTER}" not in first


def _judged(rows: list[_Row]) -> Iterator[Order | BadRow]:
    """The order that the rows tell, or all of them as bad rows."""
    faults = {row.number: row.fault for row in rows if row.fault}
    if faults:
        yield from _bad_rows(rows, faults)
        return
    first = rows[0]
    lines: dict[int, OrderLine] = {}
    for row in rows:
        try:
            line = _line(row.cells, first.cells)
            if line.line_no in lines:
                raise cells.BadCell("line_no stands twice in this order")
            lines[line.line_no] = line
        except cells.BadCell as error:
            faults[row.number] = str(error)
    try:
        order = _order(first.cells, tuple(lines.values()))
    except cells.BadCell as error:
        faults[first.number] = str(error)
    if faults:
        yield from _bad_rows(rows, faults)
    else:
        yield order


def _bad_rows(rows: list[_Row], faults: Mapping[int, str]) -> Iterator[BadRow]:
    number, reason = min(faults.items())
    others = f"row {number} of the same order: {reason}"
    for row in rows:
        value = _WHOLE_UNITS.match(row.cells.get("order_total", ""))
        yield BadRow(row.number, faults.get(row.number, others), row.cells, int(value[0]) if value else 0)


def _order(row: cells.Row, lines: tuple[OrderLine, ...]) -> Order:
    code = cells.currency(row, "currency")
    total = cells.amount(row, "order_total", code)
    refunded = cells.amount(row, "refunded_total", code) if row["refunded_total"] else Decimal(0)
    if refunded > total:
        raise cells.BadCell("refunded_total is larger than order_total")
    status = _STATUS[cells.word(row, "status", tuple(_STATUS))]
    cancelled_at = cells.optional_instant(row, "cancelled_at")
    if cancelled_at and status not in _MAY_BE_CANCELLED:
        raise cells.BadCell("cancelled_at is filled and status says otherwise")
    return Order(
        external_id=cells.identifier(row, "order_id"),
        customer=_customer(row),
        status=status,
        channel_status=row["status"],
        currency=code,
        total=total,
        refunded=refunded,
        placed_at=cells.instant(row, "placed_at"),
        updated_at=cells.instant(row, "updated_at"),
        cancelled_at=cancelled_at,
        is_test=cells.yes_or_no(row, "test"),
        lines=lines,
    )


def _customer(row: cells.Row) -> Customer:
    return Customer(
        external_id=cells.identifier(row, "customer_id") if row["customer_id"] else "",
        email=cells.text(row, "email"),
        first_name=cells.text(row, "first_name"),
        last_name=cells.text(row, "last_name"),
        country=cells.country(row, "country"),
        consent=_consent(row),
    )


def _consent(row: cells.Row) -> Consent | None:
    """A grant has to be provable; a withdrawal counts however little is known of it."""
    if not row["consent_status"]:
        return None
    status = ConsentStatus(cells.word(row, "consent_status", _CONSENT))
    read = cells.required_text if status is ConsentStatus.GRANTED else cells.text
    return Consent(
        status=status,
        basis=read(row, "consent_basis") or "",
        source=read(row, "consent_source") or "",
        wording=read(row, "consent_wording") or "",
        occurred_at=cells.instant(row, "consent_at"),
    )


def _line(row: cells.Row, first: cells.Row) -> OrderLine:
    if row is not first and _order_fields(row) != _order_fields(first):
        raise cells.BadCell("the order's own fields differ from those in its first row")
    return OrderLine(
        line_no=cells.count(row, "line_no"),
        sku=cells.identifier(row, "sku"),
        title=cells.text(row, "title"),
        category=cells.text(row, "category"),
        quantity=cells.count(row, "quantity"),
        total=cells.signed_amount(row, "line_total", cells.currency(first, "currency")),
    )
