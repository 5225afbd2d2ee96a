import csv
import io
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.channels import csv_orders, csv_rows
from data.channels.channel import Delivery, Element, Origin, Unfit, Unreadable
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderKind, OrderLine, OrderStatus

ROOT = Path(__file__).parents[2]
PAYLOADS = ROOT / "tests" / "payloads" / "orders"
DELIVERY = Delivery(Origin.FILE, datetime(2026, 11, 22, tzinfo=UTC))
GOOD = {
    "order_id": "1001",
    "customer_id": "42",
    "email": "anna@example.com",
    "status": "paid",
    "currency": "EUR",
    "order_total": "10.00",
    "placed_at": "2026-03-01T12:00:00+01:00",
    "updated_at": "2026-03-01T12:00:00+01:00",
    "line_no": "1",
    "sku": "A",
    "quantity": "1",
    "line_total": "10.00",
}


def as_text(rows: Iterable[dict[str, str]], columns: Iterable[str] = csv_orders.COLUMNS) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class Refused(NamedTuple):
    element: Element
    rule: str
    reason: str
    fields: tuple[str, ...] = ()


def read(content: str | bytes) -> list[Order | Refused]:
    return list(judged(csv_orders.elements(content.encode() if isinstance(content, str) else content, DELIVERY)))


def judged(elements: Iterable[Element]) -> Iterable[Order | Refused]:
    for element in elements:
        if element.fault is not None:
            yield Refused(element, "", element.fault)
            continue
        try:
            yield csv_orders.order(element.payload, DELIVERY)
        except Unfit as fault:
            yield Refused(element, fault.rule, str(fault), fault.fields)


def summary(items: Iterable[Order | Refused]) -> list[str | tuple[int, int, str]]:
    return [
        item.external_id if isinstance(item, Order) else (item.element.position, item.element.rows, item.reason)
        for item in items
    ]


def only(items: list[Order | Refused]) -> Order:
    (item,) = items
    assert isinstance(item, Order), item
    return item


