"""What the tests of these adapters share: a payload's orders, and a channel's server on loopback."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from data.channels.channel import Channel, Delivery, Element, Ignored, Origin, Unfit, Unreadable
from domain.orders import Deletion, Order
from tests.providers.loopback import Answer

PAYLOADS = Path(__file__).parents[2] / "payloads" / "orders"
NOW = datetime(2026, 4, 3, 12, 0, tzinfo=UTC)
SEEN = datetime(2026, 4, 3, 11, 59, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def delivery(**more: Any) -> Delivery:
    return Delivery(Origin.PULL, NOW, observed_at=SEEN, **more)


def raw_orders(path: str) -> list[Any]:
    document = json.loads((PAYLOADS / path).read_text("utf-8"))
    document = document.get("payload", document)
    return next(document[name] for name in ("orders", "Orders", "items") if name in document)


def orders_of(channel: Channel, path: str, **more: Any) -> list[Order | Deletion | Ignored | Unfit]:
    """Everything in a payload as the intake would see it, by the order in the document."""
    return [
        judged(channel, element, **more) for element in channel.elements((PAYLOADS / path).read_bytes(), delivery())
    ]


def judged(channel: Channel, element: Element, **more: Any) -> Order | Deletion | Ignored | Unfit:
    try:
        return channel.order(element.payload, delivery(**more))
    except Unfit as error:
        return error


def spoiled(raw: Any) -> st.SearchStrategy[Any]:
    """The raw order with anything at all in the place of one of its values."""

    def put(where: tuple[str | int, ...], what: Any) -> Any:
        copy = json.loads(json.dumps(raw))
        at = copy
        for step in where[:-1]:
            at = at[step]
        at[where[-1]] = what
        return copy

    return st.builds(put, st.sampled_from(sorted(_places(raw), key=repr)), json_values)


def _places(raw: Any, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    found = [way] if way else []
    for step, value in inside:
        found += _places(value, (*way, step))
    return found


def only_unfit(channel: Channel, raw: Any) -> None:
    """Converting raises nothing but Unfit, and a sentence that repeats nothing of the order."""
    found = judged(channel, Element(1, raw), options={"consent_metadata_key": "newsletter"})
    if isinstance(found, Unfit):
        assert found.rule
        assert "example" not in str(found).casefold()


def only_unreadable(channel: Channel, body: bytes) -> None:
    with suppress(Unreadable):
        for element in channel.elements(body, delivery()):
            only_unfit(channel, element.payload)


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(document).encode(), dict(headers or {}))
