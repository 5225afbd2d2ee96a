"""Amazon's Orders API v0 (deprecated), for shops that are still on it.

An element is an `Order` of getOrders with the `OrderItems` of getOrderItems inside, as our pull joins them
(selling-partner-api-models: models/orders-api-model/ordersV0.json). `ItemPrice` is that of all units of a line. Prices
follow the marketplace: without tax in the US, with it in Europe. v0 knows neither parcels nor refunds.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from data.channels import amazon_terms, fields
from data.channels.channel import Delivery, Ignored, Unfit
from domain.orders import Order, OrderEvent, OrderKind, OrderLine, OrderStatus, OrderStep

# "Unshipped: payment has been authorized and the order is ready for shipment": Amazon stands for the money.
_STATUS = {
    "Pending": OrderStatus.PLACED,
    "PendingAvailability": OrderStatus.PLACED,
    "Unshipped": OrderStatus.PAID,
    "PartiallyShipped": OrderStatus.PAID,
    "Shipped": OrderStatus.SHIPPED,
    "InvoiceUnconfirmed": OrderStatus.SHIPPED,
    "Canceled": OrderStatus.CANCELLED,
    "Cancelled": OrderStatus.CANCELLED,
    "Unfulfillable": OrderStatus.CANCELLED,
}
_TOTAL = ("OrderTotal.Amount", "OrderTotal.CurrencyCode", "MarketplaceId")
_TAX = ("ItemTax.Amount", "ShippingTax.Amount", "BuyerInfo.GiftWrapTax.Amount")
_TAX_BACK = ("PromotionDiscountTax.Amount", "ShippingDiscountTax.Amount")
_DISCOUNT = ("PromotionDiscount.Amount", "ShippingDiscount.Amount")


def is_mine(raw: Any) -> bool:
    """Tell this version's shape by its key."""
    return isinstance(raw, Mapping) and "AmazonOrderId" in raw


def order(raw: Any, delivery: Delivery) -> Order | Ignored:
    """One order. Raises Unfit."""
    external_id = fields.identifier(raw, "AmazonOrderId")
    if (fields.text(raw, "SalesChannel") or "").casefold().startswith("non-amazon"):
        return Ignored("sold elsewhere and only shipped by Amazon: it comes in by the channel that sold it")
    if fields.find(raw, "OrderStatus") is None and fields.rows(raw, "OrderItems"):
        sentence = "these are items without their order: put them into it as OrderItems, as our own pull does"
        raise Unfit("order_missing", sentence, ("OrderStatus", "OrderItems"))
    word = fields.required_text(raw, "OrderStatus")
    status = _STATUS.get(word)
    if status is None:
        raise amazon_terms.status_unknown("OrderStatus", _STATUS)
    cancelled = status is OrderStatus.CANCELLED
    replaces = fields.optional_id(raw, "ReplacedOrderId")
    is_replacement = fields.flag(raw, "IsReplacementOrder") or replaces is not None
    free = cancelled or is_replacement
    cost = amazon_terms.total(raw, _TOTAL, pending=status is OrderStatus.PLACED, free=free)
    if isinstance(cost, Ignored):
        return cost
    code, total = cost
    items = fields.rows(raw, "OrderItems")
    updated_at = fields.instant(raw, "LastUpdateDate")
    return Order(
        external_id=external_id,
        customer=amazon_terms.buyer(raw, "ShippingAddress.CountryCode"),
        status=status,
        channel_status=word,
        currency=code,
        total=total,
        refunded=Decimal(0),
        placed_at=fields.instant(raw, "PurchaseDate"),
        updated_at=updated_at,
        cancelled_at=updated_at if cancelled else None,
        is_test=False,
        lines=tuple(_line(number, item) for number, item in enumerate(items, start=1)),
        number=external_id,
        kind=OrderKind.REPLACEMENT if is_replacement else OrderKind.SALE,
        replaces=replaces,
        tax=amazon_terms.sum_of([_tax(item, _TAX, _TAX_BACK) for item in items]),
        shipping=amazon_terms.sum_of([fields.share(item, "ShippingPrice.Amount") for item in items]),
        discount=amazon_terms.sum_of([amazon_terms.share_of(item, _DISCOUNT) for item in items]),
        coupons=_promotions(items),
        events=(OrderEvent(OrderStep.CANCELLED, updated_at),) if cancelled else (),
        observed_at=delivery.observed_at,
        notify=False,
    )


def _line(number: int, item: Any) -> OrderLine:
    discount = fields.share(item, "PromotionDiscount.Amount")
    price = fields.share(item, "ItemPrice.Amount") or Decimal(0)
    return OrderLine(
        line_no=number,
        sku=fields.optional_id(item, "SellerSKU") or fields.identifier(item, "ASIN"),
        title=fields.text(item, "Title"),
        category=None,
        quantity=fields.count(item, "QuantityOrdered"),
        total=price - (discount or Decimal(0)),
        external_id=fields.optional_id(item, "OrderItemId"),
        discount=discount,
        tax=_tax(item, _TAX[:1], _TAX_BACK[:1]),
    )


def _tax(item: Any, plus: tuple[str, ...], minus: tuple[str, ...]) -> Decimal | None:
    tax = amazon_terms.share_of(item, plus)
    return None if tax is None else tax - (amazon_terms.share_of(item, minus) or Decimal(0))


def _promotions(items: list[Any]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in items:
        listed = fields.find(item, "PromotionIds")
        for position in range(len(listed) if isinstance(listed, list) else 0):
            if promotion := fields.text(item, f"PromotionIds.{position}"):
                found[promotion] = None
    return tuple(found)
