"""The gate at the command line, over a real store."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from data import database, tables
from data.features import refresh
from tests.cli.conftest import Campaigns
from tests.conftest import NOW
from tests.data.test_expectations_orders import add


def _customers(engine: sa.Engine, count: int = 3) -> None:
    at = NOW.now(NOW.tzinfo)
    for number in range(count):
        with database.write(engine) as connection:
            row = {"account_id": "shop", "external_id": f"c{number}", "created_at": NOW, "updated_at": NOW}
            row |= {"email": f"c{number}@example.com"}
            party_id = connection.execute(tables.parties.insert().values(row)).inserted_primary_key[0]
        add(engine, party_id, external_id=f"o{number}", placed_at=at - timedelta(days=2))
    refresh.refresh(engine, account_id="shop", as_of=at, now=at)


def test_sound_data_holds(campaigns: Campaigns, shop: sa.Engine) -> None:
    _customers(shop)
    told = campaigns("gate", "check")
    assert told.status == 0, told.out
    assert [line for line in told.lines if line.endswith("checks hold")] != []
    assert not any("FAILED" in line for line in told.lines)
    found = campaigns("gate", "check", "--json").json
    assert [(one["gate"], one["passed"]) for one in found] == [("orders", True), ("features", True), ("drift", True)]


def test_a_fault_is_told_first_with_its_order_and_the_exit_status_is_one(campaigns: Campaigns, shop: sa.Engine) -> None:
    _customers(shop)
    with database.write(shop) as connection:
        connection.execute(
            tables.orders.update().where(tables.orders.c.external_id == "o1").values(refunded=Decimal(99))
        )
    told = campaigns("gate", "check")
    assert told.status == 1
    head, _, first, *_ = told.lines
    assert head.startswith("orders: 1 of ")
    assert head.endswith("checks FAILED")
    assert first.split("  ") == [
        *("FAILED", "1 of 3 orders fail", "csv o1", "No more was refunded on an order than was paid"),
    ]


def test_only_what_a_segment_needs_is_judged(campaigns: Campaigns, shop: sa.Engine) -> None:
    _customers(shop)
    (_, features, _) = campaigns("gate", "check", "lapsed-vip", "--json").json
    told = " ".join(check["sentence"] for check in features["checks"])
    assert "net_revenue" in told
    assert "refund_rate" not in told
    assert "did you mean" in campaigns("gate", "check", "lapsed-vop").mistake


def test_data_docs_are_a_site_without_a_customer_and_empty_no_folder(
    campaigns: Campaigns, shop: sa.Engine, tmp_path: Path
) -> None:
    _customers(shop)
    with database.write(shop) as connection:
        connection.execute(tables.orders.update().values(refunded=Decimal(99)))
    folder = tmp_path / "my folder"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    told = campaigns("gate", "check", "--docs", folder)
    assert told.status == 1
    assert told.lines[-1] == f"Data Docs: {folder / 'index.html'}"
    assert (folder / "letter.txt").read_text() == "mine"
    pages = "".join(page.read_text() for page in folder.rglob("*.html"))
    assert "No more was refunded on an order than was paid" in pages
    assert "example.com" not in pages
    assert "csv o1" not in pages
    (result,) = folder.glob("validations/orders/**/*.html")
    assert "No more was refunded on an order than was paid" in result.read_text()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_judged(
    campaigns: Campaigns, shop: sa.Engine, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in campaigns("gate", "check", "--docs", tmp_path / "file").mistake


def test_before_the_first_refresh_it_says_what_to_do(campaigns: Campaigns, shop: sa.Engine) -> None:
    assert "`campaigns features refresh`" in campaigns("gate", "check").mistake
    assert "`campaigns features refresh`" in campaigns("gate", "accept", "--note", "all well").mistake


def test_a_change_that_was_meant_can_be_accepted(campaigns: Campaigns, shop: sa.Engine) -> None:
    _customers(shop)
    with database.write(shop) as connection:
        refreshes = tables.feature_refreshes
        newest = dict(connection.execute(sa.select(refreshes)).mappings().one())
        newest |= {"id": newest["id"] + 1, "follows": newest["id"], "customers": 3000}
        connection.execute(refreshes.update().values(customers=900))
        connection.execute(refreshes.insert().values(newest))
    told = campaigns("gate", "check")
    assert told.status == 1
    assert any("3,000 customers" in line and "usual 900" in line for line in told.lines), told.out
    assert campaigns("gate", "accept", "--note", "the till was connected").status == 0
    assert campaigns("gate", "check").status == 0
    with database.read(shop) as connection:
        (noted,) = connection.execute(sa.select(tables.audit_log)).all()
    assert (noted.action, noted.detail) == ("accept", {"note": "the till was connected"})
    assert campaigns("gate", "accept", "--note", " ").mistake.startswith("--note is empty")
