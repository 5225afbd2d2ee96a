"""What happened to a Shopify order, and when: payment, parcels, refunds, the end."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from data.channels import fields, shopify_money
from data.channels.shopify_money import Currencies, Refund, id_text
from domain.orders import Order, OrderEvent, OrderStatus, OrderStep

_ONE_PARCEL = 1


def events(raw: Any, order: Order, currencies: Currencies, refunds: tuple[Refund, ...]) -> tuple[OrderEvent, ...]:
    """The order's timeline, the oldest first."""
    steps = [*_paid(raw, order, currencies), *_parcels(raw, order.updated_at)]
    steps += [OrderEvent(OrderStep.REFUNDED, one.at, one.reference, one.amount) for one in refunds if one.amount]
    if order.status is OrderStatus.COMPLETED:
        steps.append(OrderEvent(OrderStep.COMPLETED, fields.instant(raw, "closed_at")))
    if order.cancelled_at:
        steps.append(OrderEvent(OrderStep.CANCELLED, order.cancelled_at, note=fields.text(raw, "cancel_reason")))
    return tuple(sorted(steps, key=lambda event: event.at))


def _paid(raw: Any, order: Order, currencies: Currencies) -> Iterator[OrderEvent]:
    """REST's order does not hold its payments: then a paid one was paid when Shopify processed it."""
    if fields.text(raw, "financial_status") not in {"paid", "partially_refunded", "refunded"}:
        return
    paths = [f"transactions.{at}" for at in range(len(fields.rows(raw, "transactions")))]
    done = [path for path in paths if shopify_money.is_done(raw, path, {"sale", "capture"})]
    if not done:
        yield OrderEvent(OrderStep.PAID, order.placed_at)
        return
    times = (
        fields.optional_instant(raw, f"{path}.processed_at") or fields.optional_instant(raw, f"{path}.created_at")
        for path in done
    )
    amounts = [shopify_money.transaction_amount(raw, path, currencies) for path in done]
    at = max((time for time in times if time), default=order.placed_at)
    yield OrderEvent(OrderStep.PAID, at, amount=sum(amounts[1:], amounts[0]))


def _parcels(raw: Any, otherwise: datetime) -> Iterator[OrderEvent]:
    """One event a parcel that is on its way; a fulfillment that failed or was cancelled sent none."""
    for at in range(len(fields.rows(raw, "fulfillments"))):
        path = f"fulfillments.{at}"
        if fields.text(raw, f"{path}.status") != "success":
            continue
        shipped_at = fields.optional_instant(raw, f"{path}.created_at") or otherwise
        number = id_text(raw, f"{path}.id") or ""
        parcels = _tracking(raw, path)
        for count, (company, tracking, url) in enumerate(parcels, 1):
            reference = number if len(parcels) == _ONE_PARCEL else f"{number}-{count}"
            yield OrderEvent(OrderStep.SHIPPED, shipped_at, reference, None, company, tracking, url)
        if fields.text(raw, f"{path}.shipment_status") == "delivered":
            delivered_at = fields.optional_instant(raw, f"{path}.delivered_at")
            delivered_at = delivered_at or fields.optional_instant(raw, f"{path}.updated_at") or otherwise
            yield OrderEvent(OrderStep.DELIVERED, delivered_at, number)


def _tracking(raw: Any, path: str) -> list[tuple[str | None, str | None, str | None]]:
    """Company, number and URL of each parcel: GraphQL lists parcels, REST numbers and URLs side by side."""
    listed = range(len(fields.rows(raw, f"{path}.tracking_info")))
    if listed:
        infos = (f"{path}.tracking_info.{at}" for at in listed)
        return [
            (fields.text(raw, f"{one}.company"), fields.text(raw, f"{one}.number"), fields.text(raw, f"{one}.url"))
            for one in infos
        ]
    company = fields.text(raw, f"{path}.tracking_company")
    numbers = fields.find(raw, f"{path}.tracking_numbers")
    if not isinstance(numbers, list) or len(numbers) <= _ONE_PARCEL:
        return [(company, fields.text(raw, f"{path}.tracking_number"), fields.text(raw, f"{path}.tracking_url"))]
    return [
        (company, fields.text(raw, f"{path}.tracking_numbers.{at}"), fields.text(raw, f"{path}.tracking_urls.{at}"))
        for at in range(len(numbers))
    ]
