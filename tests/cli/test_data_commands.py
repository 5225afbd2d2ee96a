"""Features, and the schema."""

import pytest

from tests.cli.conftest import ORDERS, Campaigns


@pytest.mark.usefixtures("shop")
def test_features_are_made_of_orders_and_segments_of_features(campaigns: Campaigns) -> None:
    assert "`campaigns features refresh` makes them" in campaigns("segments", "preview", "all-customers").mistake
    campaigns("intake", ORDERS / "good.csv")
    told = campaigns("features", "refresh")
    assert told.out.startswith("1 customers out of 1 orders, as of ")
    again = campaigns("features", "refresh", "--json").json
    assert (again["full"], again["touched"], again["customers"]) == (False, 0, 1)
    assert campaigns("features", "refresh", "--full").out.endswith("all of them reckoned anew: it was asked for.\n")
    found = campaigns("segments", "preview", "all-customers", "--json").json
    assert (found["members"], found["customers"]) == (1, 1)
    assert campaigns("segments", "preview", "vip").out.startswith("vip: 0 of 1 customers (0.0 %)")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_without_orders_there_are_features_of_nobody(campaigns: Campaigns) -> None:
    assert campaigns("features", "refresh").out.startswith("0 customers out of 0 orders")
    assert campaigns("segments", "preview", "vip").out.startswith("vip: 0 of 0 customers")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_migrating_twice_changes_nothing(campaigns: Campaigns) -> None:
    told = campaigns("migrate", "--json").json
    assert told["before"] == told["after"]
    assert campaigns("migrate").out.endswith(f"is at {told['after']} already.\n")
