"""Currency rates."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.cli.conftest import Campaigns

ECB = "Date,USD,JPY,\n2026-11-20,1.0847,160.25,\n2026-11-19,1.0800,N/A,\n"


def test_rates_are_loaded_and_listed(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("rates", "list").lines == ["No rates."]
    Path("hist.csv").write_text(ECB)
    assert campaigns("rates", "load", "hist.csv").out == (
        "3 rates of 2 currencies, 2026-11-19 to 2026-11-20: 3 are new, 0 replaced another rate, 0 were there already.\n"
    )
    Path("hist.csv").write_text(ECB.replace("1.0847", "1.0848"))
    assert campaigns("rates", "load", "hist.csv", "--json").json == {
        "rates": 3,
        "added": 0,
        "replaced": 1,
        "currencies": ["JPY", "USD"],
        "first": "2026-11-19",
        "last": "2026-11-20",
        "marked": 0,
    }
    (jpy, *_) = listed = campaigns("rates", "list", "--json").json
    assert [one["currency"] for one in listed] == ["JPY", "USD"]
    assert jpy == {
        "currency": "JPY",
        "base": "EUR",
        "source": "European Central Bank",
        "days": 1,
        "first": "2026-11-20",
        "last": "2026-11-20",
    }
    head, line, _ = campaigns("rates", "list").lines
    assert head.split() == ["CURRENCY", "BASE", "DAYS", "FIRST", "LAST", "SOURCE"]
    assert line.startswith("JPY       EUR      1  2026-11-20  2026-11-20  European Central Bank")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_what_cannot_be_used_is_one_line(campaigns: Campaigns) -> None:
    Path("rates.csv").write_text("day,currency,rate\n2026-11-20,CHF,x\n")
    told = campaigns("rates", "load", "rates.csv", "--base", "USD", "--source", "Our bank").mistake
    assert told == "rates.csv: line 2: the rate of CHF is no number such as 1.0847. Nothing was loaded"
    assert "none.csv cannot be read" in campaigns("rates", "load", "none.csv").mistake
    assert "'Euro' is no currency" in campaigns("rates", "load", "rates.csv", "--base", "Euro").mistake
    assert campaigns("rates", "list", "--json").json == []
