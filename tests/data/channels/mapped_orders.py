"""What the tests of the mapped channel share: a small mapping, an order that fits it, and ways to read one by the other."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from data.channels import mapped
from data.channels.channel import Delivery, Ignored, Origin, Unfit
from data.channels.mapping import Mapping
from data.intake import files
from domain.orders import Deletion, Order

ROOT = Path(__file__).parents[3]
RECEIVED = datetime(2026, 11, 22, tzinfo=UTC)


def delivery(mapping: Mapping | None, **more: Any) -> Delivery:
    return Delivery(Origin.FILE, RECEIVED, options={"mapping": mapping}, **more)


def read(body: bytes, mapping: Mapping) -> Iterator[Order | Deletion | Ignored | Unfit]:
    for element in mapped.elements(body, delivery(mapping)):
        if element.fault is not None:
            yield Unfit("broken_row", element.fault)
            continue
        assert json.loads(json.dumps(element.payload)) == element.payload  # it can be kept
        try:
            yield mapped.order(element.payload, delivery(mapping))
        except Unfit as fault:
            yield fault


def from_file(path: Path, mapping: Mapping) -> Iterator[Order | Deletion | Ignored | Unfit]:
    for piece in files.cut(path, mapping):
        yield from read(piece.body, mapping)


MINIMAL: dict[str, Any] = {
    "format": "json",
    "zone": "Europe/Berlin",
    "order": {
        "external_id": "id",
        "status": {"path": "state", "words": {"open": "placed", "void": "cancelled", "void2": "refunded"}},
        "currency": "money.currency",
        "total": "money.total",
        "placed_at": "at",
    },
    "line": {"list": "lines", "sku": "sku", "quantity": "n", "total": "sum"},
}
RAW: dict[str, Any] = {
    "id": 7,
    "state": "Open",
    "money": {"currency": "eur", "total": 19.9},
    "at": "2026-03-01T12:00:00",
    "lines": [{"sku": "A", "n": 2, "sum": "19.90"}],
}


def mapping_with(changes: dict[str, Any]) -> Mapping:
    """MINIMAL with the keys below `order`, `line`, ... replaced or added; None takes one away."""
    whole = {
        key: MINIMAL.get(key, {}) | changes[key]
        if isinstance(changes.get(key), dict)
        else changes.get(key, MINIMAL.get(key))
        for key in {*MINIMAL, *changes}
    }
    told = {key: one for key, one in whole.items() if one is not None}
    return Mapping.model_validate(yaml.load(yaml.safe_dump(told), yaml.BaseLoader))


def order_of(raw: dict[str, Any], changes: dict[str, Any] | None = None) -> Order:
    found = mapped.order(raw, delivery(mapping_with(changes or {})))
    assert isinstance(found, Order)
    return found
