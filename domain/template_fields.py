"""The fields that a template may use: each declared once, with its type, where its value comes from, and a sample.

A campaign's fields are columns of the database (data/variables.py) and are filled in by the ESP. The others come with one
order, shipment or request, and the mail is rendered whole here (data/messages.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.suppression import Stream


class Kind(StrEnum):
    """What a value has to be."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    MOMENT = "moment"
    LINK = "link"
    ITEMS = "items"


MUST_BE: Mapping[Kind, str] = {
    Kind.TEXT: "one line of text",
    Kind.NUMBER: "a number",
    Kind.MONEY: 'an amount with its currency, such as {"amount": "19.90", "currency": "EUR"}',
    Kind.DATE: "a day, such as 2026-11-23",
    Kind.MOMENT: "a time with its offset, such as 2026-11-23T14:05:00+01:00",
    Kind.LINK: "an address that begins with https:// or http://",
    Kind.ITEMS: "a list of products, each with its name and, where known, quantity, price, image, url and note",
}


class Source(StrEnum):
    """Where a value comes from."""

    CUSTOMER = "the customer"
    HISTORY = "their orders so far"
    LEDGER = "the engine"
    ORDER = "the order"
    SHIPMENT = "the shipment"
    REQUEST = "the request for the mail"
    OFFER = "what is offered to this customer"


class Purpose(StrEnum):
    """What a template is for; it decides the stream and the fields."""

    CAMPAIGN = "campaign"
    OFFER = "offer"
    ORDER = "order"
    SHIPMENT = "shipment"
    ACCOUNT = "account"


# "No promotions in receipts" (Google's guidelines): an offer is marketing, and no receipt may use one.
SOURCES: Mapping[Purpose, frozenset[Source]] = {
    Purpose.CAMPAIGN: frozenset({Source.CUSTOMER, Source.HISTORY, Source.LEDGER}),
    Purpose.OFFER: frozenset({Source.CUSTOMER, Source.HISTORY, Source.LEDGER, Source.OFFER}),
    Purpose.ORDER: frozenset({Source.CUSTOMER, Source.ORDER}),
    Purpose.SHIPMENT: frozenset({Source.CUSTOMER, Source.ORDER, Source.SHIPMENT}),
    Purpose.ACCOUNT: frozenset({Source.CUSTOMER, Source.REQUEST}),
}


