import csv
import gzip
import io
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.channels import csv_orders
from data.dead_letters import BadRow
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderLine, OrderStatus

ROOT = Path(__file__).parents[2]
PAYLOADS = ROOT / "tests" / "payloads" / "orders"
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


def read(path: Path, content: str | bytes) -> list[Order | BadRow]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(csv_orders.read(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def summary(items: Iterable[Order | BadRow]) -> list[str | tuple[int, str]]:
    return [item.external_id if isinstance(item, Order) else (item.row_number, item.reason) for item in items]


def test_a_file_by_the_contract_becomes_orders() -> None:
    tea, cancelled, guest, test = csv_orders.read(PAYLOADS / "good.csv")
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
    told = summary(csv_orders.read(PAYLOADS / "bad.csv"))
    expected = [
        "2001",
        (3, "status is none of: placed"),
        (4, "order_id was turned into a float"),
        (5, "customer_id was turned into a float"),
        (6, "order_total is no decimal number"),
        (7, "order_total: JPY has 0 decimals"),
        (8, "order_total is no decimal number"),
        (9, "refunded_total is larger than order_total"),
        (10, "placed_at has no zone"),
        (11, "placed_at is not between the years"),
        (12, "cancelled_at is filled"),
        (13, "quantity is no whole number"),
        (14, "consent_basis is empty"),
        (15, "the row has 17 cells where the header has 16"),
        (16, "the row has 12 cells where the header has 16"),
        (17, "the quotes do not match"),
        (18, "order_total is negative"),
        (19, "currency: a currency is a three-letter"),
        (20, "row 21 of the same order: line_no stands twice"),
        (21, "line_no stands twice"),
        (22, "row 23 of the same order: the order's own fields differ"),
        (23, "the order's own fields differ"),
        (24, "the order stands further up already"),
        "2022",
    ]
    assert len(told) == len(expected)
    for item, wanted in zip(told, expected, strict=True):
        if isinstance(item, str) or isinstance(wanted, str):
            assert item == wanted
        else:
            assert item[0] == wanted[0]
            assert item[1].startswith(wanted[1])


def test_a_bad_row_keeps_what_stood_in_it_and_what_was_at_stake(path: Path) -> None:
    (bad,) = read(path, as_text([GOOD | {"status": "lost", "order_total": "1234.99"}]))
    assert isinstance(bad, BadRow)
    assert bad.priority == 1234
    assert bad.payload["email"] == "anna@example.com"
    assert "anna" not in bad.reason
    (broken,) = read(path, as_text([], columns=GOOD) + "1001,42,a@example.com\n")
    assert isinstance(broken, BadRow)
    assert broken.payload == {"row": "1001,42,a@example.com"}


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
def test_what_cannot_be_right_is_refused(path: Path, change: dict[str, str]) -> None:
    rows = [GOOD | change, GOOD | {"order_id": "1002"}]
    bad, good = read(path, as_text(rows))
    assert isinstance(bad, BadRow)
    assert bad.row_number == 2
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
def test_what_is_unusual_is_taken(path: Path, change: dict[str, str], field: str, value: object) -> None:
    (order,) = read(path, as_text([GOOD | change]))
    assert getattr(order, field) == value


def test_an_address_that_cannot_exist_and_text_that_looks_like_a_formula_stay_as_given(path: Path) -> None:
    (order,) = read(path, as_text([GOOD | {"email": "not an address", "first_name": "=cmd()"}]))
    assert isinstance(order, Order)
    assert (order.customer.email, order.customer.first_name) == ("not an address", "=cmd()")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r\r\n"])
@pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz"])
def test_byte_order_mark_line_ends_and_gzip_make_no_difference(tmp_path, mark, line_end, name) -> None:
    content = mark + as_text([GOOD, GOOD | {"line_no": "2"}]).replace("\r\n", line_end).encode()
    path = tmp_path / name
    (order,) = read(path, gzip.compress(content) if name.endswith(".gz") else content)
    assert isinstance(order, Order)
    assert len(order.lines) == 2
    assert csv_orders.count_rows(path) == 2


def test_empty_rows_are_nothing(path: Path) -> None:
    header, first, second = as_text([GOOD, GOOD | {"line_no": "2"}]).splitlines()
    commas = "," * header.count(",")
    bad = second.replace("paid", "lost").replace("1001", "1002")
    told = read(path, f"\n{header}\n{first}\n{commas}\n \n{second}\n\n{bad}\n\n")
    assert summary(told)[0] == "1001"
    assert summary(told)[1][0] == 4
    assert csv_orders.count_rows(path) == 3


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
def test_a_broken_row_leaves_no_half_order(path: Path, broken: str) -> None:
    header, first, second, other = as_text([GOOD, GOOD | {"line_no": "2"}, GOOD | {"order_id": "1002"}]).splitlines()
    content = f"{header}\n{first}\n{broken}\n{second}\n{other}".encode("utf-8", "surrogateescape")
    told = read(path, content)
    assert [item.row_number for item in told if isinstance(item, BadRow)] == [2, 3, 4]
    assert summary(told)[-1] == "1002"


def test_an_unclosed_quote_spoils_its_own_row_only(path: Path) -> None:
    header, first, second, third = as_text([GOOD | {"order_id": str(n)} for n in (1, 2, 3)]).splitlines()
    told = read(path, "\n".join([header, first, second.replace("anna", '"anna'), third]))
    assert [item if isinstance(item, str) else item[0] for item in summary(told)] == ["1", 3, "3"]


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
        (HEADER.encode() + b",zzz", r"unknown column 'zzz'\. Nothing was loaded"),
        (HEADER.encode() + b",", r"unknown column ''"),
        (HEADER.encode() + b",email,email", "column 'email' is there twice"),
        (HEADER.replace(",", ";").encode(), "separated by semicolons"),
        (",".join(reversed(GOOD)).encode(), "order_id has to be the first column"),
        (HEADER.encode("utf-16"), "no header row in UTF-8"),
        (b'"order_id', "no header row in UTF-8"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_clear_error(path: Path, content: bytes, said: str) -> None:
    with pytest.raises(csv_orders.UnreadableFile, match=said):
        read(path, content)


def test_a_file_that_is_not_there_or_breaks_off_says_so(tmp_path: Path) -> None:
    with pytest.raises(csv_orders.UnreadableFile, match=r"none\.csv cannot be read after row 0: No such file"):
        list(csv_orders.read(tmp_path / "none.csv"))
    with pytest.raises(csv_orders.UnreadableFile, match="Not a gzipped file"):
        read(tmp_path / "plain.csv.gz", as_text([GOOD]))
    text = as_text(GOOD | {"order_id": str(n)} for n in range(2000))
    whole = gzip.compress(text.encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-20])
    stream = csv_orders.read(tmp_path / "cut.csv.gz")
    assert isinstance(next(stream), Order)
    with pytest.raises(csv_orders.UnreadableFile, match=r"after row [1-9]\d*: .*load the whole file again"):
        list(stream)


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first, second, other = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"
    first.write_text("same")
    second.write_text("same")
    other.write_text("other")
    assert csv_orders.fingerprint(first) == csv_orders.fingerprint(second) != csv_orders.fingerprint(other)


def test_the_documented_contract_is_the_one_that_is_read(path: Path) -> None:
    document = (ROOT / "docs" / "orders-csv.md").read_text()
    first_cells = re.findall(r"^\| (`.*?) \|", document, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_cells))) == sorted(csv_orders.COLUMNS)
    example = re.search(r"```csv\n(.*?)```", document, re.DOTALL)
    assert example is not None
    assert summary(read(path, example[1])) == ["1001", "1002"]


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


def accounted(items: list[Order | BadRow]) -> int:
    return sum(len(item.lines) if isinstance(item, Order) else 1 for item in items)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(rows=st.lists(good_row, max_size=8), noise=st.lists(st.binary(max_size=40), max_size=3))
def test_every_row_is_an_orders_line_or_a_dead_letter(path: Path, rows, noise) -> None:
    content = as_text(rows).encode("utf-8", "replace") + b"\n".join(noise)
    items = read(path, content)
    assert accounted(items) == csv_orders.count_rows(path)
    loaded = [item.external_id for item in items if isinstance(item, Order)]
    assert len(loaded) == len(set(loaded))
    numbers = [item.row_number for item in items if isinstance(item, BadRow)]
    assert numbers == sorted(set(numbers))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace")))
)
def test_no_file_makes_it_stumble(path: Path, content: bytes) -> None:
    with suppress(csv_orders.UnreadableFile):
        read(path, content)
