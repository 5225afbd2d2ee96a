"""Features, and the schema."""

import pytest

from tests.cli.conftest import ORDERS, Campaigns


@pytest.mark.usefixtures("shop")
def test_features_are_made_of_orders_and_segments_of_features(campaigns: Campaigns) -> None:
    assert "`campaigns features refresh` makes them" in campaigns("segments", "preview", "all-customers").mistake
    campaigns("intake", ORDERS / "good.csv")
    told = campaigns("features", "refresh")
    assert told.out.startswith("1 customers out of 1 orders, as of ")
    assert campaigns("features", "refresh", "--json").json.keys() == {"customers", "orders", "as_of"}
    found = campaigns("segments", "preview", "all-customers", "--json").json
    assert (found["members"], found["customers"], found["share"]) == (1, 1, 1.0)
    assert found.keys() == {"segment", "members", "customers", "share", "as_of"}
    assert campaigns("segments", "preview", "vip").out.startswith("0 of 1 customers (0.0%) are in vip, as of ")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_without_orders_there_are_features_of_nobody(campaigns: Campaigns) -> None:
    assert campaigns("features", "refresh").out.startswith("0 customers out of 0 orders")
    assert campaigns("segments", "preview", "vip").out.startswith("0 of 0 customers (0.0%)")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_migrating_twice_changes_nothing(campaigns: Campaigns) -> None:
    told = campaigns("migrate", "--json").json
    assert told["before"] == told["after"]
    assert campaigns("migrate").out.endswith(f"is at {told['after']} already.\n")