def stream(purpose: Purpose) -> Stream:
    """The stream in which such mail goes."""
    return Stream.MARKETING if purpose in {Purpose.CAMPAIGN, Purpose.OFFER} else Stream.TRANSACTIONAL


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `fallback` stands where a template gives none of its own; without any a gap is an error.

    What is rare, or would not add up with the other samples, has no sample.
    """

    name: str
    kind: Kind
    source: Source
    meaning: str
    sample: Any
    fallback: str | None = None


def _money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


# Figures of the samples add up: people look at previews.
_LINES = [
    {"name": "Night Train to Lisbon", "note": "Vinyl, 180 g", "quantity": 1, "price": _money("24.90")},
    {"name": "Small Hours Sessions", "note": "CD, signed", "quantity": 2, "price": _money("33.80")},
    {"name": "Record brush", "note": "Carbon fibre", "quantity": 1, "price": _money("14.00")},
]
_OFFERS = [
    {"name": "Harbour Lights", "note": "Vinyl, first pressing", "price": _money("27.90"), "url": "https://shop.test/1"},
    {"name": "Blue Room Tapes", "note": "Double CD", "price": _money("16.50"), "url": "https://shop.test/2"},
]
_ALL = (
    Field("first_name", Kind.TEXT, Source.CUSTOMER, "the customer's first name", "Johanna", "there"),
    Field("last_name", Kind.TEXT, Source.CUSTOMER, "the customer's last name", "Lindqvist"),
    Field("order_count", Kind.NUMBER, Source.HISTORY, "how many orders they made", 7),
    Field("net_revenue", Kind.NUMBER, Source.HISTORY, "what they spent in all, less refunds", 412.6),
    Field("average_order_value", Kind.NUMBER, Source.HISTORY, "what they spend on one order", 58.94),
    Field("first_order_on", Kind.DATE, Source.HISTORY, "the day of their first order", "2023-03-04"),
    Field("last_order_on", Kind.DATE, Source.HISTORY, "the day of their latest order", "2026-05-12"),
    Field(
        "days_since_last_order",
        Kind.NUMBER,
        Source.HISTORY,
        "days since their latest order, as of the last refresh",
        195,
    ),
    Field("favourite_category", Kind.TEXT, Source.HISTORY, "the category they buy most of", "Jazz"),
    Field(
        "unsubscribe_url",
        Kind.LINK,
        Source.LEDGER,
        "the link by which this customer unsubscribes",
        "https://mail.shop.test/u/4f7c",
    ),
    Field(
        "preferences_url",
        Kind.LINK,
        Source.LEDGER,
        "the link to this customer's topics and frequency",
        "https://mail.shop.test/u/4f7c/preferences",
    ),
    Field("order_number", Kind.TEXT, Source.ORDER, "the order's number as the customer knows it", "10482"),
    Field("ordered_on", Kind.DATE, Source.ORDER, "the day of the order", "2026-11-20"),
    Field("order_total", Kind.MONEY, Source.ORDER, "what the order costs in all", _money("77.60")),
    Field("line_items", Kind.ITEMS, Source.ORDER, "what was ordered; a price is that of the whole line", _LINES),
    Field("more_items", Kind.NUMBER, Source.ORDER, "how many lines there are besides those of line_items", None, ""),
    Field("more_items_total", Kind.MONEY, Source.ORDER, "what those cost together", None, ""),
    Field("items_total", Kind.MONEY, Source.ORDER, "what all lines cost together", _money("72.70"), ""),
    Field("shipping_cost", Kind.MONEY, Source.ORDER, "what shipping adds to that", _money("4.90"), ""),
    Field("tax", Kind.MONEY, Source.ORDER, "what tax adds, where prices do not hold it", None, ""),
    Field("discount", Kind.MONEY, Source.ORDER, "what is taken off, where the lines are before it", None, ""),
    Field("other_costs", Kind.MONEY, Source.ORDER, "what else is in the total: fees, tips, taxes", None, ""),
    Field("other_deductions", Kind.MONEY, Source.ORDER, "what else is taken off, such as a gift card", None, ""),
    Field("rounding", Kind.MONEY, Source.ORDER, "what rounding each amount adds or takes", None, ""),
    Field("tax_included", Kind.MONEY, Source.ORDER, "what of the total is tax", _money("12.39"), ""),
    Field("discount_included", Kind.MONEY, Source.ORDER, "what was taken off the prices already", None, ""),
    Field("cancelled_on", Kind.DATE, Source.ORDER, "the day on which the order was cancelled", "2026-11-21", ""),
    Field("refunded_on", Kind.DATE, Source.ORDER, "the day of the refund", "2026-11-28", ""),
    Field("refund_amount", Kind.MONEY, Source.ORDER, "what goes back by this refund", _money("24.90"), ""),
    Field(
        "refunded_total", Kind.MONEY, Source.ORDER, "what went back by all refunds, where there are several", None, ""
    ),
    Field(
        "payment_method", Kind.TEXT, Source.ORDER, "how it is paid, as the customer knows it", "Visa ending 4242", ""
    ),
    Field("shipping_city", Kind.TEXT, Source.ORDER, "the town that it goes to; no more of the address", "Uppsala", ""),
    Field("order_url", Kind.LINK, Source.ORDER, "the order's page in the shop", "https://shop.test/orders/10482", ""),
    Field("carrier", Kind.TEXT, Source.SHIPMENT, "who brings it", "PostNord", "the carrier"),
    Field("tracking_number", Kind.TEXT, Source.SHIPMENT, "the carrier's number of the parcel", "SE4481029375", ""),
    Field("tracking_url", Kind.LINK, Source.SHIPMENT, "the parcel's page", "https://track.test/SE4481029375", ""),
    Field("parcels", Kind.ITEMS, Source.SHIPMENT, "all parcels of the order so far, where there are several", None, ""),
    Field("shipped_on", Kind.DATE, Source.SHIPMENT, "the day on which it left", "2026-11-21", ""),
    Field("arrives_on", Kind.DATE, Source.SHIPMENT, "the day on which it should arrive", "2026-11-25", ""),
    Field("delivered_on", Kind.DATE, Source.SHIPMENT, "the day on which it arrived", "2026-11-24", ""),
    Field(
        "reset_url",
        Kind.LINK,
        Source.REQUEST,
        "the link that lets them choose a new password",
        "https://shop.test/reset/9a41",
    ),
    Field("code", Kind.TEXT, Source.REQUEST, "the code that they type in, once", "482913"),
    Field("valid_minutes", Kind.NUMBER, Source.REQUEST, "how many minutes that link or code works", 10),
    Field("what_changed", Kind.TEXT, Source.REQUEST, "what of the account was changed", "E-mail address"),
    Field(
        "changed_at",
        Kind.MOMENT,
        Source.REQUEST,
        "when it was changed, in the customer's zone",
        "2026-11-23T14:05:00+01:00",
    ),
    Field(
        "secure_url",
        Kind.LINK,
        Source.REQUEST,
        "where they take the account back, if it was not them",
        "https://shop.test/secure/9a41",
        "",
    ),
    Field("cart_url", Kind.LINK, Source.OFFER, "the cart as they left it", "https://shop.test/cart/77"),
    Field("cart_items", Kind.ITEMS, Source.OFFER, "what is in the cart", _LINES[:2]),
    Field("recommendations", Kind.ITEMS, Source.OFFER, "products chosen for this customer", _OFFERS, ""),
    Field("coupon", Kind.TEXT, Source.OFFER, "a code that they may redeem", "QUIET10", ""),
    Field("coupon_until", Kind.DATE, Source.OFFER, "the last day of the coupon", "2026-12-06", ""),
)
FIELDS: Mapping[str, Field] = {one.name: one for one in _ALL}


def allowed(purpose: Purpose) -> dict[str, Field]:
    """The fields that a template of this purpose may use."""
    return {name: one for name, one in FIELDS.items() if one.source in SOURCES[purpose]}


def samples(purpose: Purpose) -> dict[str, Any]:
    """A value for every field of this purpose: nobody's, for previews and checks."""
    return {name: one.sample for name, one in allowed(purpose).items()}
