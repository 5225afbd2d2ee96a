"""The difference between two audiences: who entered, who left, and what made them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Cause(StrEnum):
    """What moved a person: one of them, the strongest."""

    DEFINITION = "definition"
    NEW_ORDER = "new_order"
    ORDER_CHANGED = "order_changed"
    NUMBERS = "numbers"
    PERMISSION = "permission"
    CUSTOMER_DATA = "customer_data"
    MAIL = "mail"
    OTHERS = "others"
    TIME = "time"
    UNKNOWN = "unknown"


WORDS = {
    Cause.DEFINITION: "the definition changed",
    Cause.NEW_ORDER: "a new order",
    Cause.ORDER_CHANGED: "an order was changed, refunded, cancelled or deleted",
    Cause.NUMBERS: "customer numbers were joined or parted",
    Cause.PERMISSION: "a consent or a suppression",
    Cause.CUSTOMER_DATA: "the customer's own details changed",
    Cause.MAIL: "a mail was sent, opened or clicked",
    Cause.OTHERS: "other customers moved the bounds of the shop",
    Cause.TIME: "only time passed",
    Cause.UNKNOWN: "no cause is on record any more",
}


@dataclass(frozen=True, slots=True)
class Move:
    """One person who entered or left. `customer`: channel and number; `sentence`: why, in plain words."""

    customer: str
    entered: bool
    cause: Cause
    sentence: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: as of when its members were chosen, and by which definition."""

    run: str
    segment: str
    watermark: datetime
    definition_hash: str
    members: int


@dataclass(frozen=True, slots=True)
class Diff:
    """`causes`: how many entered and left by each. `moves`: the first of them. `notes`: what is true of all."""

    before: Side
    after: Side
    entered: int
    left: int
    causes: dict[Cause, tuple[int, int]]
    moves: tuple[Move, ...]
    notes: tuple[str, ...]
