"""Shopify's money: what an order cost, what went back, and how an edit is told from a refund.

Shopify reckons each amount twice (`*_set`): in the currency that the customer saw (presentment_money), which is the
order's here, and in the shop's (shop_money). The plain fields beside them are in the shop's currency.

Edits. `total_price` is "before returns", with added lines and still with removed ones; `current_total_price` is after
returns, refunds and edits (shopify.dev, admin-graphql/latest/objects/Order). A line that an edit takes away becomes a
record in `refunds` without a transaction, and no money moves. So:
- no money went back: what is to be paid is `current_total_price`;
- money went back and the order was edited (a record took lines away without money, or `current_total_price` is above
  `total_price`): `current_total_price` and what was refunded. Where lines were only taken away it is `total_price` at
  most: what was to be paid never was more;
- the same, but Shopify does not tell `current_total_price`: `total_price`, less what was taken away without money,
  unless it was paid back later on its own;
- money went back and nothing was edited: `total_price`;
- the order is cancelled or its payment voided: `total_price`, as the cancellation itself empties the current one.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from data.channels import fields
from data.channels.channel import Unfit
from domain import money
from domain.orders import OrderLine

_NOTHING = Decimal(0)
_MONEY_WENT_BACK = {"refunded", "partially_refunded"}
_GID = "gid://"


@dataclass(frozen=True, slots=True)
class Currencies:
    """The order's currency, and the shop's where Shopify says both."""

    order: str
    shop: str | None

    @classmethod
    def of(cls, raw: Any) -> "Currencies":
        """Read them. An order from before presentment currencies has the shop's only."""
        if fields.find(raw, "total_price_set.presentment_money.amount") is None:
            return cls(fields.currency(raw, "currency"), None)
        told = "presentment_currency"
        path = told if fields.find(raw, told) else "total_price_set.presentment_money.currency_code"
        shop = "total_price_set.shop_money.currency_code"
        return cls(
            fields.currency(raw, path), fields.currency(raw, shop if fields.find(raw, shop) is not None else "currency")
        )

    def path(self, raw: Any, name: str) -> str:
        """Where the amount of that name stands in the order's currency."""
        told = f"{name}_set.presentment_money.amount"
        foreign = self.shop is not None and self.shop != self.order
        return told if foreign or fields.find(raw, told) is not None else name


@dataclass(frozen=True, slots=True)
class RemovedLine:
    """One line of a refund: how many of which line, worth what (tax is apart where prices do not hold it)."""

    line_id: str | None
    quantity: int
    subtotal: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Refund:
    """One record of `refunds`. `amount`: the money that went back; an edit or a restocking moves none."""

    reference: str
    at: datetime
    amount: Decimal
    is_told: bool  # by transactions
    lines: tuple[RemovedLine, ...]

    @property
    def is_removal(self) -> bool:
        """Were lines taken away without money?"""
        return not self.amount and not self.is_told and bool(self.lines)


@dataclass(frozen=True, slots=True)
class Totals:
    """The order's own amounts; `removals` are the records by which an edit took lines away."""

    total: Decimal
    refunded: Decimal
    shop_total: Decimal | None
    shop_refunded: Decimal | None
    tax: Decimal | None
    discount: Decimal | None
    removals: tuple[Refund, ...]


def id_text(raw: Any, path: str) -> str | None:
    """An id as text: of gid://shopify/Order/123 the number, so that both APIs name one order alike."""
    found = fields.optional_id(raw, path)
    return found.partition("?")[0].rpartition("/")[2] if found and found.startswith(_GID) else found


def refunds(raw: Any, currencies: Currencies, *, otherwise: datetime) -> tuple[Refund, ...]:
    """All refunds. Of one without transactions the lines and adjustments count, if Shopify says that money went back.

    `otherwise`: the time of a refund that has none.
    """
    found = [_refund(raw, f"refunds.{at}", currencies, otherwise) for at in range(len(fields.rows(raw, "refunds")))]
    if fields.text(raw, "financial_status") not in _MONEY_WENT_BACK or any(one.is_told for one in found):
        return tuple(found)
    return tuple(
        Refund(one.reference, one.at, _value(raw, f"refunds.{at}", currencies, one), is_told=False, lines=one.lines)
        for at, one in enumerate(found)
    )


def _refund(raw: Any, path: str, currencies: Currencies, otherwise: datetime) -> Refund:
    transactions = [f"{path}.transactions.{at}" for at in range(len(fields.rows(raw, f"{path}.transactions")))]
    done = [one for one in transactions if is_done(raw, one, {"refund"})]
    lines = range(len(fields.rows(raw, f"{path}.refund_line_items")))
    return Refund(
        reference=id_text(raw, f"{path}.id") or "",
        at=fields.optional_instant(raw, f"{path}.processed_at")
        or fields.optional_instant(raw, f"{path}.created_at")
        or otherwise,
        amount=sum((transaction_amount(raw, one, currencies) for one in done), _NOTHING),
        is_told=bool(transactions),
        lines=tuple(_removed(raw, f"{path}.refund_line_items.{at}", currencies) for at in lines),
    )