def test_a_file_by_the_contract_becomes_orders() -> None:
    tea, cancelled, guest, test = read((PAYLOADS / "good.csv").read_bytes())
    assert tea == Order(
        external_id="1001",
        customer=Customer(
            external_id="42",
            email="Anna@Example.com",
            first_name="Anna",
            last_name="Ártúnsdóttir",
            country="DE",
            consent=Consent(ConsentStatus.GRANTED, "consent", "checkout", "v3", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ),
        status=OrderStatus.PAID,
        channel_status="paid",
        currency="EUR",
        total=Decimal("59.80"),
        refunded=Decimal(0),
        placed_at=datetime(2026, 3, 1, 11, tzinfo=UTC),
        updated_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        cancelled_at=None,
        is_test=False,
        lines=(
            OrderLine(1, "TEA-1", 'Green "Sencha", 100 g', "Tea", 2, Decimal("39.80")),
            OrderLine(2, "CUP-7", "Cup 🍵", None, 1, Decimal("20.00")),
        ),
    )
    assert isinstance(cancelled, Order)
    assert isinstance(guest, Order)
    assert isinstance(test, Order)
    assert (cancelled.external_id, cancelled.status) == ("9007199254740993", OrderStatus.CANCELLED)  # 2**53 + 1
    assert (cancelled.currency, cancelled.total, cancelled.refunded) == ("JPY", Decimal(1980), Decimal(1980))
    assert cancelled.customer.email is None
    assert (guest.customer.external_id, guest.total, guest.refunded) == ("", Decimal("1.234"), Decimal("0.500"))
    assert guest.customer.consent is not None
    assert guest.customer.consent.status is ConsentStatus.WITHDRAWN  # counts without a proof
    assert (test.is_test, test.status) == (True, OrderStatus.REFUNDED)


def test_each_bad_row_is_named_and_takes_its_whole_order_along() -> None:
    told = summary(read((PAYLOADS / "bad.csv").read_bytes()))
    expected: list[str | tuple[int, int, str]] = [
        "2001",
        (2, 1, "status is none of: placed"),
        (3, 1, "order_id was turned into a float"),
        (4, 1, "customer_id was turned into a float"),
        (5, 1, "order_total is no decimal number"),
        (6, 1, "order_total: JPY has 0 decimals"),
        (7, 1, "order_total is no decimal number"),
        (8, 1, "refunded_total is larger than order_total"),
        (9, 1, "placed_at has no zone"),
        (10, 1, "placed_at is not between the years"),
        (11, 1, "cancelled_at is filled"),
        (12, 1, "quantity is no whole number"),
        (13, 1, "consent_basis is empty"),
        (14, 1, "the row has 17 cells where the header has 16"),
        (15, 1, "the row has 12 cells where the header has 16"),
        (16, 1, "the quotes do not match"),
        (17, 1, "order_total is negative"),
        (18, 1, "currency: a currency is a three-letter"),
        (19, 2, "row 2 of the order's 2: line_no stands twice"),
        (21, 2, "row 2 of the order's 2: the order's own fields differ from those in its first row: customer_id"),
        "2001",  # further up already, with other content: intake refuses one of the two as a conflict
        "2022",
    ]
    assert len(told) == len(expected)
    for item, wanted in zip(told, expected, strict=True):
        if isinstance(item, str) or isinstance(wanted, str):
            assert item == wanted
        else:
            assert item[:2] == wanted[:2]
            assert item[2].startswith(wanted[2])


def test_a_refused_order_keeps_what_stood_in_it_and_says_which_field_is_wrong() -> None:
    (bad,) = read(as_text([GOOD | {"status": "lost", "order_total": "1234.99"}], columns=GOOD))
    assert isinstance(bad, Refused)
    assert bad.element.payload == [GOOD | {"status": "lost", "order_total": "1234.99"}]
    assert (bad.rule, bad.fields) == ("status_unknown", ("status",))
    assert "anna" not in bad.reason
    (broken,) = read(as_text([], columns=GOOD) + "1001,42,a@example.com\n")
    assert isinstance(broken, Refused)
    assert broken.element.payload == [{"row": "1001,42,a@example.com"}]
    with pytest.raises(Unfit, match="lacks order_id") as refused:
        csv_orders.order(broken.element.payload, DELIVERY)
    assert refused.value.rule == "row_broken"


def test_of_several_rows_the_first_offending_one_is_named_and_what_a_patch_is_to_change() -> None:
    second = GOOD | {"line_no": "2", "quantity": "many"}
    (line,) = read(as_text([GOOD, second, GOOD | {"line_no": "3", "quantity": "more"}]))
    (whole,) = read(as_text([one | {"order_total": "x"} for one in (GOOD, second)]))
    assert isinstance(line, Refused)
    assert isinstance(whole, Refused)
    assert line.reason.startswith("row 2 of the order's 3: quantity is no whole number")
    assert (line.rule, line.fields) == ("quantity_unreadable", ("1.quantity",))
    assert whole.reason.startswith("row 1 of the order's 2: order_total is no decimal")
    assert (whole.rule, whole.fields) == ("order_total_unreadable", ("order_total",))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, "no list of rows"),
        ([], "no list of rows"),
        (GOOD, "no list of rows"),
        (["1001"], "no list of rows"),
        ([{}], "lacks order_id"),
        ([GOOD | {"quantity": 1}], "quantity: every cell is text"),
        ([GOOD | {"sku": None}], "sku: every cell is text"),
        ([GOOD | {"sku": "A\0"}], "control characters"),
        ([GOOD | {"refunded": "1"}], "unknown: 'refunded'"),
        ([GOOD, GOOD | {"line_no": "2", "title": "Tea"}], "do not have the same columns"),
    ],
)
def test_what_somebody_patched_is_read_as_strictly(payload: object, said: str) -> None:
    with pytest.raises(Unfit, match=said):
        csv_orders.order(payload, DELIVERY)


