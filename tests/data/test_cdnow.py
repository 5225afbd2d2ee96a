"""These tests need the package `lifetimes` (make setup installs it) and fail without it: the demo would, too."""

import csv
import importlib.util
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from data.intake import drain, load
from data.samples import cdnow
from domain.addresses import is_valid
from tests.conftest import NOW
from tests.data.intake import feed

CUSTOMERS = range(1, 23_571)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, cdnow.SampleReport]:
    path = tmp_path_factory.mktemp("cdnow") / "cdnow.csv"
    return path, cdnow.write_csv(path, as_of=NOW.date())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_purchase_is_there_and_nothing_but_the_week_has_changed(sample) -> None:
    path, report = sample
    rows = rows_of(path)
    assert (
        (report.customers, report.orders) == (23_570, 69_659) == (len({row["customer_id"] for row in rows}), len(rows))
    )
    assert report.last - timedelta(weeks=report.shifted_weeks) == date(1998, 6, 30)
    assert report.first - timedelta(weeks=report.shifted_weeks) == date(1997, 1, 1)
    assert NOW.date() - timedelta(days=7) <= report.last < NOW.date()
    assert sum(row["order_total"] == "0.00" for row in rows) == 80
    assert len({row["order_id"] for row in rows}) == len(rows)
    assert rows[0]["order_total"] == rows[0]["line_total"] == "11.77"
    assert "lifetimes" not in sys.modules


@pytest.mark.parametrize("as_of", [date(2026, 11, 17), date(2026, 11, 18), date(2026, 11, 24), date(1990, 1, 1)])
def test_the_last_purchase_is_always_within_the_week_before(tmp_path: Path, as_of: date) -> None:
    report = cdnow.write_csv(tmp_path / "cdnow.csv", as_of=as_of)
    assert as_of - timedelta(days=7) <= report.last < as_of


@pytest.mark.slow
def test_all_of_it_loads_and_a_second_time_changes_nothing(sample, engine: sa.Engine, account_id: str) -> None:
    path, report = sample
    intake = feed.intake(engine)

    def loaded() -> dict[str, int]:
        staged = load.stage(intake, path, account_id=account_id, channel="csv")
        assert staged.rows == report.orders
        return drain.drain(intake).counts()

    first = loaded()
    assert (first["rows"], first["loaded"], first["refused"]) == (report.orders, report.orders, 0)
    assert loaded()["records"] == 0
    with database.read(engine) as connection:
        for table, expected in [(tables.parties, report.customers), (tables.order_lines, report.orders)]:
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == expected
        status = tables.consents.c.status
        said = Counter(connection.scalars(sa.select(status)))
    assert said["withdrawn"] == len([n for n in CUSTOMERS if n % 50 == 1])
    assert said["granted"] < len([n for n in CUSTOMERS if n % 20])  # some withdrew with their only purchase


def test_every_reason_to_skip_has_a_case_and_few_mails_fail() -> None:
    addresses = [cdnow.address(n) for n in CUSTOMERS]
    domains = Counter(address.rpartition("@")[2] for address in addresses if is_valid(address))
    assert addresses.count("") == 48
    assert sum(bool(address) and not is_valid(address) for address in addresses) == 24
    assert sum(count - 1 for address, count in Counter(addresses).items() if address) == 59  # shared mailboxes
    failing = sum(domains[name] for name in ("hard.test", "soft.test", "block.test"))
    assert 0 < failing / len(CUSTOMERS) < 0.006
    assert domains["complaint.test"] / len(CUSTOMERS) < 0.001  # mailbox providers' own limit
    assert all(name.endswith(".test") or name in ("example.com", "example.net") for name in domains)


def test_without_the_package_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(cdnow.MissingDataSet, match="make demo"):
        cdnow.write_csv(tmp_path / "cdnow.csv", as_of=NOW.date())
