from zoneinfo import ZoneInfo

import pytest

from domain import zones


@pytest.mark.parametrize(
    ("country", "account", "zone"),
    [
        ("US", "Europe/Berlin", "America/New_York"),
        ("US", "America/Chicago", "America/Chicago"),  # the shop's own country: the shop's zone
        ("CH", "Europe/Berlin", "Europe/Zurich"),
        ("AU", "UTC", "Australia/Sydney"),
        (None, "Europe/Berlin", "Europe/Berlin"),
        ("XX", "Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_a_customer_lives_in_the_zone_of_the_country(country, account, zone):
    assert zones.zone_of(country, account) == zone


def test_every_country_has_a_zone_that_there_is():
    for country in zones._zones():
        assert ZoneInfo(zones.zone_of(country, "UTC")).key in {"UTC", *zones._zones()[country]}
