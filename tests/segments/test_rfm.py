"""The eleven RFM cells against the published table, and on real orders against a reckoning that shares no code."""

import importlib.util
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from data import database, tables
from data.features import refresh
from data.features.population import Customers
from segments import registry

# As published: 11 segments over 125 codes (wiki of Squeezely's RFM app, after Putler).
PUBLISHED = {
    "rfm-champions": "555 554 544 545 454 455 445",
    "rfm-loyal": "543 444 435 355 354 345 344 335",
    "rfm-potential-loyalists": (
        "553 551 552 541 542 533 532 531 452 451 442 441 431 453 433 432 423 353 352 351 342 341 333 323"
    ),
    "rfm-new-customers": "512 511 422 421 412 411 311",
    "rfm-promising": "525 524 523 522 521 515 514 513 425 424 413 414 415 315 314 313",
    "rfm-need-attention": "535 534 443 434 343 334 325 324",
    "rfm-about-to-sleep": "331 321 312 221 213 231 241 251",
    "rfm-at-risk": "255 254 245 244 253 252 243 242 235 234 225 224 153 152 145 143 142 135 134 133 125 124",
    "rfm-cannot-lose": "155 154 144 214 215 115 114 113",
    "rfm-hibernating": "332 322 233 232 223 222 132 123 122 212 211",
    "rfm-lost": "111 112 121 131 141 151",
}
CELL_OF = {int(code): name for name, codes in PUBLISHED.items() for code in codes.split()}
AS_OF = datetime(1998, 7, 1, 12, tzinfo=UTC)


def test_each_of_the_125_codes_is_in_the_published_cell_and_in_no_other() -> None:
    codes = [100 * r + 10 * f + m for r, f, m in product(range(1, 6), repeat=3)]
    customers = pd.DataFrame({"rfm": codes})
    cells = {name: one for name, one in registry.load().items() if one.needs == ("rfm",) and one.kind == "frame"}
    claimed = [(code, name) for name, cell in cells.items() for code in customers.rfm[cell.evaluate(customers, AS_OF)]]
    assert len(codes) == len(set(codes)) == len(claimed) == 125
    assert dict(claimed) == CELL_OF


@pytest.fixture(scope="module")
def purchases() -> pd.DataFrame:
    """69,659 real purchases of 23,570 customers: CDNOW, as the package lifetimes carries it."""
    spec = importlib.util.find_spec("lifetimes")
    assert spec is not None, "make setup installs it"
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "CDNOW_master.txt"
    columns = ["customer", "day", "cds", "dollars"]
    frame = pd.read_csv(path, sep=r"\s+", names=columns, skiprows=1, parse_dates=["day"])
    return frame.assign(cents=(frame.dollars * 100).round().astype("int64"))


def fifths(values: pd.Series) -> pd.Series:
    """1 to 5 by how many customers have less: no quantile, no bound, and equal values cannot differ."""
    return 1 + 5 * (values.rank(method="min").astype("int64") - 1) // len(values)


def reckoned(purchases: pd.DataFrame) -> pd.Series:
    each = purchases.groupby("customer")
    r, f, m = (fifths(values) for values in (each.day.max(), each.size(), each.cents.sum()))
    return (100 * r + 10 * f + m).map(CELL_OF)


def write(engine: sa.Engine, account_id: str, purchases: pd.DataFrame) -> None:
    shared = {"account_id": account_id, "created_at": AS_OF, "updated_at": AS_OF}
    parties = [shared | {"id": int(one), "external_id": str(one)} for one in purchases.customer.unique()]
    same = {
        "account_id": account_id,
        "channel": "csv",
        "status": "completed",
        "channel_status": "completed",
        "currency": "USD",
        "refunded": Decimal(0),
        "is_test": False,
        "content_hash": "",
    }
    orders = [
        same
        | {"external_id": str(row), "party_id": customer, "total": Decimal(cents).scaleb(-2)}
        | dict.fromkeys(("placed_at", "updated_at"), day.to_pydatetime().replace(tzinfo=UTC) + timedelta(hours=12))
        for row, (customer, day, cents) in enumerate(
            zip(purchases.customer.tolist(), purchases.day, purchases.cents.tolist(), strict=True)
        )
    ]
    with database.write(engine) as connection:
        connection.execute(tables.parties.insert(), parties)
        connection.execute(tables.orders.insert(), orders)
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=AS_OF)


@pytest.mark.slow
def test_of_23_570_real_customers_each_is_in_the_cell_that_the_table_says(
    engine: sa.Engine, account_id: str, purchases: pd.DataFrame
) -> None:
    write(engine, account_id, purchases)
    population = Customers(engine, account_id)
    expected = reckoned(purchases)
    party_ids = population.frame(())["party_id"]
    found = {name: set(party_ids[registry.get(name).members(population)]) for name in PUBLISHED}
    assert sum(map(len, found.values())) == len(expected) == len(party_ids) == 23_570
    assert found == {name: set(expected.index[expected == name]) for name in PUBLISHED}
    assert min(map(len, found.values())) > 0, "each cell has somebody, or nothing was proved of it"
    scored = population.frame(("orders", "f_score"))
    assert scored.groupby("orders").f_score.nunique().max() == 1, "equal customers have equal scores"
