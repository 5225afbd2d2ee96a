"""What may be wrong with one governed order. Each check returns the offending fields: none where the order is sound.

All run for every order of a million, so each is a cheap look that makes nothing while all is well.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from domain import addresses, money
from domain.consent import ConsentStatus
from domain.orders import Order, OrderKind, OrderStatus

# A part of what domain.addresses takes, and most of what customers have. Whatever it does not know, the domain decides.
_PLAIN_ADDRESS = re.compile(
    r"[a-zA-Z0-9_+'.-]{1,64}@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}"
)
_is_valid = lru_cache(maxsize=10_000)(addresses.is_valid)
# Where a channel does not tell the tax: no rate on earth is above it.
_MOST_TAX = Decimal("1.3")
_ROUNDINGS = 5  # of the currency's smallest unit, however small the order
_UNTOLD = {None}
Fields = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Against:
    """What the orders of one batch are held against. `tolerance`: a share of the total; `refusing`: names of rules."""

    latest: datetime
    oldest: datetime
    currencies: frozenset[str]
    tolerance: Decimal
    refusing: frozenset[str]


def in_the_future(order: Order, against: Against) -> Fields:
    latest, consent = against.latest, order.customer.consent
    if order.placed_at <= latest and order.updated_at <= latest and (consent is None or consent.occurred_at <= latest):
        return ()
    moments = {"placed_at": order.placed_at, "updated_at": order.updated_at}
    if consent is not None:
        moments["customer.consent.occurred_at"] = consent.occurred_at
    return tuple(name for name, moment in moments.items() if moment > latest)


def too_old(order: Order, against: Against) -> Fields:
    oldest = against.oldest
    if order.placed_at >= oldest and order.updated_at >= oldest:
        return ()
    return ("placed_at",) if order.placed_at < oldest else ("updated_at",)


def email_missing(order: Order, _: Against) -> Fields:
    customer = order.customer
    return () if customer.email or customer.relay else ("customer.email",)


def email_invalid(order: Order, _: Against) -> Fields:
    email = order.customer.email
    if not email or _PLAIN_ADDRESS.fullmatch(email) or _is_valid(email):
        return ()
    return ("customer.email",)


def country_missing(order: Order, _: Against) -> Fields:
    return () if order.customer.country else ("customer.country",)


def consent_without_source(order: Order, _: Against) -> Fields:
    consent = order.customer.consent
    if consent is None or consent.source or consent.status is not ConsentStatus.GRANTED:
        return ()
    return ("customer.consent.source",)


def without_lines(order: Order, _: Against) -> Fields:
    # A credit may name no goods; and a cancellation that names none must not leave the order standing as a sale.
    if order.lines or order.kind is OrderKind.CREDIT or order.status is OrderStatus.CANCELLED:
        return ()
    return ("lines",)


def line_number_twice(order: Order, _: Against) -> Fields:
    before = -1
    for line in order.lines:
        if line.line_no <= before:  # most channels number them upwards, and then none stands twice
            return _repeated([one.line_no for one in order.lines], "line_no")
        before = line.line_no
    return ()


def line_twice(order: Order, _: Against) -> Fields:
    lines = order.lines
    if len(lines) < 2:  # noqa: PLR2004 - one has no twin
        return ()
    ids = {line.external_id for line in lines}
    if len(ids) == len(lines) or ids == _UNTOLD:
        return ()
    return _repeated([line.external_id for line in lines], "external_id")


def _repeated(values: list[int] | list[str | None], name: str) -> Fields:
    seen: set[int | str] = set()
    again: list[str] = []
    for position, value in enumerate(values):
        if value in seen:
            again.append(f"lines.{position}.{name}")
        elif value is not None and value != "":
            seen.add(value)
    return tuple(again)


def sku_missing(order: Order, _: Against) -> Fields:
    for line in order.lines:
        if not line.sku:
            return tuple(f"lines.{position}.sku" for position, one in enumerate(order.lines) if not one.sku)
    return ()


def quantity_zero(order: Order, _: Against) -> Fields:
    # What a discount line counts is nobody's business, and of a cancelled order nothing may be left.
    for line in order.lines:
        if line.quantity == 0 and line.total > 0 and order.status is not OrderStatus.CANCELLED:
            charged = (at for at, one in enumerate(order.lines) if one.quantity == 0 and one.total > 0)
            return tuple(f"lines.{at}.quantity" for at in charged)
    return ()


def total_mismatch(order: Order, against: Against) -> Fields:
    """Fires only where no usual reading fits.

    Channels differ in whether lines hold the tax, whether shipping does, and whether the order's discount is taken off
    the lines already; so the total may be anything from lines - discount to lines + shipping + tax. A part that is not
    told leaves its side open: without shipping a total may be far above the lines, without discount far below.
    """
    total, discount, shipping, tax = order.total, order.discount, order.shipping, order.tax
    goods = Decimal(0)
    for line in order.lines:
        goods += line.total
    highest = total if shipping is None else (goods + shipping) * _MOST_TAX if tax is None else goods + shipping + tax
    lowest = total if discount is None else goods - discount
    if lowest <= total <= highest or not order.lines:
        return ()
    if order.kind is not OrderKind.SALE or order.status is OrderStatus.CANCELLED:
        return ()  # sent for nothing, or set to nothing when it was cancelled
    slack = max(against.tolerance * max(total, goods), _ROUNDINGS * Decimal(1).scaleb(-money.digits(order.currency)))
    return () if lowest - slack <= total <= highest + slack else ("total", "lines")


def refunded_above_total(order: Order, _: Against) -> Fields:
    return ("refunded", "total") if order.refunded > order.total and order.kind is not OrderKind.CREDIT else ()


def negative_total(order: Order, _: Against) -> Fields:
    return ("total",) if order.total < 0 else ()


def currency_unknown(order: Order, _: Against) -> Fields:
    return () if order.currency in money.CURRENCIES else ("currency",)


def currency_foreign(order: Order, against: Against) -> Fields:
    return () if order.currency in against.currencies else ("currency",)


def is_test(order: Order, _: Against) -> Fields:
    return ("is_test",) if order.is_test else ()
