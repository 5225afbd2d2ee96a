"""The CSV channel: one file of order lines, a header row, one row an order line. docs/orders-csv.md is the contract.

In short: UTF-8 (a byte order mark is tolerated), commas. `order_id` is the first column, the others come in any order,
optional ones may be missing, unknown ones are refused. The order's own fields are repeated on each of its rows, and
its rows stand together. Money is a decimal string with a point, times are ISO 8601 with a zone, ids are text. A line
is a row: no line breaks inside of quotes, so a forgotten quote spoils one row only.

A row that cannot be used takes its whole order to the dead letters: never half an order.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from data.channels import cells, csv_rows, standard_webhooks
from data.channels.channel import Channel, Delivery, Element, Unfit, Unreadable
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderKind, OrderLine, OrderStatus

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
    *("first_name", "last_name", "country", "locale", "refunded_total", "cancelled_at", "test"),
    *("consent_status", "consent_at", "consent_source", "consent_basis", "consent_wording", "consent_level"),
    *("number", "kind", "replaces", "order_tax", "order_shipping", "order_discount", "coupons"),
    *("shop_currency", "shop_total", "shop_refunded"),
)
_REQUIRED_OF_LINE = ("line_no", "sku", "quantity", "line_total")
_OPTIONAL_OF_LINE = ("title", "category", "brand", "line_discount", "line_tax")
_OF_ORDER = frozenset((*_REQUIRED_OF_ORDER, *_OPTIONAL_OF_ORDER))
_REQUIRED = (*_REQUIRED_OF_ORDER, *_REQUIRED_OF_LINE)
COLUMNS = (*_REQUIRED, *_OPTIONAL_OF_ORDER, *_OPTIONAL_OF_LINE)
_RARE = frozenset(_OPTIONAL_OF_ORDER[_OPTIONAL_OF_ORDER.index("number") :])
_RARE_OF_LINE = frozenset(("brand", "line_discount", "line_tax"))

_STATUS = {status.value: status for status in OrderStatus} | {"canceled": OrderStatus.CANCELLED}
_MAY_BE_CANCELLED = {OrderStatus.CANCELLED, OrderStatus.REFUNDED}
_CONSENT = {status.value: status for status in ConsentStatus}
_KIND = {"": OrderKind.SALE} | {kind.value: kind for kind in OrderKind}
_ZERO = Decimal(0)


class _Plan(NamedTuple):
    """What the names of a row's columns tell beforehand, once for all rows that have them.

    `own`: the values of the order's own fields. `rare`, `rare_of_line`: are there columns that few shops fill?
    """

    wrong: str
    own: Callable[[cells.Row], Any]
    rare: bool
    rare_of_line: bool


def elements(body: bytes, _delivery: Delivery) -> Iterator[Element]:
    """One element an order: its rows as dicts (column → cell). Raises Unreadable."""
    first, *rows = csv_rows.lines(body, ",") or [b""]
    return csv_rows.elements(rows, layout(first))


def layout(line: bytes) -> csv_rows.Layout:
    """How to read the rows below that header. Raises Unreadable with everything that is wrong with it."""
    names = csv_rows.header(line, ",", ("utf-8",))
    if wrong := _wrong_with(names):
        raise Unreadable(f"{'; '.join(wrong)}; docs/orders-csv.md has the columns")
    return csv_rows.Layout(names)


def _wrong_with(names: tuple[str, ...]) -> list[str]:
    if not names or names == ("",):
        return ["the file is empty"]
    if len(names) == 1 and ";" in names[0]:
        return ["the columns are separated by semicolons: use commas"]
    if not set(COLUMNS).intersection(names):  # an order's row, perhaps: nothing of it is repeated
        return ["the first row names none of our columns: is it the header row?"]
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


def order(payload: Any, _delivery: Delivery) -> Order:
    """The order that the rows tell. Raises Unfit; where it has several rows, the sentence says which is meant."""
    if not isinstance(payload, list) or set(map(type, payload)) != {dict}:
        raise Unfit("rows_unreadable", "this is no list of rows: an order is one or more rows, each a column → cell")
    plan = _plan(tuple(payload[0]))
    _check_rows(payload, plan)
    try:
        lines = _lines(payload, plan)
    except Unfit:
        _whole(payload, (), plan)  # what is wrong with the first row is told first
        raise
    return _whole(payload, lines, plan)


def _check_rows(rows: Sequence[dict[str, Any]], plan: _Plan) -> None:
    """Rows may come from a file, or from somebody who patched them. Raises Unfit."""
    if plan.wrong:
        raise Unfit("row_broken", plan.wrong)
    first = rows[0]
    for row in rows:
        try:
            text = "".join(row.values())
        except TypeError as error:
            wrong = tuple(name for name, cell in row.items() if not isinstance(cell, str))
            raise Unfit("cell_unreadable", f"{', '.join(wrong)}: every cell is text, in quotes", wrong) from error
        if not text.isprintable() and csv_rows.CONTROL.search(text):
            raise Unfit("control_characters", "the row holds control characters")
        if row is not first and row.keys() != first.keys():
            raise Unfit("row_broken", "the rows of this order do not have the same columns: one of them is broken")


@lru_cache(maxsize=256)
def _plan(names: tuple[str, ...]) -> _Plan:
    missing = [name for name in _REQUIRED if name not in names]
    unknown = [f"{name!r}{_nearest(name)}" for name in names if name not in COLUMNS]
    wrong = [f"the row lacks {', '.join(missing)}"] if missing else []
    wrong += [f"unknown: {', '.join(unknown)}"] if unknown else []
    return _Plan(
        wrong="; ".join(wrong),
        own=itemgetter(*(_OF_ORDER.intersection(names) or ("",))),
        rare=not _RARE.isdisjoint(names),
        rare_of_line=not _RARE_OF_LINE.isdisjoint(names),
    )


def _in_row(fault: Unfit, number: int, count: int) -> Unfit:
    if count == 1:
        return fault
    # A patch of a plain column is for every row; of a line's own column it is for that row.
    fields = tuple(name if name in _OF_ORDER else f"{number - 1}.{name}" for name in fault.fields)
    return Unfit(fault.rule, f"row {number} of the order's {count}: {fault}", fields)


def _lines(rows: Sequence[cells.Row], plan: _Plan) -> tuple[OrderLine, ...]:
    first = rows[0]
    own = plan.own(first) if len(rows) > 1 else None
    lines: dict[int, OrderLine] = {}
    for number, row in enumerate(rows, start=1):
        try:
            if row is not first and plan.own(row) != own:
                raise _differing(row, first)
            line = _line(row, plan)
            if line.line_no in lines:
                raise Unfit("line_no_twice", "line_no stands twice in this order", ("line_no",))
        except Unfit as fault:
            raise _in_row(fault, number, len(rows)) from fault
        lines[line.line_no] = line
    return tuple(lines.values())


def _differing(row: cells.Row, first: cells.Row) -> Unfit:
    fields = tuple(name for name in first if name in _OF_ORDER and row[name] != first[name])
    sentence = f"the order's own fields differ from those in its first row: {', '.join(fields)}"
    return Unfit("rows_differ", sentence, fields)


def _line(row: cells.Row, plan: _Plan) -> OrderLine:
    rare: dict[str, Any] = {}
    if plan.rare_of_line:
        rare = {
            "brand": cells.text(row, "brand"),
            "discount": cells.share_from_zero(row, "line_discount"),
            "tax": cells.share(row, "line_tax"),
        }
    return OrderLine(
        line_no=cells.count(row, "line_no"),
        sku=cells.identifier(row, "sku"),
        title=cells.text(row, "title"),
        category=cells.text(row, "category"),
        quantity=cells.count(row, "quantity", signed=plan.rare and row.get("kind", "").lower() == OrderKind.CREDIT),
        total=cells.signed_amount(row, "line_total", cells.currency(row, "currency")),
        **rare,
    )


def _whole(rows: Sequence[cells.Row], lines: tuple[OrderLine, ...], plan: _Plan) -> Order:
    try:
        return _order(rows[0], lines, plan)
    except Unfit as fault:
        raise _in_row(fault, 1, len(rows)) from fault


def _order(row: cells.Row, lines: tuple[OrderLine, ...], plan: _Plan) -> Order:
    code = cells.currency(row, "currency")
    status = cells.word(row, "status", _STATUS)
    cancelled_at = cells.optional_instant(row, "cancelled_at")
    if cancelled_at and status not in _MAY_BE_CANCELLED:
        raise Unfit(
            "cancelled_at_unexpected", "cancelled_at is filled and status says otherwise", ("cancelled_at", "status")
        )
    order = Order(
        external_id=cells.identifier(row, "order_id"),
        customer=_customer(row),
        status=status,
        channel_status=row["status"],
        currency=code,
        total=cells.amount(row, "order_total", code),
        refunded=cells.optional_amount(row, "refunded_total", code) or _ZERO,
        placed_at=cells.instant(row, "placed_at"),
        updated_at=cells.instant(row, "updated_at"),
        cancelled_at=cancelled_at,
        is_test=cells.yes_or_no(row, "test"),
        lines=lines,
        **(_rare(row) if plan.rare else {}),
    )
    _check(order)
    return order


def _rare(row: cells.Row) -> dict[str, Any]:
    """The fields of an order that few shops fill."""
    shop_code = cells.currency(row, "shop_currency") if row.get("shop_currency") else None
    if shop_code is None and (row.get("shop_total") or row.get("shop_refunded")):
        raise Unfit("shop_currency_missing", "shop_currency is empty and shop_total is not", ("shop_currency",))
    return {
        "number": cells.text(row, "number"),
        "kind": cells.word(row, "kind", _KIND),
        "replaces": cells.optional_identifier(row, "replaces"),
        "tax": cells.share(row, "order_tax"),
        "shipping": cells.share_from_zero(row, "order_shipping"),
        "discount": cells.share_from_zero(row, "order_discount"),
        "coupons": tuple(code.strip() for code in row.get("coupons", "").split("|") if code.strip()),
        "shop_currency": shop_code,
        "shop_total": cells.optional_amount(row, "shop_total", shop_code) if shop_code else None,
        "shop_refunded": cells.optional_amount(row, "shop_refunded", shop_code) if shop_code else None,
    }


def _check(order: Order) -> None:
    """What the fields of an order must not say together."""
    if order.kind is OrderKind.CREDIT:
        if order.total:
            sentence = "order_total of a credit is not zero: what it gives back is its refunded_total"
            raise Unfit("order_total_unexpected", sentence, ("order_total", "kind"))
    elif order.refunded > order.total:
        sentence = "refunded_total is larger than order_total"
        raise Unfit("refunded_total_too_large", sentence, ("refunded_total", "order_total"))
    if order.replaces and order.kind is OrderKind.SALE:
        sentence = "replaces is filled and kind is a sale: only a replacement or a credit belongs to another order"
        raise Unfit("replaces_unexpected", sentence, ("replaces", "kind"))


def _customer(row: cells.Row) -> Customer:
    return Customer(
        external_id=cells.optional_identifier(row, "customer_id") or "",
        email=cells.text(row, "email"),
        first_name=cells.text(row, "first_name"),
        last_name=cells.text(row, "last_name"),
        country=cells.country(row, "country"),
        consent=_consent(row) if row.get("consent_status") else None,
        locale=cells.text(row, "locale"),
    )


def _consent(row: cells.Row) -> Consent:
    """A grant has to be provable; a withdrawal counts however little is known of it."""
    status = cells.word(row, "consent_status", _CONSENT)
    read = cells.required_text if status is ConsentStatus.GRANTED else cells.text
    return Consent(
        status=status,
        basis=read(row, "consent_basis") or "",
        source=read(row, "consent_source") or "",
        wording=read(row, "consent_wording") or "",
        occurred_at=cells.instant(row, "consent_at"),
        level=cells.text(row, "consent_level") or "",
    )


CHANNEL = Channel(
    name="csv",
    title="CSV file of order lines",
    elements=elements,
    order=order,
    own_numbers=False,
    push=standard_webhooks.PUSH,
)
