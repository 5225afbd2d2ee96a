import gzip
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.channels import csv_orders, mapped
from data.channels.channel import Channel, Delivery, Element, Origin
from data.channels.mapping import Mapping
from data.intake import files
from data.intake.files import Piece, UnreadableFile

HEADER = "order_id,customer_id,email,status,currency,order_total,placed_at,updated_at,line_no,sku,quantity,line_total"
ROW = "42,anna@example.com,paid,EUR,10.00,2026-03-01T12:00:00Z,2026-03-01T12:00:00Z,{n},A,1,10.00"
ROWS = Mapping.model_validate(
    {
        "format": "csv",
        "delimiter": ";",
        "group_by": "order",
        "order": {
            "external_id": "order",
            "status": {"value": "paid"},
            "currency": {"value": "EUR"},
            "total": "sum_of_lines",
            "placed_at": {"value": "2026-03-01T12:00:00Z"},
        },
        "line": {"sku": "sku", "quantity": {"value": "1"}, "total": {"value": "1"}},
    }
)
JSON_ROWS = ROWS.model_copy(update={"format": "json"})


def content_of(orders: int, *, lines: int = 2) -> bytes:
    rows = (f"{order},{ROW.format(n=n)}" for order in range(orders) for n in range(1, lines + 1))
    return "\n".join([HEADER, *rows, ""]).encode()


def pieces(path: Path, content: bytes, mapping: Mapping | None = None) -> list[Piece]:
    path.write_bytes(content)
    return list(files.cut(path, mapping))


