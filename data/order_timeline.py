"""What an order's timeline says in a mail: its parcels, its refund, the day on which it was cancelled."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from data import field_values
from domain import order_sums
from domain.orders import OrderStep

_LONGEST_WORD = 80
_MOST_PARCELS = 20


def values(
    order: Any, events: Sequence[Any], *, step: str | None, reference: str | None, zone: ZoneInfo
) -> dict[str, Any]:
    """The fields of all steps: of each the latest entry, and of `step` the one with this reference."""

    def entry(wanted: OrderStep) -> Any:
        of_step = [one for one in events if one.step == wanted]
        own = [one for one in of_step if step == wanted and one.reference == (reference or "")]
        return (own or of_step or [None])[-1]

    cancelled = entry(OrderStep.CANCELLED)
    cancelled_at = cancelled.at if cancelled else order.cancelled_at
    return {
        **_parcel(events, entry(OrderStep.SHIPPED), entry(OrderStep.DELIVERED), step, zone),
        **_refund(order, events, entry(OrderStep.REFUNDED), zone),
        "cancelled_on": cancelled_at.astimezone(zone).date() if cancelled_at else None,
    }


def money(amount: Decimal, currency: str) -> dict[str, str]:
    """An amount as fields take it."""
    return {"amount": f"{order_sums.rounded(amount, currency):f}", "currency": currency}


def _parcel(events: Sequence[Any], sent: Any, arrived: Any, step: str | None, zone: ZoneInfo) -> dict[str, Any]:
    """Who brings it, and where to follow it. Of a delivery the channel often tells the day alone: her parcel has the rest."""
    parcels = [one for one in events if one.step == OrderStep.SHIPPED]
    if step == OrderStep.DELIVERED and arrived is not None:
        same = [one for one in parcels if one.reference.rpartition("-")[0] == arrived.reference]  # a number each
        sent = next((one for one in parcels if one.reference == arrived.reference), None)
        sent = sent or (same[0] if len(same) == 1 else None) or (parcels[0] if len(parcels) == 1 else None)
    told = [one for one in ((arrived, sent) if step == OrderStep.DELIVERED else (sent,)) if one is not None]
    listed = parcels[:_MOST_PARCELS] if len(parcels) > 1 else []
    return {
        "carrier": _first(field_values.printable(one.carrier, _LONGEST_WORD) for one in told),
        "tracking_number": _first(field_values.printable(one.tracking_number, _LONGEST_WORD) for one in told),
        "tracking_url": _first(_link(one) for one in told),
        "shipped_on": sent.at.astimezone(zone).date() if sent else None,
        "delivered_on": arrived.at.astimezone(zone).date() if arrived else None,
        "parcels": [_item(one, place) for place, one in enumerate(listed, 1)] or None,
    }


def _first(found: Iterable[str | None]) -> str | None:
    return next(filter(None, found), None)


def _link(event: Any) -> str | None:
    """The carrier's page, where it is an address that may stand in a mail."""
    return event.tracking_url if field_values.is_link(event.tracking_url) else None


def _item(event: Any, place: int) -> dict[str, Any]:
    number = field_values.printable(event.tracking_number, _LONGEST_WORD)
    carrier = field_values.printable(event.carrier, _LONGEST_WORD)
    return {"name": number or carrier or str(place), "note": carrier if number else None, "url": _link(event)}


def _refund(order: Any, events: Sequence[Any], back: Any, zone: ZoneInfo) -> dict[str, Any]:
    """Of a refund without an amount all that went back counts, if it is the only one."""
    alone = sum(one.step == OrderStep.REFUNDED for one in events) <= 1
    amount = back.amount if back is not None and back.amount else order.refunded if alone else None
    several = order.refunded and order.refunded != amount
    return {
        "refunded_on": back.at.astimezone(zone).date() if back else None,
        "refund_amount": money(amount, order.currency) if amount else None,
        "refunded_total": money(order.refunded, order.currency) if several else None,
    }
