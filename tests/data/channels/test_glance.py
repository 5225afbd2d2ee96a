"""A look at a raw order sees what its adapter sees, and never fails."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from data.channels import glance, registry
from data.channels.glance import Glance
from domain.orders import Order
from tests.data.channels.raw_orders import PAYLOADS, delivery, json_values, judged

# Shopify's and Medusa's totals take reckoning, and Amazon leaves out a total of nothing.
ROUGH = {
    ("shopify", "5510000003"): Decimal("47.75"),
    ("shopify", "5510000001"): Decimal("47.75"),
    ("medusa", "order_01TESTAAAAAAAAAAAAAAAAAAAA"): Decimal("63.0781"),
}


def recorded() -> list[tuple[str, Any]]:
    """Every raw order of every recorded payload, with its channel."""
    found = []
    for name, channel in registry.CHANNELS.items():
        paths = sorted((PAYLOADS / name).glob("*")) if name != "mapped" else []
        for path in [*paths, PAYLOADS / "good.csv"] if name == "csv" else paths:
            for element in channel.elements(path.read_bytes(), delivery()):
                raw = element.payload
                raw = raw["payload"] if isinstance(raw, dict) and "payload" in raw else raw
                if isinstance(order := judged(channel, element._replace(payload=raw)), Order):
                    found.append((name, raw, order))
    return found


RECORDED = recorded()


def test_all_channels_are_looked_at() -> None:
    assert {name for name, _, _ in RECORDED} == set(registry.CHANNELS) - {"mapped"}


@pytest.mark.parametrize(
    ("channel", "raw", "order"), RECORDED, ids=[f"{one[0]} {one[2].external_id}" for one in RECORDED]
)
def test_a_glance_sees_what_the_adapter_sees(channel: str, raw: Any, order: Order) -> None:
    seen, read = glance.at_payload(raw), glance.at_order(order)
    assert (seen.external_id, seen.updated_at, seen.email) == (read.external_id, read.updated_at, read.email)
    if channel == "amazon" and order.total == 0:
        assert not seen.amount
        return
    assert seen.currency == read.currency
    assert seen.amount == read.amount or seen.amount == ROUGH[channel, order.external_id]


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ({"id": "gid://shopify/Order/123"}, Glance(external_id="123")),
        ({"order_id": "2026/0001"}, Glance(external_id="2026/0001")),
        ([{"order_id": "7", "order_total": "ten", "currency": "EURO"}, {}], Glance(external_id="7")),
        ({"id": 1.5, "order_id": "8"}, Glance(external_id="8")),
        ({"updated_at": "2026-03-01T12:00:00"}, Glance(updated_at=datetime(2026, 3, 1, 12, tzinfo=UTC))),
        ({"updated_at": "yesterday", "created_at": 5, "total": True, "email": ["x"]}, Glance()),
        ([], Glance()),
        (None, Glance()),
        ({"row": "1,2,3"}, Glance()),
    ],
)
def test_what_cannot_be_told_is_none(raw: Any, seen: Glance) -> None:
    assert glance.at_payload(raw) == seen


@given(json_values)
def test_nothing_makes_it_fail(raw: Any) -> None:
    glance.at_payload(raw)
    glance.at_payload({"id": raw, "updated_at": raw, "total": raw, "currency": raw, "email": raw})
    glance.at_payload([{"order_id": raw, "customer": raw, "total_price_set": raw}])
