"""The contract of customer features: the one place that says which columns exist and what they mean.

The feature function must produce exactly the stored ones, the expectations and the table's columns are generated from
them, and a segment or a marketer's rule may need nothing else.
"""

from dataclasses import dataclass
from enum import StrEnum

WINDOWS = (7, 30, 90, 180, 365)  # days; half open: an order exactly 30 days old is not "in the last 30 days"
MAIL_WINDOWS = (30, 90)


class FeatureType(StrEnum):
    """What kind of value a feature is."""

    COUNT = "count"
    NUMBER = "number"
    MONEY = "money"
    INSTANT = "instant"
    TEXT = "text"

    @property
    def dtype(self) -> str:
        """How a frame of pandas holds it."""
        return _DTYPES[self]


_DTYPES = {
    FeatureType.COUNT: "int64",
    FeatureType.NUMBER: "float64",
    FeatureType.MONEY: "float64",
    FeatureType.INSTANT: "datetime64[us, UTC]",
    FeatureType.TEXT: "str",
}


class Origin(StrEnum):
    """Where a feature's value comes from when a frame is read."""

    STORED = "stored"  # a column of customer_features, changed only by a refresh
    DERIVED = "derived"  # reckoned from stored columns, the instant and what is true of the shop as a whole
    LIVE = "live"  # looked up when the frame is read: permission may change at any moment


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the customer frame. `minimum` and `maximum` are inclusive bounds of a sane value."""

    name: str
    type: FeatureType
    unit: str
    meaning: str
    nullable: bool = False
    null_means: str = ""
    minimum: float | None = None
    maximum: float | None = None
    origin: Origin = Origin.STORED


def _count(name: str, unit: str, meaning: str, minimum: float = 0, maximum: float | None = None) -> Feature:
    return Feature(name, FeatureType.COUNT, unit, meaning, minimum=minimum, maximum=maximum)


def _money(name: str, meaning: str) -> Feature:
    return Feature(name, FeatureType.MONEY, "account currency", meaning)


def _share(name: str, meaning: str, null_means: str = "") -> Feature:
    return Feature(name, FeatureType.NUMBER, "ratio", meaning, bool(null_means), null_means, 0, 1)


def _text(name: str, unit: str, meaning: str, null_means: str, origin: Origin = Origin.STORED) -> Feature:
    return Feature(name, FeatureType.TEXT, unit, meaning, nullable=True, null_means=null_means, origin=origin)


def _instant(name: str, meaning: str, null_means: str = "") -> Feature:
    return Feature(name, FeatureType.INSTANT, "UTC", meaning, nullable=bool(null_means), null_means=null_means)


def _days(name: str, meaning: str, null_means: str, origin: Origin = Origin.STORED) -> Feature:
    return Feature(name, FeatureType.NUMBER, "days", meaning, True, null_means, minimum=0, origin=origin)


def _derived(name: str, unit: str, meaning: str, minimum: float = 0, maximum: float | None = None) -> Feature:
    return Feature(name, FeatureType.COUNT, unit, meaning, minimum=minimum, maximum=maximum, origin=Origin.DERIVED)


# "Counted" orders are sales that are neither cancelled nor deleted nor tests; every figure is as of one instant.
# Money of another currency is reckoned by the channel's own shop amounts, else by the rate of the day (currency_rates).
FEATURES: tuple[Feature, ...] = (
    _count("orders", "orders", "counted orders in the customer's life", minimum=1),
    *(_count(f"orders_{days}d", "orders", f"counted orders in the last {days} days") for days in WINDOWS),
    _money("net_revenue", "totals of counted orders less refunds and credits"),
    *(
        _money(
            f"revenue_{days}d",
            f"the same of orders placed, and credits given, in the last {days} days",
        )
        for days in WINDOWS
    ),
    _money("average_order_value", "net revenue divided by counted orders"),
    _share("refund_rate", "refunds divided by totals before refunds"),
    _share("cancellation_rate", "cancelled orders divided by cancelled and counted ones"),
    _share("discounted_share", "share of counted orders with a discount or a coupon"),
    _count("coupon_orders", "orders", "counted orders with a coupon"),
    _instant("first_order_at", "when the first counted order was placed"),
    _instant("last_order_at", "when the latest counted order was placed"),
    _days("mean_days_between_orders", "days from first to latest order divided by the gaps", "fewer than two orders"),
    _days("spread_days_between_orders", "sample standard deviation of the gaps", "fewer than three orders"),
    _days("last_gap_days", "days between the latest two counted orders", "fewer than two orders"),
    _text(
        "favourite_category",
        "category",
        "category of most units bought; of equals the first by alphabet",
        "no bought line names a category",
    ),
    _share(
        "favourite_category_share", "its share of the units that name a category", "no bought line names a category"
    ),
    _text(
        "favourite_brand",
        "brand",
        "brand of most units bought; of equals the first by alphabet",
        "no bought line names a brand",
    ),
    _share("favourite_brand_share", "its share of the units that name a brand", "no bought line names a brand"),
    _count(
        "favourite_weekday", "1 is Monday", "weekday of most orders in the customer's zone; of equals the first", 1, 7
    ),
    _count("favourite_hour", "hour 0 to 23", "hour of most orders in the customer's zone; of equals the first", 0, 23),
    Feature("channels", FeatureType.TEXT, "names", "channels of the counted orders, by alphabet, joined by commas"),
    _text("country", "ISO 3166 alpha-2", "the customer's country", "not known"),
    _text("language", "ISO 639", "the language that the customer shops in", "not known"),
    _instant(
        "last_opened_at",
        "when a person last opened a mail of ours for the first time",
        "never seen; openings by machines do not count",
    ),
    _instant("last_clicked_at", "when a link in a mail of ours was last clicked", "never"),
    *(
        _count(
            f"mails_{days}d", "mails", f"marketing mails that an ESP accepted for the customer in the last {days} days"
        )
        for days in MAIL_WINDOWS
    ),
    _derived("days_since_first_order", "days", "whole days since the first counted order: the tenure"),
    _derived("days_since_last_order", "days", "whole days since the latest counted order: the recency"),
    _days(
        "usual_days_between_orders",
        "the customer's mean gap, drawn to the shop's median gap by the weight of five gaps",
        "nobody in the shop ever ordered twice",
        Origin.DERIVED,
    ),
    Feature(
        "overdue",
        FeatureType.NUMBER,
        "ratio",
        "days since the latest order divided by the usual days between orders: above 1 is later than usual",
        nullable=True,
        null_means="nobody in the shop ever ordered twice",
        minimum=0,
        origin=Origin.DERIVED,
    ),
    _days("days_since_engaged", "days since a person last opened or clicked", "never", Origin.DERIVED),
    _derived("r_score", "1 to 5", "fifth of the shop's customers by recency; 5 ordered most recently", 1, 5),
    _derived("f_score", "1 to 5", "fifth by number of orders; 5 ordered most often", 1, 5),
    _derived("m_score", "1 to 5", "fifth by net revenue; 5 spent most", 1, 5),
    _derived("rfm", "111 to 555", "the three scores as one number: 543 is recency 5, frequency 4, money 3", 111, 555),
    _text(
        "consent",
        "granted or withdrawn",
        "what the customer said last about marketing mail",
        "never asked",
        Origin.LIVE,
    ),
    _text("suppression", "reason", "the strongest standing refusal to mail the address", "none", Origin.LIVE),
    _text("mailbox_provider", "name", "whose mailbox the address is, such as gmail", "no address", Origin.LIVE),
)

BY_NAME = {feature.name: feature for feature in FEATURES}
STORED = tuple(feature for feature in FEATURES if feature.origin is Origin.STORED)