def test_every_column_is_read() -> None:
    credit, replacement = read((PAYLOADS / "csv" / "every-column.csv").read_bytes())
    agreed = Consent(
        ConsentStatus.GRANTED, "consent", "checkout", "v3", datetime(2026, 3, 1, 11, tzinfo=UTC), "confirmed_opt_in"
    )
    assert credit == Order(
        external_id="1001",
        customer=Customer("42", "anna@example.com", "Anna", "Beispiel", "DE", agreed, "de-DE"),
        status=OrderStatus.REFUNDED,
        channel_status="refunded",
        currency="EUR",
        total=Decimal(0),
        refunded=Decimal("29.80"),
        placed_at=datetime(2026, 3, 1, 11, tzinfo=UTC),
        updated_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        cancelled_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        is_test=True,
        lines=(
            OrderLine(
                *(1, "TEA-1", "Green tea", "Tea", -1, Decimal("-19.80")),
                brand="Leaf",
                discount=Decimal("2.5"),
                tax=Decimal("-3.1613"),
            ),
            OrderLine(2, "CUP-7", "Cup", "Cups", -1, Decimal(-10), brand="Clay", tax=Decimal("-1.5966")),
        ),
        number="#1001",
        kind=OrderKind.CREDIT,
        replaces="999",
        tax=Decimal("-4.7580"),
        shipping=Decimal("4.90"),
        discount=Decimal("2.50"),
        coupons=("SPRING", "TEA10"),
        shop_currency="USD",
        shop_total=Decimal(0),
        shop_refunded=Decimal("34.87"),
    )
    assert isinstance(replacement, Order)
    assert (replacement.kind, replacement.replaces, replacement.tax) == (OrderKind.REPLACEMENT, "1001", None)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kind": "gift"}, "kind_unknown"),
        ({"kind": "credit"}, "order_total_unexpected"),
        ({"replaces": "999"}, "replaces_unexpected"),
        ({"order_discount": "-1.00"}, "order_discount_negative"),
        ({"order_tax": "a fifth"}, "order_tax_unreadable"),
        ({"shop_total": "11.70"}, "shop_currency_missing"),
        ({"shop_currency": "JPY", "shop_total": "11.70"}, "shop_total_too_fine"),
        ({"line_discount": "-1.00"}, "line_discount_negative"),
        ({"quantity": "-1"}, "quantity_unreadable"),
        ({"refunded_total": "10.01"}, "refunded_total_too_large"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(change: dict[str, str], rule: str) -> None:
    (bad,) = read(as_text([GOOD | change]))
    assert isinstance(bad, Refused)
    assert bad.rule == rule


@pytest.mark.parametrize(
    "change",
    [
        {"placed_at": "2026-03-29T02:30:00"},
        {"placed_at": "2026-03-29T02:30:00 Europe/Berlin"},
        {"updated_at": "2026-03-01"},
        {"updated_at": ""},
        {"updated_at": "9999-12-31T23:59:59-14:00"},
        {"order_total": "1E+3"},
        {"order_total": "1_000"},
        {"order_total": "NaN"},
        {"order_total": "1,980.00"},
        {"order_total": "€5"},
        {"order_total": ""},
        {"order_total": "9999999999999"},
        {"order_total": "10.000000000000000000000000000000000000001"},
        {"line_total": "1.001"},
        {"currency": "KWD", "order_total": "1.2345"},
        {"order_id": "1e+16"},
        {"order_id": "9,007E+15"},
        {"order_id": "x" * 201},
        {"sku": "1.20E+06"},
        {"sku": ""},
        {"quantity": "1.5"},
        {"quantity": "٣"},
        {"quantity": "10000000"},
        {"quantity": "1" * 5000},
        {"country": "Germany"},
        {"test": "maybe"},
        {"email": "bell\x07@example.com"},
        {"first_name": "line\u2028break"},
        {"title": "x" * 200_000},
        {"last_name": "x" * 1001},
        {"refunded_total": "-5.00"},
        {"consent_status": "yes"},
        {"consent_status": "withdrawn"},
        {"consent_status": "granted", "consent_at": "2026-03-01T12:00:00Z", "consent_basis": "consent"},
        {"cancelled_at": "2026-03-01T12:00:00Z"},
    ],
)
def test_what_cannot_be_right_is_refused(change: dict[str, str]) -> None:
    rows = [GOOD | change, GOOD | {"order_id": "1002"}]
    bad, good = read(as_text(rows))
    assert isinstance(bad, Refused)
    assert bad.element.position == 1
    assert isinstance(good, Order)


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"order_id": "12E5"}, "external_id", "12E5"),
        ({"order_id": "1001.1"}, "external_id", "1001.1"),
        ({"order_id": "00017"}, "external_id", "00017"),
        ({"order_id": "405-1234567-7654321"}, "external_id", "405-1234567-7654321"),
        ({"status": "CANCELED"}, "status", OrderStatus.CANCELLED),
        ({"status": "Cancelled"}, "status", OrderStatus.CANCELLED),
        ({"currency": "eur"}, "currency", "EUR"),
        ({"order_total": "0"}, "total", Decimal(0)),
        ({"placed_at": "2026-10-25T02:30:00+02:00"}, "placed_at", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ({"placed_at": "2026-10-25T02:30:00+01:00"}, "placed_at", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ({"test": "Yes"}, "is_test", True),
    ],
)
def test_what_is_unusual_is_taken(change: dict[str, str], field: str, value: object) -> None:
    (order,) = read(as_text([GOOD | change]))
    assert getattr(order, field) == value


