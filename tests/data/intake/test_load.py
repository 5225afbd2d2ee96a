"""Files as a way in: all of a folder, each once, and what breaks off is completed by loading it again."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, tables
from data.accounts import UnknownAccount
from data.channels.connections import Connections
from data.channels.mapping import UnusableMapping
from data.channels.registry import UnknownChannel
from data.intake import drain, load
from data.intake.files import UnreadableFile
from data.intake.load import Staged
from tests.conftest import NOW
from tests.data.intake import feed
from tests.data.intake.feed import HEADER, row

pytestmark = pytest.mark.usefixtures("account_id")

MAPPING = """
format: json
group_by: order
order:
  external_id: order
  status: {value: paid}
  currency: {value: USD}
  total: sum_of_lines
  placed_at: at
line: {sku: sku, quantity: pieces, total: sum}
"""


def csv(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def stage(engine: sa.Engine, path: Path, channel: str = "csv", **given: Any) -> Staged:
    return load.stage(feed.intake(engine, **given), path, account_id="shop", channel=channel)


def loaded(engine: sa.Engine, path: Path, channel: str = "csv", **given: Any) -> dict[str, int]:
    """What the drain makes of the file, and how many records were new."""
    staged = stage(engine, path, channel, **given)
    return feed.drained(engine, **given).counts() | {"new": staged.new}


def order_ids(engine: sa.Engine) -> list[str]:
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(tables.orders.c.external_id).order_by(tables.orders.c.external_id)))


def files_known(engine: sa.Engine) -> list[tuple[str, int, int, bool]]:
    file = tables.intake_files.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.intake_files).order_by(file.id))
        return [(one.name, one.rows, one.records, one.staged_at is not None) for one in rows]


def unfinished(engine: sa.Engine, after: timedelta = timedelta(hours=2)) -> list[str]:
    with database.read(engine) as connection:
        return [one.name for one in load.unfinished(connection, now=NOW + after)]


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An intake whose channel `own` is read by a mapping."""
    mapping = tmp_path_factory.mktemp("mapping") / "own.yaml"
    mapping.write_text(MAPPING)
    one = {"account": "shop", "channel": "own", "adapter": "mapped", "mapping": mapping}
    two = {"account": "shop", "channel": "none", "adapter": "mapped"}
    return {"connections": Connections.model_validate({"connections": [one, two]})}


def test_a_folder_of_files_of_all_kinds(engine: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(csv(row("3"), row("1")))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(csv(row("1"), row("2"))))
    (tmp_path / "readme.txt").write_text("not an order")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "c.csv").write_bytes(csv(row("9")))
    seen: list[int] = []
    staged = load.stage(feed.intake(engine), tmp_path, account_id="shop", channel="csv", progress=seen.append)
    assert staged == Staged(files=2, rows=4, records=2, new=2)
    assert seen == [2, 4]
    counts = feed.drained(engine).counts()
    assert (counts["loaded"], counts["unchanged"]) == (3, 1)
    assert order_ids(engine) == ["1", "2", "3"]
    assert files_known(engine) == [("a.csv.gz", 2, 1, True), ("b.csv", 2, 1, True)]


PAYLOADS = Path(__file__).parents[2] / "payloads" / "orders"


def _raw(channel: str, path: str) -> dict[str, Any]:
    """The first order of a recorded payload."""
    document = json.loads((PAYLOADS / channel / path).read_text("utf-8"))
    document = document.get("payload", document)
    pages = [
        document[name] for name in ("orders", "items") if channel in ("adobe", "medusa", "amazon") and name in document
    ]
    return pages[0][0] if pages else document