def is_done(raw: Any, path: str, kinds: Container[str | None]) -> bool:
    """Is the transaction one of these kinds, and did it succeed?"""
    return fields.text(raw, f"{path}.kind") in kinds and fields.text(raw, f"{path}.status") == "success"


def transaction_amount(raw: Any, path: str, currencies: Currencies) -> Decimal:
    """What a transaction moved, in the order's currency. REST gives one amount and says in which currency."""
    in_both = f"{path}.amount_set.presentment_money.amount"
    if fields.find(raw, in_both) is not None:
        return fields.amount(raw, in_both, currencies.order)
    said = fields.find(raw, f"{path}.currency")
    currency = currencies.order if said in (None, "") else fields.currency(raw, f"{path}.currency")
    amount = fields.amount(raw, f"{path}.amount", currency)
    if currency == currencies.order:
        return amount
    if currency != currencies.shop:
        raise Unfit(
            "currency_mixed",
            f"{path}.currency is neither the order's currency nor the shop's, so it cannot be added up",
            (f"{path}.currency",),
        )
    return _converted(raw, amount, currencies.order, ("shop_money", "presentment_money"))


def _converted(raw: Any, amount: Decimal, into: str, money_of: tuple[str, str]) -> Decimal:
    """By the order's own rate: its total price in both currencies."""
    known, wanted = (fields.decimal(raw, f"total_price_set.{name}.amount") or _NOTHING for name in money_of)
    digits = Decimal(1).scaleb(-money.digits(into))
    return (amount * wanted / known).quantize(digits, ROUND_HALF_UP) if known else _NOTHING


def _removed(raw: Any, path: str, currencies: Currencies) -> RemovedLine:
    return RemovedLine(
        line_id=id_text(raw, f"{path}.line_item_id") or id_text(raw, f"{path}.line_item.id"),
        quantity=fields.count(raw, f"{path}.quantity"),
        subtotal=_share(raw, f"{path}.subtotal", currencies),
        tax=_share(raw, f"{path}.total_tax", currencies),
    )


def _share(raw: Any, name: str, currencies: Currencies) -> Decimal:
    return fields.share(raw, currencies.path(raw, name)) or _NOTHING


def _value(raw: Any, path: str, currencies: Currencies, refund: Refund) -> Decimal:
    """What a refund without transactions is worth: its lines, its shipping, less its adjustments.

    An adjustment is negative where more went back than the lines are worth (shopify.dev, admin-rest Refund). As of
    2024-10 refunded shipping stands in refund_shipping_lines instead.
    """
    worth = _lines_value(raw, refund.lines)
    for at in range(len(fields.rows(raw, f"{path}.refund_shipping_lines"))):
        line = f"{path}.refund_shipping_lines.{at}"
        worth += _share(raw, f"{line}.subtotal_amount", currencies) + _share(raw, f"{line}.tax_amount", currencies)
    for at in range(len(fields.rows(raw, f"{path}.order_adjustments"))):
        one = f"{path}.order_adjustments.{at}"
        worth -= _share(raw, f"{one}.amount", currencies) + _share(raw, f"{one}.tax_amount", currencies)
    return max(worth, _NOTHING)


def _lines_value(raw: Any, lines: Iterable[RemovedLine]) -> Decimal:
    taxes_included = fields.flag(raw, "taxes_included")
    return sum((one.subtotal + (_NOTHING if taxes_included else one.tax) for one in lines), _NOTHING)


def totals(raw: Any, currencies: Currencies, found: tuple[Refund, ...], *, is_cancelled: bool) -> Totals:
    """The order's amounts; see the head of this module."""
    price = _total_price(raw, currencies)
    financial = fields.text(raw, "financial_status")
    refunded = _refunded(raw, currencies, found, price if financial == "refunded" else _NOTHING)
    name, total, removals = "total", price, tuple(one for one in found if one.is_removal)
    current = _current(raw, currencies)
    if is_cancelled or financial == "voided":
        removals = ()
    elif refunded or financial in _MONEY_WENT_BACK:
        total = _before_refunds(raw, found, price, current, refunded)
    elif current is not None:
        name, total = "current_total", current
    is_said = name != "total" or total == price
    return Totals(
        total=total,
        refunded=refunded,
        shop_total=_in_shop_money(raw, currencies, f"{name}_price" if is_said else "", total),
        shop_refunded=_in_shop_money(raw, currencies, "total_refunded", refunded),
        tax=fields.share(raw, currencies.path(raw, f"{name}_tax")),
        discount=fields.share(raw, currencies.path(raw, f"{name}_discounts")),
        removals=removals if total != price else (),
    )


