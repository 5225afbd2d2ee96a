"""The channel of a shop's own system: JSON, JSON lines or CSV of any shape, read by a declared mapping (mapping.py).

The mapping comes as the delivery's option `mapping`. Flat rows are put together by its `group_by`: one row a line, the
rows of an order one below the other. What the mapping leaves out on purpose (`skip_when`) is ignored, and counted as
such: rows of a grouped order that are no merchandise become an ignored element of their own.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from data.channels import csv_rows, documents, mapped_parts, mapping_values, standard_webhooks
from data.channels.channel import Channel, Delivery, Element, Ignored, Unfit, Unreadable
from data.channels.mapped_parts import Part
from data.channels.mapping import Mapping
from data.channels.mapping_fields import LineFields
from data.channels.mapping_values import Terms
from domain import money
from domain.orders import Deletion, Order, OrderEvent, OrderKind, OrderLine, OrderStatus

_MAY_BE_CANCELLED = {OrderStatus.CANCELLED, OrderStatus.REFUNDED}
_ZERO = Decimal(0)


def elements(body: bytes, delivery: Delivery) -> Iterator[Element]:
    """One element an order: a raw order, or where `group_by` is declared the list of its rows. Raises Unreadable."""
    try:
        mapping = _mapping(delivery)
    except Unfit as fault:
        raise Unreadable(str(fault)) from fault
    if mapping.format == "csv":
        first, *rows = csv_rows.lines(body, mapping.delimiter) or [b""]
        found = csv_rows.elements(rows, mapping.layout(first))
    else:
        found = documents.elements(body, mapping.orders_in)
        if mapping.group_by:
            found = _grouped(found, mapping)
    line = mapping.line
    if mapping.group_by and line is not None and line.skip_when:
        return (part for element in found for part in _without_skipped(element, line))
    return found


def _mapping(delivery: Delivery) -> Mapping:
    mapping = delivery.options.get("mapping")
    if not isinstance(mapping, Mapping):
        raise Unfit("mapping_missing", "the connection names no `mapping`: without it nobody knows what means what")
    return mapping


def _grouped(rows: Iterator[Element], mapping: Mapping) -> Iterator[Element]:
    """Neighbouring rows of one order together. One that cannot be read counts with the order above it."""
    together: list[Element] = []
    above: str | None = None
    for row in rows:
        key = None if row.fault else mapping.key(row.payload)
        if together and key is not None and key != above:
            yield _joined(together)
            together = []
        above = key or above
        together.append(row)
    if together:
        yield _joined(together)


def _joined(rows: list[Element]) -> Element:
    fault = next(
        (f"row {number} of the order's {len(rows)}: {row.fault}" for number, row in enumerate(rows, 1) if row.fault),
        None,
    )
    return Element(
        rows[0].position, [row.payload for row in rows], len(rows), rows[0].fault if len(rows) == 1 else fault
    )


def _without_skipped(element: Element, line: LineFields) -> Iterator[Element]:
    """The order without the rows that are no merchandise, and those for themselves."""
    skipped = [] if element.fault else [row for row in element.payload if mapped_parts.skipped(row, line.skip_when)]
    if not skipped or len(skipped) == len(element.payload):
        yield element
        return
    kept = [row for row in element.payload if not mapped_parts.skipped(row, line.skip_when)]
    yield Element(element.position, kept, len(kept))
    yield Element(element.position, skipped, len(skipped))


def order(payload: Any, delivery: Delivery) -> Order | Deletion | Ignored:
    """The order that the mapping finds in a raw one. Raises Unfit, which names our field and their path."""
    mapping = _mapping(delivery)
    rows = payload if isinstance(payload, list) else [payload]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise Unfit("order_unreadable", "this is no order: an order is an object with fields, or a list of such rows")
    if because := mapped_parts.skipped(rows[0], mapping.order.skip_when):
        return Ignored(because)
    if mapping.line is not None and not mapping.line.list:
        kept = [row for row in rows if not mapped_parts.skipped(row, mapping.line.skip_when)]
        if not kept:
            return Ignored(mapped_parts.skipped(rows[0], mapping.line.skip_when) or "")
        rows = kept
    terms = Terms(mapping.own_zone or delivery.zone, mapping.decimal, mapping.thousands)
    of = Part(mapping.order, rows, terms)
    if deleted_at := of.get("deleted_at"):
        return Deletion(of.need("external_id"), deleted_at)
    return _order(mapping, of._replace(terms=terms._replace(currency=_currency(of, "currency"))), delivery)


def _currency(of: Part, name: str) -> str:
    try:
        return money.check_currency(of.need(name))
    except money.InvalidAmount as error:
        raise getattr(of.section, name).unfit(name, "unreadable", f"is no currency: {error}") from error


def _order(mapping: Mapping, of: Part, delivery: Delivery) -> Order:
    rows, terms = of.rows, of.terms
    kind = OrderKind(of.get("kind") or OrderKind.SALE)
    lines = mapped_parts.lines(mapping, rows, terms, credit=kind is OrderKind.CREDIT)
    refunds = mapped_parts.refunds(mapping.refunds, rows[0], terms)
    total, refunded = _amounts(mapping, of, kind, lines, refunds)
    placed_at = of.need("placed_at")
    status = OrderStatus.REFUNDED if kind is OrderKind.CREDIT else OrderStatus(of.need("status"))
    return Order(
        external_id=of.need("external_id"),
        customer=mapped_parts.customer(mapping, rows, terms),
        status=status,
        channel_status=mapping_values.text_of(mapping.order.status.found(rows[0])) or status.value,
        currency=terms.currency,
        total=total,
        refunded=refunded,
        placed_at=placed_at,
        updated_at=of.get("updated_at") or placed_at,
        cancelled_at=_cancelled_at(of, status),
        is_test=bool(of.get("test")),
        lines=lines,
        number=of.get("number"),
        kind=kind,
        replaces=of.get("replaces"),
        tax=of.get("tax"),
        shipping=of.get("shipping"),
        discount=of.get("discount"),
        coupons=_coupons(mapping, rows[0]),
        events=(*refunds, *mapped_parts.events(mapping.events, rows, terms)),
        observed_at=delivery.observed_at,
        notify=of.get("notify") is not False,
        **_shop_amounts(of),
    )


def _amounts(
    mapping: Mapping, of: Part, kind: OrderKind, lines: tuple[OrderLine, ...], refunds: list[OrderEvent]
) -> tuple[Decimal, Decimal]:
    """What the order came to and what of it went back. A credit comes to nothing, and all of it goes back."""
    source = mapping.order.total
    total: Decimal = sum((line.total for line in lines), _ZERO) if source.computed else of.need("total")
    if kind is OrderKind.CREDIT:
        if not source.computed and mapping.credits_are == "positive":
            total = -total
        if total > 0:
            sentence = (
                "of this credit is money taken, not given back: is it one? `credits_are` says how they are written"
            )
            raise source.unfit("total", "unexpected", sentence)
        return _ZERO, -total
    if total < 0:
        raise source.unfit("total", "negative", "is below zero: is this order a credit (`order.kind`)?")
    refunded = of.get("refunded")
    if refunded is None:
        refunded = sum((one.amount for one in refunds if one.amount is not None), _ZERO)
    if refunded < 0 or refunded > total:
        what = (
            "is larger than the total" if refunded > total else "is below zero (`absolute: true` takes the sign away)"
        )
        place = mapping.order.refunded
        raise place.unfit("refunded", "wrong", what) if place else Unfit("refunded_wrong", f"refunds: their sum {what}")
    return total, refunded


def _cancelled_at(of: Part, status: OrderStatus) -> Any:
    at = of.get("cancelled_at")
    if at is not None and status not in _MAY_BE_CANCELLED:
        raise of.section.cancelled_at.unfit("cancelled_at", "unexpected", "is filled and status says otherwise")  # type: ignore[attr-defined]
    return at


def _coupons(mapping: Mapping, row: Any) -> tuple[str, ...]:
    """A list of texts, or one text in which they are separated."""
    source = mapping.order.coupons
    raw = None if source is None else source.found(row)
    parts = raw if isinstance(raw, list) else mapping_values.text_of(raw).split(mapping.order.coupons_separator)
    return tuple(text for part in parts if (text := mapping_values.text_of(part)))


def _shop_amounts(of: Part) -> dict[str, Any]:
    """The same amounts in the shop's own currency, where it tells them."""
    if of.get("shop_currency") is None:
        return {}
    code = _currency(of, "shop_currency")
    shop = of._replace(terms=of.terms._replace(currency=code))
    return {"shop_currency": code, "shop_total": shop.get("shop_total"), "shop_refunded": shop.get("shop_refunded")}


CHANNEL = Channel(
    name="mapped",
    title="Own system by a declared mapping",
    elements=elements,
    order=order,
    own_numbers=False,
    push=standard_webhooks.PUSH,
)