@pytest.mark.parametrize("name", ["orders.json", "orders.jsonl", "orders.ndjson.gz", "one.json"])
@pytest.mark.parametrize(
    ("channel", "recorded", "key"),
    [
        ("woocommerce", "completed.json", "id"),
        ("shopify", "edited.json", "id"),
        ("adobe", "page.json", "entity_id"),
        ("medusa", "page.json", "id"),
        ("amazon", "page.json", "orderId"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_json_as_the_channel_writes_it(
    engine: sa.Engine, tmp_path: Path, channel: str, recorded: str, key: str, name: str
) -> None:
    orders = [_raw(channel, recorded) | {key: number} for number in (7, 8)]
    body = json.dumps(orders) if name == "orders.json" else "\n".join(map(json.dumps, orders))
    if name == "one.json":
        body = json.dumps(orders[0], indent=2)
    path = tmp_path / name
    path.write_bytes(gzip.compress(body.encode()) if name.endswith(".gz") else body.encode())
    assert loaded(engine, path, channel)["loaded"] == (1 if name == "one.json" else 2)
    assert order_ids(engine) == (["7"] if name == "one.json" else ["7", "8"])


def test_json_lines_through_a_mapping(engine: sa.Engine, tmp_path: Path, own) -> None:
    at = "2026-03-01T12:00:00Z"
    rows = [{"order": n // 2, "at": at, "sku": f"S{n}", "pieces": 1, "sum": "5.00"} for n in range(4)]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert loaded(engine, path, "own", **own)["loaded"] == 2
    assert feed.count(engine, tables.order_lines) == 4
    path.rename(tmp_path / "own.csv")
    with pytest.raises(UnreadableFile, match=r"own\.csv is CSV and the mapping is for json"):
        stage(engine, tmp_path / "own.csv", "own", **own)


def test_a_file_that_is_loaded_twice_adds_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    path = tmp_path / "may.csv"
    path.write_bytes(csv(row("1"), row("2", status="lost")))
    first = loaded(engine, path)
    assert (first["new"], first["loaded"], first["refused"]) == (1, 1, 1)
    again = loaded(engine, path)
    assert (again["new"], again["records"]) == (0, 0)
    path.rename(tmp_path / "june.csv")
    assert loaded(engine, tmp_path / "june.csv")["new"] == 0
    assert files_known(engine) == [("may.csv", 2, 1, True)]
    assert (feed.count(engine, tables.orders), feed.count(engine, tables.dead_letters)) == (1, 1)
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(csv(row("1"), row("2", status="lost"))))
    assert loaded(engine, tmp_path / "packed.csv.gz")["new"] == 0


def _large(orders: int) -> bytes:
    return csv(
        *(row(f"{n:06}", sku=f"{n * 7919 % 10**9:09}", email=f"c{n * 104729}@example.com") for n in range(orders))
    )


def test_of_a_file_that_breaks_what_stood_above_is_kept_and_the_mended_one_completes_it(
    engine: sa.Engine, tmp_path: Path
) -> None:
    path = tmp_path / "big.csv.gz"
    whole = gzip.compress(_large(4000))
    path.write_bytes(whole[: len(whole) * 2 // 3])
    staged = stage(engine, path)
    (told,) = staged.unreadable
    assert told.startswith("big.csv.gz cannot be read after row ")
    assert "load the whole file again, nothing is loaded twice" in told
    assert 0 < staged.rows < 4000
    assert staged.rows % 500 == 0  # whole pieces, never half an order
    assert feed.drained(engine).counts()["loaded"] == staged.rows
    assert files_known(engine) == [("big.csv.gz", 0, 0, False)]
    assert unfinished(engine, timedelta(minutes=59)) == []
    assert unfinished(engine) == ["big.csv.gz"]
    path.write_bytes(whole)
    later = NOW + timedelta(hours=1)
    done = loaded(engine, path, now=later)
    assert (done["loaded"], done["unchanged"], done["refused"]) == (4000 - staged.rows, 0, 0)
    assert feed.count(engine, tables.orders) == 4000
    assert unfinished(engine, timedelta(days=1)) == []


def test_a_bad_file_does_not_keep_the_others_of_its_folder_out(engine: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes(csv(row("1")))
    (tmp_path / "2.csv").write_text("Dear Sir or Madam\n")
    (tmp_path / "3.csv").write_bytes(csv(row("3")))
    staged = stage(engine, tmp_path)
    assert (staged.files, staged.rows) == (3, 2)
    (told,) = staged.unreadable
    assert told.startswith("2.csv: the first row names none of our columns")
    feed.drained(engine)
    assert order_ids(engine) == ["1", "3"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"Dear Sir or Madam\n", "names none of our columns"),
        ("a.txt", b"x", "unknown ending"),
        ("a.json", b'{"id": 1', "Nothing was loaded"),
        ("a.csv.gz", gzip.compress(csv(row("1")))[:-20], "a.csv.gz cannot be read after row"),
        ("a.csv.gz", csv(row("1")), "a.csv.gz cannot be read after row 0"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_leaves_no_trace(
    engine: sa.Engine, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=says):
        stage(engine, tmp_path / name)
    assert files_known(engine) == []
    assert feed.count(engine, tables.intake_records) == 0


def test_a_folder_without_files_and_a_file_that_is_gone(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="there is no file in"):
        stage(engine, tmp_path)
    with pytest.raises(UnreadableFile, match=r"gone\.csv cannot be read: No such file"):
        stage(engine, tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("channel", "error", "says"),
    [
        ("teletext", UnknownChannel, "there is no adapter 'teletext'.*with the `adapter` that reads it"),
        ("My till", UnknownChannel, "no channel can be called 'My till'"),
        ("none", UnusableMapping, "names no `mapping`"),
    ],
)
def test_an_unknown_channel_is_told_before_anything_is_stored(
    engine: sa.Engine, tmp_path: Path, own, channel: str, error: type[Exception], says: str
) -> None:
    (tmp_path / "a.csv").write_bytes(csv(row("1")))
    with pytest.raises(error, match=says):
        stage(engine, tmp_path / "a.csv", channel, **own)
    assert files_known(engine) == []
    assert feed.count(engine, tables.intake_records) == 0


def test_an_unknown_account_and_an_unusable_mapping_are_told_before_too(engine: sa.Engine, tmp_path: Path, own) -> None:
    (tmp_path / "a.jsonl").write_text("{}")
    with pytest.raises(UnknownAccount, match="tea"):
        load.stage(feed.intake(engine), tmp_path / "a.jsonl", account_id="tea", channel="csv")
    own["connections"].find("shop", "own").mapping.write_text("format: xml")
    with pytest.raises(UnusableMapping):
        stage(engine, tmp_path / "a.jsonl", "own", **own)
    assert files_known(engine) == []
    assert feed.count(engine, tables.intake_records) == 0


def test_a_load_that_dies_is_told_an_hour_later_and_completed_by_loading_again(
    engine: sa.Engine, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "big.csv"
    path.write_bytes(_large(1200))
    monkeypatch.setattr(load, "_PIECES_AT_ONCE", 1)

    def dying(rows: int) -> None:
        if rows > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load.stage(feed.intake(engine), path, account_id="shop", channel="csv", progress=dying)
    assert unfinished(engine) == ["big.csv"]
    assert drain.drain(feed.intake(engine)).tally["loaded"] == 1000
    done = loaded(engine, path, now=NOW + timedelta(minutes=5))
    assert (done["new"], done["loaded"]) == (1, 200)
    assert files_known(engine) == [("big.csv", 1200, 3, True)]
    assert unfinished(engine) == []
