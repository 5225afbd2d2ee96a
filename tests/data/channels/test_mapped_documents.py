import json
from decimal import Decimal
from typing import Any

import pytest

from data.channels import mapped
from data.channels.channel import Element, Ignored, Unfit, Unreadable
from domain.orders import Order, OrderStatus
from tests.data.channels.mapped_orders import MINIMAL, RAW, ROOT, delivery, mapping_with, read


def test_a_page_of_an_api_a_list_and_json_lines_hold_the_same_orders() -> None:
    mapping = mapping_with({"orders_at": "data.orders"})
    other = RAW | {"id": 8}
    page = json.dumps({"data": {"orders": [RAW, other]}, "next": None}).encode()
    array = json.dumps([RAW, other]).encode()
    lines = b"\n".join(json.dumps({"data": {"orders": [one]}}).encode() for one in (RAW, other))
    for body in (page, array, lines):
        assert [one.payload["id"] for one in mapped.elements(body, delivery(mapping))] == [7, 8]
    with pytest.raises(Unreadable, match=r"there is nothing at data\.orders"):
        list(mapped.elements(b'{"orders": []}', delivery(mapping)))


def test_a_broken_line_is_told_by_itself_also_if_it_is_the_first() -> None:
    good = json.dumps(RAW).encode()
    for lines in ([b"{", good, good], [good, b"{", good]):
        found = list(mapped.elements(b"\n".join(lines), delivery(mapping_with({}))))
        assert [one.position for one in found] == [1, 2, 3]
        assert [one.fault is None for one in found] == [line == good for line in lines]


GROUPED: dict[str, Any] = {
    "group_by": "id",
    "line": {"list": "", "sku": "sku", "quantity": {"value": "1"}, "total": "sum",
             "skip_when": [{"because": "no merchandise", "where": {"sku": "^(WRAP|)$"}}]},
    "order": {"total": "sum_of_lines", "currency": {"value": "EUR"}, "placed_at": {"path": "at", "of_rows": "min"},
              "updated_at": {"path": "at", "of_rows": "max"}},
}  # fmt: skip


def row(number: int, sku: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "sku": sku, "sum": 1, "at": "2026-03-01T12:00:00Z", "state": "open"} | more


def grouped(*rows: Any) -> list[Element]:
    body = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows)
    return list(mapped.elements(body, delivery(mapping_with(GROUPED))))


def test_flat_rows_are_put_together_and_those_that_are_no_merchandise_are_counted_as_ignored() -> None:
    found = grouped(
        row(1, "A"), row(1, "WRAP"), row(1, "B", at="2026-03-01T12:01:00Z"), row(2, ""), row(2, "WRAP"), row(1, "C")
    )
    assert [(one.position, one.rows) for one in found] == [(1, 2), (1, 1), (4, 2), (6, 1)]
    orders = [mapped.order(one.payload, delivery(mapping_with(GROUPED))) for one in found]
    first, ignored, no_order, again = orders
    assert isinstance(first, Order)
    assert (first.external_id, first.total, [line.sku for line in first.lines]) == ("1", 2, ["A", "B"])
    assert (first.placed_at.minute, first.updated_at.minute) == (0, 1)
    assert ignored == no_order == Ignored("no merchandise")
    assert isinstance(again, Order)  # apart from its rows above: intake sees a conflict


def test_rows_of_an_order_that_differ_are_refused_unless_the_mapping_says_which_counts() -> None:
    rows = [row(1, "A", state="open"), row(1, "B", state=""), row(1, "C", state="void")]
    with pytest.raises(Unfit, match=r"status \(state\) differs from row to row: `of_rows`") as fault:
        mapped.order(rows, delivery(mapping_with(GROUPED)))
    assert fault.value.rule == "status_differs"
    for which, status in (("first", OrderStatus.PLACED), ("last", OrderStatus.CANCELLED)):
        order = GROUPED["order"] | {"status": MINIMAL["order"]["status"] | {"of_rows": which}}
        found = mapped.order(rows, delivery(mapping_with(GROUPED | {"order": order})))
        assert isinstance(found, Order)
        assert found.status is status
    same = [row(1, "A", state="open"), row(1, "B", state=" OPEN ")]
    assert isinstance(mapped.order(same, delivery(mapping_with(GROUPED))), Order)


def test_a_row_that_cannot_be_read_takes_the_order_above_along() -> None:
    (first, second) = grouped(row(1, "A"), b"{", row(1, "B"), row(2, "C"))
    assert (first.position, first.rows, second.fault) == (1, 3, None)
    assert first.fault is not None
    assert first.fault.startswith("row 2 of the order's 3: ")
    counted = mapping_with(GROUPED | {"line": GROUPED["line"] | {"quantity": "n"}})
    with pytest.raises(Unfit, match=r"line 2 of the order's 2: quantity .* below zero") as fault:
        mapped.order([row(1, "A", n=1), row(1, "B", n=-1)], delivery(counted))
    assert fault.value.fields == ("1.n",)


CSV = {
    "format": "csv",
    "delimiter": ";",
    "decimal": ",",
    "encoding": ["cp1252"],
    "line": None,
    "order": {"currency": {"value": "EUR"}, "total": "Net. total", "external_id": "Order no"},
}


def test_a_csv_of_any_dialect_with_a_row_an_order() -> None:
    mapping = mapping_with({**CSV, "customer": {"last_name": "name"}})
    body = (ROOT / "tests" / "payloads" / "orders" / "mapped" / "windows-1252.csv").read_bytes()
    first, broken, third = read(body, mapping)
    assert isinstance(first, Order)
    assert (first.total, first.customer.last_name, first.lines) == (Decimal("19.90"), "Müller", ())
    assert isinstance(broken, Unfit)
    assert str(broken) == "the row has 5 cells where the header has 7"
    assert isinstance(third, Order)
    assert third.customer.last_name == "€"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Order No;Net. total;state;at", r"order\.external_id is read from 'Order no', which is no column \(did you mean 'Order No'"),
        ("Order no;Net. total;state;state;at", "column 'state' is there twice"),
        ("Order no,Net. total,state,at", r"is `delimiter` right\?"),
        ("", "the file is empty"),
    ],
)  # fmt: skip
def test_a_header_without_what_the_mapping_reads_is_one_clear_error(header: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        list(mapped.elements(header.encode() + b"\n1;2;3;4" * bool(header), delivery(mapping_with(CSV))))