def test_an_address_that_cannot_exist_and_text_that_looks_like_a_formula_stay_as_given() -> None:
    order = only(read(as_text([GOOD | {"email": "not an address", "first_name": "=cmd()"}])))
    assert (order.customer.email, order.customer.first_name) == ("not an address", "=cmd()")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r\r\n"])
def test_byte_order_mark_and_line_ends_make_no_difference(mark: bytes, line_end: str) -> None:
    content = mark + as_text([GOOD, GOOD | {"line_no": "2"}]).replace("\r\n", line_end).encode()
    assert len(only(read(content)).lines) == 2


def test_empty_rows_are_nothing() -> None:
    header, first, second = as_text([GOOD, GOOD | {"line_no": "2"}]).splitlines()
    commas = "," * header.count(",")
    bad = second.replace("paid", "lost").replace("1001", "1002")
    told = summary(read(f"\n{header}\n{first}\n{commas}\n \n{second}\n\n{bad}\n\n"))
    assert told[0] == "1001"
    assert told[1][:2] == (3, 1)


@pytest.mark.parametrize(
    "broken",
    [
        ",42,a@example.com,paid",  # no id
        "100",  # cut off inside of the id
        '"1001,42',
        "1001,42,caf\udce9,paid",
        "10\udce901,42,a,paid",
        "10\x0001,42,a,paid",
    ],
)
def test_a_broken_row_leaves_no_half_order(broken: str) -> None:
    header, first, second, other = as_text([GOOD, GOOD | {"line_no": "2"}, GOOD | {"order_id": "1002"}]).splitlines()
    content = f"{header}\n{first}\n{broken}\n{second}\n{other}".encode("utf-8", "surrogateescape")
    (bad, sound) = summary(read(content))
    assert bad[:2] == (1, 3)
    assert bad[2].startswith("row 2 of the order's 3: ")
    assert sound == "1002"


def test_an_unclosed_quote_spoils_its_own_row_only() -> None:
    header, first, second, third = as_text([GOOD | {"order_id": str(n)} for n in (1, 2, 3)]).splitlines()
    told = read("\n".join([header, first, second.replace("anna", '"anna'), third]))
    assert [item if isinstance(item, str) else item[0] for item in summary(told)] == ["1", 2, "3"]


