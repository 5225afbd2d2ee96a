"""Shopify orders of some customers of the CDNOW sample, as Shopify's webhooks would bring them: for the demo.

Nobody of CDNOW bought at Shopify: these orders are made up, and say so in their numbers (demo-…). Each has three states
(placed, paid, sent); the customers are known by the same addresses, in other letters.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from data.samples import cdnow

_FIRST_ID = 5_000_000_000_000  # beyond 32 bits, as Shopify's are
_CENTS = (1499, 2998, 999, 4497)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook: its topic, when the state was seen, and the order."""

    topic: str
    triggered_at: datetime
    order: dict[str, Any]


def deliveries(customers: int, *, as_of: datetime, seed: int = 7) -> Iterator[Delivery]:
    """Three states of an order for each of so many customers, each delivered twice, in any order; one cannot be used."""
    found = [
        delivery
        for place in range(customers)
        for delivery in _states(place, 100 * place + 1, as_of - timedelta(days=1, minutes=place))
    ]
    bad = _order(customers, 1, as_of - timedelta(hours=1)) | {"financial_status": "teleported"}
    found += [Delivery("orders/create", as_of - timedelta(hours=1), bad), *found]
    random.Random(seed).shuffle(found)  # noqa: S311 - the order of a demo is no secret
    yield from found


def _states(place: int, customer: int, at: datetime) -> Iterator[Delivery]:
    placed = _order(place, customer, at)
    yield Delivery("orders/create", at, placed | {"financial_status": "pending"})
    # In the same second, as it happens: only X-Shopify-Triggered-At tells which came later.
    yield Delivery("orders/paid", at + timedelta(milliseconds=400), placed)
    later = at + timedelta(hours=5)
    parcel = {
        "id": _FIRST_ID + 900_000 + place,
        "status": "success",
        "created_at": later.isoformat(),
        "tracking_company": "UPS",
        "tracking_number": f"1Z{place:016}",
        "tracking_url": None,
    }
    sent = {"fulfillment_status": "fulfilled", "fulfillments": [parcel], "updated_at": later.isoformat()}
    yield Delivery("orders/fulfilled", later, placed | sent)


def _order(place: int, customer: int, at: datetime) -> dict[str, Any]:
    cents = _CENTS[place % len(_CENTS)]
    price = f"{cents / 100:.2f}"
    at = at.replace(microsecond=0)
    return {
        "id": _FIRST_ID + place,
        "admin_graphql_api_id": f"gid://shopify/Order/{_FIRST_ID + place}",
        "name": f"demo-{place}",
        "email": cdnow.address(customer).upper() or None,
        "currency": "USD",
        "presentment_currency": "USD",
        "total_price": price,
        "current_total_price": price,
        "subtotal_price": price,
        "total_tax": "0.00",
        "total_discounts": "0.00",
        "financial_status": "paid",
        "fulfillment_status": None,
        "test": False,
        "created_at": at.isoformat(),
        "processed_at": at.isoformat(),
        "updated_at": at.isoformat(),
        "cancelled_at": None,
        "customer": {"id": _FIRST_ID + 500_000 + customer, "email": cdnow.address(customer).upper() or None},
        "line_items": [
            {
                "id": _FIRST_ID + 700_000 + place,
                "sku": "CD",
                "title": "CD",
                "quantity": 1,
                "current_quantity": 1,
                "price": price,
                "total_discount": "0.00",
            }
        ],
        "refunds": [],
        "fulfillments": [],
    }
