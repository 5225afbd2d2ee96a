"""The time zone of a customer: nobody tells it, so it is that of the country."""

from functools import cache
from importlib import resources

# tzdata's zone.tab lists the zones of a country by geography first; where its first is not where most people live:
_MOST_PEOPLE = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UZ": "Asia/Tashkent",
}


def zone_of(country: str | None, account_zone: str) -> str:
    """The IANA zone of a country (ISO 3166 alpha-2); the account's where the country is not known, or is its own too.

    A country of several zones has the one where most people live: New York for the US.
    """
    zones = _zones().get(country or "", ())
    return account_zone if not zones or account_zone in zones else _MOST_PEOPLE.get(country or "", zones[0])


@cache
def _zones() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            found[country] = (*found.get(country, ()), zone)
    return found