def test_a_document_in_which_something_is_odd_is_read_as_one_in_which_nothing_is() -> None:
    rows = [GOOD | {"order_id": str(n // 3), "line_no": str(n % 3), "title": "Tea, green"} for n in range(500)]
    content = as_text(rows)
    odd = content + ",".join(["lost"] * len(csv_orders.COLUMNS)) + ',"\n'  # one row too many cells
    hyphen = content.replace("green", "green\u00ad")  # a soft hyphen: text that is not printable
    plain = list(csv_orders.elements(content.encode(), DELIVERY))
    assert len(plain) == 167
    assert list(csv_orders.elements(odd.encode(), DELIVERY))[:-1] == plain
    assert [e.payload for e in csv_orders.elements(hyphen.encode(), DELIVERY)] == [
        [row | {"title": "Tea, green\u00ad"} for row in e.payload] for e in plain
    ]


HEADER = ",".join(GOOD)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (HEADER.replace(",email", "").encode(), "missing: email"),
        (
            HEADER.replace("email", "e_mail").encode(),
            r"unknown column 'e_mail' \(did you mean 'email'\?\); missing: email",
        ),
        (HEADER.encode() + b",Order_Totals", r"unknown column 'Order_Totals' \(did you mean 'order_total'\?\)"),
        (HEADER.encode() + b",zzz", r"unknown column 'zzz'; docs/orders-csv\.md has the columns"),
        (HEADER.encode() + b",", r"unknown column ''"),
        (HEADER.encode() + b",email,email", "column 'email' is there twice"),
        (HEADER.replace(",", ";").encode(), "separated by semicolons"),
        (",".join(reversed(GOOD)).encode(), "order_id has to be the first column"),
        (HEADER.encode("utf-16"), "no header row in UTF-8"),
        (b'"order_id', "no header row in UTF-8"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_clear_error(content: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(content)


def test_the_documented_contract_is_the_one_that_is_read() -> None:
    document = (ROOT / "docs" / "orders-csv.md").read_text()
    first_cells = re.findall(r"^\| (`.*?) \|", document, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_cells))) == sorted(csv_orders.COLUMNS)
    example = re.search(r"```csv\n(.*?)```", document, re.DOTALL)
    assert example is not None
    assert summary(read(example[1])) == ["1001", "1002"]


cell = st.one_of(
    st.sampled_from(
        ["", "1001", "1002", "1003", "paid", "EUR", "JPY", "10.00", "1.5", "1E+9", "granted", "a@b.example"]
    ),
    st.sampled_from(
        ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "0001-01-01T00:00:00+23:59", "true", '"', "\r", "\0"]
    ),
    st.text(max_size=8),
)
good_row = st.fixed_dictionaries({}, optional=dict.fromkeys(csv_orders.COLUMNS, cell)).map(lambda some: GOOD | some)


@settings(deadline=None, max_examples=300)
@given(rows=st.lists(good_row, max_size=8), noise=st.lists(st.binary(max_size=40), max_size=3))
def test_every_row_is_an_orders_line_or_part_of_a_refused_order(rows, noise) -> None:
    content = as_text(rows).encode("utf-8", "replace") + b"\n".join(noise)
    items = read(content)
    count = len(csv_rows.lines(content, ",")) - 1
    assert sum(len(item.lines) if isinstance(item, Order) else item.element.rows for item in items) == count
    positions = [element.position for element in csv_orders.elements(content, DELIVERY)]
    assert positions == sorted(set(positions))


@settings(deadline=None)
@given(
    content=st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace")))
)
def test_no_document_makes_it_stumble(content: bytes) -> None:
    with suppress(Unreadable):
        list(csv_orders.elements(content, DELIVERY))
    read(HEADER.encode() + b"\n" + content)
