"""Where, when and in which language they buy."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "from-country",
    owner="data-team",
    needs=("country",),
    inside=[{"country": "DE"}, {"country": "FR", "with": {"country": "fr"}}],
    outside=[{"country": "AT"}, {"country": None}, {"country": "DE", "with": {"country": "FR"}}],
)
def from_country(customers: pd.DataFrame, as_of: datetime, *, country: str = "DE") -> Members:
    """Live in one country: Germany, if none is chosen.

    country: which country, two letters of ISO 3166 such as DE, AT, CH, FR, GB
    """
    return customers.country == country.strip().upper()


@segment(
    "speaks-language",
    owner="data-team",
    needs=("language",),
    inside=[{"language": "en"}, {"language": "de", "with": {"language": "DE"}}],
    outside=[{"language": "de"}, {"language": None}, {"language": "en", "with": {"language": "de"}}],
)
def speaks_language(customers: pd.DataFrame, as_of: datetime, *, language: str = "en") -> Members:
    """Shop in one language: English, if none is chosen.

    language: which language, two letters of ISO 639 such as en, de, fr
    """
    return customers.language == language.strip().lower()


@segment(
    "bought-through-channel",
    owner="data-team",
    needs=("channels",),
    inside=[
        {"channels": "shopify"},
        {"channels": "amazon,shopify"},
        {"channels": "amazon,csv", "with": {"channel": "amazon"}},
    ],
    outside=[
        {"channels": "amazon"},
        {"channels": "shopify-pos"},
        {"channels": "csv", "with": {"channel": "amazon"}},
    ],
)
def bought_through_channel(customers: pd.DataFrame, as_of: datetime, *, channel: str = "shopify") -> Members:
    """Ordered through one channel, perhaps through others too: through Shopify, if none is chosen.

    channel: which channel, by the name that its orders bear here, such as shopify, amazon, csv
    """
    # There are few different lists of channels, however many customers.
    wanted = [names for names in customers.channels.unique() if channel in names.split(",")]
    return customers.channels.isin(wanted)


@segment(
    "multi-channel-buyers",
    owner="data-team",
    needs=("channels",),
    inside=[{"channels": "amazon,shopify"}, {"channels": "a,b,c", "with": {"channels": 3}}],
    outside=[{"channels": "shopify"}, {"channels": "a,b", "with": {"channels": 3}}],
)
def multi_channel_buyers(customers: pd.DataFrame, as_of: datetime, *, channels: int = 2) -> Members:
    """Ordered through two channels or more.

    channels: through how many channels, at least
    """
    wanted = [names for names in customers.channels.unique() if len(names.split(",")) >= channels]
    return customers.channels.isin(wanted)


@segment(
    "weekend-buyers",
    owner="data-team",
    needs=("orders", "favourite_weekday"),
    inside=[{"orders": 2, "favourite_weekday": 6}, {"orders": 2, "favourite_weekday": 7}],
    outside=[{"orders": 2, "favourite_weekday": 5}, {"orders": 1, "favourite_weekday": 6}],
)
def weekend_buyers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, mostly on a Saturday or a Sunday by their own clock: mail them then."""
    return (customers.orders >= 2) & (customers.favourite_weekday >= 6)


@segment(
    "evening-buyers",
    owner="data-team",
    needs=("orders", "favourite_hour"),
    inside=[{"orders": 2, "favourite_hour": 18}, {"orders": 2, "favourite_hour": 23}],
    outside=[{"orders": 2, "favourite_hour": 17}, {"orders": 1, "favourite_hour": 20}],
)
def evening_buyers(customers: pd.DataFrame, as_of: datetime, *, hour: int = 18) -> Members:
    """Ordered twice or more, mostly at 18 o'clock or later by their own clock: mail them in the evening.

    hour: from which hour on, 0 to 23
    """
    return (customers.orders >= 2) & (customers.favourite_hour >= hour)


@segment(
    "buyers-on-weekday",
    owner="data-team",
    needs=("orders", "favourite_weekday"),
    inside=[{"orders": 2, "favourite_weekday": 1}, {"orders": 2, "favourite_weekday": 5, "with": {"weekday": 5}}],
    outside=[
        {"orders": 2, "favourite_weekday": 2},
        {"orders": 1, "favourite_weekday": 1},
        {"orders": 2, "favourite_weekday": 1, "with": {"weekday": 5}},
    ],
)
def buyers_on_weekday(customers: pd.DataFrame, as_of: datetime, *, weekday: int = 1) -> Members:
    """Ordered twice or more, mostly on one day of the week by their own clock: on Mondays, if none is chosen.

    weekday: which day, 1 is Monday and 7 is Sunday
    """
    return (customers.orders >= 2) & (customers.favourite_weekday == weekday)