def _total_price(raw: Any, currencies: Currencies) -> Decimal:
    path = currencies.path(raw, "total_price")
    price = fields.optional_amount(raw, path, currencies.order)
    if price is None:
        raise Unfit("total_missing", f"{path} is empty, and without it nobody knows what the order cost", (path,))
    return price


def _current(raw: Any, currencies: Currencies) -> Decimal | None:
    return fields.optional_amount(raw, currencies.path(raw, "current_total_price"), currencies.order)


def _before_refunds(
    raw: Any, found: Iterable[Refund], price: Decimal, current: Decimal | None, refunded: Decimal
) -> Decimal:
    """What was to be paid of an order from which money went back; see the head of this module."""
    if current is None:
        return max(price - _removed_for_good(raw, found), _NOTHING)
    if current > price:
        return current + refunded
    return min(current + refunded, price) if any(one.is_removal for one in found) else price


def _refunded(raw: Any, currencies: Currencies, found: Iterable[Refund], otherwise: Decimal) -> Decimal:
    """GraphQL says the sum; in REST it is reckoned. `otherwise`: where a refunded order lists no refund at all."""
    said = fields.optional_amount(raw, currencies.path(raw, "total_refunded"), currencies.order)
    if said is not None:
        return said
    reckoned = sum((one.amount for one in found), _NOTHING)
    return reckoned.quantize(Decimal(1).scaleb(-money.digits(currencies.order)), ROUND_HALF_UP) or otherwise


def _removed_for_good(raw: Any, found: Iterable[Refund]) -> Decimal:
    """What was taken away without money, less what was paid back without any line."""
    removed = sum((_lines_value(raw, one.lines) for one in found if one.is_removal), _NOTHING)
    paid_back = sum((one.amount for one in found if one.amount and not one.lines), _NOTHING)
    return max(removed - paid_back, _NOTHING)


def _in_shop_money(raw: Any, currencies: Currencies, name: str, amount: Decimal) -> Decimal | None:
    """The amount in the shop's currency as Shopify says it; where it does not, by the order's own rate."""
    if currencies.shop is None:
        return None
    said = fields.optional_amount(raw, f"{name}_set.shop_money.amount", currencies.shop)
    if said is not None or currencies.shop == currencies.order:
        return amount if said is None else said
    return _converted(raw, amount, currencies.shop, ("presentment_money", "shop_money"))


def lines(raw: Any, currencies: Currencies, removals: Iterable[Refund]) -> tuple[OrderLine, ...]:
    """All lines of the payload. One that was refunded keeps its quantity; of one that an edit took away, the rest."""
    taken: dict[str | None, list[RemovedLine]] = {}
    for removal in removals:
        for one in removal.lines:
            taken.setdefault(one.line_id, []).append(one)
    return tuple(_line(raw, number, currencies, taken) for number in range(1, len(fields.rows(raw, "line_items")) + 1))


def _line(raw: Any, number: int, currencies: Currencies, taken: dict[str | None, list[RemovedLine]]) -> OrderLine:
    """`discount`: the line's own and its part of the order's; `price` is one piece's before any (shopify.dev)."""
    path = f"line_items.{number - 1}"
    line_id = id_text(raw, f"{path}.id")
    removed = taken.get(line_id, []) if line_id else []
    quantity = fields.count(raw, f"{path}.quantity")
    price = fields.amount(raw, currencies.path(raw, f"{path}.price"), currencies.order)
    discount = _discount(raw, path, currencies)
    total = price * quantity - discount - sum((one.subtotal for one in removed), _NOTHING)
    quantity = max(quantity - sum(one.quantity for one in removed), 0)
    taxes = range(len(fields.rows(raw, f"{path}.tax_lines")))
    tax = sum((_share(raw, f"{path}.tax_lines.{at}.price", currencies) for at in taxes), _NOTHING)
    return OrderLine(
        line_no=number,
        sku=_sku(raw, path),
        title=fields.text(raw, f"{path}.title") or fields.text(raw, f"{path}.name"),
        category=None,
        quantity=quantity,
        total=total,
        external_id=line_id,
        brand=fields.text(raw, f"{path}.vendor"),
        discount=price * quantity - total if removed else discount,
        tax=tax - sum((one.tax for one in removed), _NOTHING),
    )


def _discount(raw: Any, path: str, currencies: Currencies) -> Decimal:
    """Shopify recommends the allocations over total_discount, which lacks the order's discounts (admin-rest Order)."""
    allocations = range(len(fields.rows(raw, f"{path}.discount_allocations")))
    if not allocations:
        return _share(raw, f"{path}.total_discount", currencies)
    return sum((_share(raw, f"{path}.discount_allocations.{at}.amount", currencies) for at in allocations), _NOTHING)


def _sku(raw: Any, path: str) -> str:
    """Where the shop gives none, Shopify's number of the variant or product: a line has to be told from another."""
    numbers = (id_text(raw, f"{path}.{one}") for one in ("variant_id", "variant.id", "product_id", "product.id"))
    return fields.text(raw, f"{path}.sku") or next((number for number in numbers if number), "")