def elements(channel: Channel, cut: list[Piece], mapping: Mapping | None = None) -> Iterator[Element]:
    """All elements, with their places in the file, as intake reckons them."""
    delivery = Delivery(Origin.FILE, datetime(2026, 11, 22, tzinfo=UTC), options={"mapping": mapping})
    for piece in cut:
        found = list(channel.elements(piece.body, delivery))
        assert sum(one.rows for one in found) == piece.rows
        yield from (one._replace(position=piece.first_row + one.position - 1) for one in found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def test_a_csv_file_is_cut_into_documents_of_whole_orders(path: Path) -> None:
    found = pieces(path, content_of(1201))
    assert [(piece.first_row, piece.rows) for piece in found] == [(2, 1000), (1002, 1000), (2002, 402)]
    assert all(piece.body.startswith(HEADER.encode() + b"\n0,") or piece.first_row > 2 for piece in found)
    orders = list(elements(csv_orders.CHANNEL, found))
    assert [one.position for one in orders] == [2 + 2 * n for n in range(1201)]
    assert all(one.rows == 2 and one.fault is None for one in orders)


def test_a_piece_holds_a_mebibyte_at_most_unless_one_order_alone_is_larger(path: Path) -> None:
    wide = "x" * 100_000
    rows = [f'{order},"{wide}",{n}' for order in range(30) for n in range(3)]
    large = [f"99,{wide},{n}" for n in range(20)]
    mapping = ROWS.model_copy(update={"delimiter": ","})
    found = pieces(path, "\n".join(["order,sku,n", *rows, *large]).encode(), mapping)
    assert [piece.rows for piece in found] == [9] * 10 + [20]
    assert all(len(piece.body) <= 2**20 for piece in found[:-1])


def test_the_same_file_gives_the_same_pieces_under_any_name_zipped_or_not(tmp_path: Path) -> None:
    content = content_of(1100)
    plain = pieces(tmp_path / "a.csv", content)
    assert pieces(tmp_path / "b.CSV", content) == plain
    assert pieces(tmp_path / "c.csv.gz", gzip.compress(content)) == plain
    assert pieces(tmp_path / "d.csv", b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")) == plain
    commas = b"," * HEADER.count(",")
    assert pieces(tmp_path / "e.csv", content.replace(b"\n", b"\n\n" + commas + b"\n  \n")) == plain


def test_neighbouring_rows_stay_together_however_the_id_is_written(path: Path) -> None:
    filling = [f"{order},{ROW.format(n=1)}" for order in range(1000, 1499)]
    odd = [beginning + ROW.format(n=1) for beginning in ('"7",', "7,", " 7,", "7 ,", '" 7",')]
    broken = ["broken", "," + ROW.format(n=1), '"7,' + ROW.format(n=1), "7"]
    content = "\n".join([HEADER, *filling, *odd, *broken, "8," + ROW.format(n=1)]).encode()
    found = pieces(path, content)
    assert [(piece.first_row, piece.rows) for piece in found] == [(2, 499 + 5 + 4), (510, 1)]


cells = st.sampled_from(["1", '"1"', " 1", "2", '"2"', "", '"', '"3,4"', "5\u00ad", "\xa06", "7\x00", 'a"b', "#"])
row = st.tuples(cells, st.sampled_from(["", ",x", ',"x"', ',"x', ";x;y", ",x,y"])).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(rows=st.lists(st.tuples(row, st.booleans()), max_size=12))
def test_no_cut_changes_which_rows_make_an_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows) -> None:
    encoded = [text.encode("latin-1" if odd else "utf-8") for text, odd in rows]
    body = b"\n".join([b"order,sku", *encoded])
    mapping = ROWS.model_copy(update={"delimiter": ","})
    whole = pieces(tmp_path / "whole.csv", body, mapping)
    with monkeypatch.context() as one_order_a_piece:
        one_order_a_piece.setattr(files, "_ORDERS", 1)
        parts = pieces(tmp_path / "parts.csv", body, mapping)
    assert sum(piece.rows for piece in parts) == sum(piece.rows for piece in whole)
    told = [(one.position, one.rows, one.payload) for one in elements(mapped.CHANNEL, whole, mapping)]
    assert [(one.position, one.rows, one.payload) for one in elements(mapped.CHANNEL, parts, mapping)] == told


def test_the_column_that_groups_may_be_any(path: Path) -> None:
    rows = [f'"Tea; green";{order};A' for order in range(501) for _ in range(2)]
    broken = ['"Tea;500;A', "500"]
    found = pieces(path, "\n".join(["title;order;sku", *rows, *broken]).encode(), ROWS)
    assert [(piece.first_row, piece.rows) for piece in found] == [(2, 1000), (1002, 4)]


def test_json_lines_are_cut_by_lines_and_those_of_one_order_stay_together(tmp_path: Path) -> None:
    lines = [json.dumps({"order": n // 2, "sku": "A"}) for n in range(1003)]
    content = "\n".join([*lines[:999], "", "broken", *lines[999:]]).encode()
    plain = pieces(tmp_path / "a.jsonl", content)
    assert [(piece.first_row, piece.rows) for piece in plain] == [(1, 500), (501, 500), (1001, 4)]
    assert plain[0].body == "\n".join(lines[:500]).encode()
    grouped = pieces(tmp_path / "b.ndjson.gz", gzip.compress(content), JSON_ROWS)
    assert [(piece.first_row, piece.rows) for piece in grouped] == [(1, 1001), (1002, 3)]
    orders = list(elements(mapped.CHANNEL, grouped, JSON_ROWS))
    assert [one.rows for one in orders] == [2] * 499 + [3, 2, 1]
    assert orders[499].fault is not None
    assert orders[499].fault.startswith("row 2 of the order's 3: ")


def test_a_json_array_is_cut_and_each_order_keeps_its_very_characters(tmp_path: Path) -> None:
    order = '{"id": 12345678901234567890123, "total": 19.90, "name": "Zo\\u00eb \u00eb"}'
    text = "[\n" + " ,\n".join([order] * 1001) + "\n]\n"
    found = pieces(tmp_path / "orders.json", text.encode("utf-8-sig"))
    assert [(piece.first_row, piece.rows) for piece in found] == [(1, 500), (501, 500), (1001, 1)]
    assert found[2].body == f"[{order}]".encode()
    assert pieces(tmp_path / "empty.json", b" [ ] ") == []
    rows = json.dumps([{"order": n // 2} for n in range(1002)]).encode()
    assert [one.rows for one in pieces(tmp_path / "rows.json", rows, JSON_ROWS)] == [1000, 2]


def test_a_json_object_is_one_document(tmp_path: Path) -> None:
    page = b'{"orders": [{"id": 1}, {"id": 2}], "next": null}'
    assert pieces(tmp_path / "page.json", page) == [Piece(page, 1, 1)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", r"a\.csv: the file is empty.* Nothing was loaded"),
        ("a.csv", b"\n,,\n", "the file is empty"),
        ("a.csv", HEADER.replace("email", "e_mail").encode(), r"did you mean 'email'.*Nothing was loaded"),
        ("a.csv", HEADER.encode("utf-16"), "no header row in UTF-8"),
        ("a.csv", b"1,anna@example.com\n", "names none of our columns"),
        ("a.csv.gz", HEADER.encode(), r"a\.csv\.gz cannot be read after row 0: Not a gzipped file"),
        ("a.xlsx", b"PK", r"a\.xlsx has an unknown ending: \.csv, \.jsonl"),
        ("a.jsonl", b"", "is empty"),
        ("a.json", b" ", "is empty"),
        ("a.json", b"[{},", "no JSON, or was cut off"),
        ("a.json", b"[{} {}]", "no JSON, or was cut off"),
        ("a.json", b"[{}] x", "no JSON, or was cut off"),
        ("a.json", b"[{},]", "no JSON, or was cut off"),
        ("a.json", b'[{"total": NaN}]', "no JSON, or was cut off"),
        ("a.json", b"[" * 200_000, "no JSON, or was cut off"),
        ("a.json", b'{"id": 1}\n{"id": 2}', r"several documents: .* call it \.jsonl"),
        ("a.json", '[{"name": "Zoë"}]'.encode("latin-1"), "is not UTF-8"),
        ("a.json.gz", b"[]", "Not a gzipped file"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said) as refused:
        pieces(tmp_path / name, content)
    assert "anna" not in str(refused.value)


def test_a_file_of_another_format_than_the_mappings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"is JSON and the mapping is for csv"):
        pieces(tmp_path / "a.json", b"[]", ROWS)
    with pytest.raises(UnreadableFile, match=r"is CSV and the mapping is for json"):
        pieces(tmp_path / "a.csv", b"order", JSON_ROWS)
    with pytest.raises(
        UnreadableFile, match=r"group_by is read from 'order', which is no column.*did you mean 'Order'"
    ):
        pieces(tmp_path / "a.csv", b"Order;sku", ROWS)


def test_a_file_that_is_not_there_or_breaks_off_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.csv cannot be read after row 0: No such file"):
        list(files.cut(tmp_path / "none.csv"))
    with pytest.raises(UnreadableFile, match=r"none\.csv cannot be read: No such file"):
        files.fingerprint(tmp_path / "none.csv")
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(content_of(3000))[:-20])
    stream = files.cut(path)
    assert next(stream).rows == 1000
    with pytest.raises(UnreadableFile, match=r"after row [1-9]\d*: .*load the whole file again"):
        list(stream)


def test_what_no_text_file_of_orders_looks_like_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LARGEST_ORDER", 100_000)
    monkeypatch.setattr(files, "_LARGEST_DOCUMENT", 2**20)
    with pytest.raises(UnreadableFile, match="a line of more than"):
        pieces(tmp_path / "a.csv", HEADER.encode() + b"\n" + b"x" * 200_000)
    one_id = "\n".join([HEADER, *(f"1,{ROW.format(n=n)}" for n in range(2000))])
    with pytest.raises(UnreadableFile, match="rows of one order: is it the right column"):
        pieces(tmp_path / "b.csv", one_id.encode())
    with pytest.raises(UnreadableFile, match=r"larger than 1 MiB .* call it \.jsonl"):
        pieces(tmp_path / "c.json", b"[" + b" " * 2**20 + b"]")
    with pytest.raises(UnreadableFile, match="one JSON object of more than"):
        pieces(tmp_path / "d.json", json.dumps({"orders": ["x" * 200_000]}).encode())


def test_a_file_is_streamed(path: Path) -> None:
    """Ten times the file takes no more memory."""

    def peak(orders: int) -> int:
        path.write_bytes(content_of(orders))
        tracemalloc.start()
        for _ in files.cut(path):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < 1.2 * peak(2_000)


def test_a_folder_is_all_files_in_it_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.jsonl.gz", "c.JSON", "readme.txt", "d.gz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub.csv").mkdir()
    assert [one.name for one in files.found(tmp_path)] == ["a.jsonl.gz", "b.csv", "c.JSON"]
    assert files.found(tmp_path / "readme.txt") == [tmp_path / "readme.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match=r"no file in .* that can be read: \.csv"):
        files.found(tmp_path / "empty")


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first, second, other = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"
    first.write_text("same")
    second.write_text("same")
    other.write_text("other")
    assert files.fingerprint(first) == files.fingerprint(second) != files.fingerprint(other)
