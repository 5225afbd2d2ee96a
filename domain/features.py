"""The contract of customer features: the one place that says which columns exist and what they mean.

The feature function must produce exactly these, the expectations and the table's columns are generated from
them, and a segment may need nothing else.
"""

from dataclasses import dataclass
from enum import StrEnum


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


# "Counted" orders are sales that are neither cancelled nor deleted nor tests; every figure is as of one instant.
FEATURES: tuple[Feature, ...] = (
    Feature("orders", FeatureType.COUNT, "orders", "counted orders in the customer's life", minimum=1),
    Feature("orders_30d", FeatureType.COUNT, "orders", "counted orders in the last 30 days", minimum=0),
    Feature("orders_90d", FeatureType.COUNT, "orders", "counted orders in the last 90 days", minimum=0),
    Feature("orders_365d", FeatureType.COUNT, "orders", "counted orders in the last 365 days", minimum=0),
    Feature("net_revenue", FeatureType.MONEY, "account currency", "totals of counted orders less refunds and credits"),
    Feature(
        "average_order_value",
        FeatureType.MONEY,
        "account currency",
        "net revenue divided by counted orders",
    ),
    Feature(
        "refund_rate", FeatureType.NUMBER, "ratio", "refunds divided by totals before refunds", minimum=0, maximum=1
    ),
    Feature("first_order_at", FeatureType.INSTANT, "UTC", "when the first counted order was placed"),
    Feature("last_order_at", FeatureType.INSTANT, "UTC", "when the latest counted order was placed"),
    Feature("days_since_first_order", FeatureType.COUNT, "days", "whole days since the first counted order", minimum=0),
    Feature("days_since_last_order", FeatureType.COUNT, "days", "whole days since the latest counted order", minimum=0),
    Feature(
        "mean_days_between_orders",
        FeatureType.NUMBER,
        "days",
        "days from first to latest order divided by the gaps between them",
        nullable=True,
        null_means="fewer than two counted orders",
        minimum=0,
    ),
    Feature(
        "favourite_category",
        FeatureType.TEXT,
        "category",
        "category of most units bought; of equals the first by alphabet",
        nullable=True,
        null_means="no bought line names a category",
    ),
    Feature(
        "country",
        FeatureType.TEXT,
        "ISO 3166 alpha-2",
        "the customer's country",
        nullable=True,
        null_means="not known",
    ),
)

BY_NAME = {feature.name: feature for feature in FEATURES}
