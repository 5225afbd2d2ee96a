"""Row rules: what may be wrong with one governed order, in words for a person who is to do something about it.

The checks are in data/intake/row_checks.py, and what follows when one fires is the thresholds' business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from data.intake import row_checks
from data.intake.row_checks import Against, Fields
from data.intake.thresholds import Thresholds
from domain.orders import Deletion, Order


class Fired(NamedTuple):
    """One rule that fired on one order. `refuse`: by the thresholds, the order is to become a dead letter."""

    rule: str
    sentence: str
    fields: Fields
    refuse: bool


@dataclass(frozen=True, slots=True)
class RowRule:
    """`meaning`: what is the matter, in a few words; `sentence`: the same for a person who is to do something."""

    name: str
    meaning: str
    sentence: str
    find: Callable[[Order, Against], Fields]


_IN_THE_FUTURE = (
    "a time lies in the future, and nothing that comes later could ever replace this order: correct the clock or the "
    "zone of the channel, or wait (it is tried again by itself)"
)
# Those that refuse by default first: the first that refuses is what the dead letter is told by.
ROW_RULES = (
    RowRule("in_the_future", "orders from the future", _IN_THE_FUTURE, row_checks.in_the_future),
    RowRule(
        "line_number_twice",
        "orders in which two lines have one number",
        "two lines have the same line number: map line_no to what is different on each line, or leave it out",
        row_checks.line_number_twice,
    ),
    RowRule(
        "currency_unknown",
        "orders in no known currency",
        "the currency is no ISO 4217 code of money in use: correct the code, such as GBP for UKP",
        row_checks.currency_unknown,
    ),
    RowRule(
        "negative_total",
        "orders with a total below zero",
        "the total is below zero: money that goes back belongs to the refunds of the order that it was paid for",
        row_checks.negative_total,
    ),
    RowRule(
        "refunded_above_total",
        "orders with more refunded than paid",
        "more was refunded than the order came to: look for a refund that is counted twice, or for a total that the "
        "channel lowered after the refund",
        row_checks.refunded_above_total,
    ),
    RowRule(
        "without_lines",
        "orders without lines",
        "the order has no lines, so nobody can know what was bought: have the channel send them, or map where they are",
        row_checks.without_lines,
    ),
    RowRule(
        "consent_without_source",
        "consents that nobody can prove",
        "the customer is said to have agreed to mail, but not where: name the source (the form or page), or send no "
        "consent; a consent without proof may not be used",
        row_checks.consent_without_source,
    ),
    RowRule(
        "too_old",
        "orders from before there were shops on line",
        "the order is older than orders can be, as times are that begin in 1970: check what the time is mapped from; "
        "if it is right, lower too_old.oldest_year for this channel",
        row_checks.too_old,
    ),
    RowRule(
        "email_missing",
        "orders without an address",
        "the order names no address, so the customer cannot be written to: check whether the channel has one that is "
        "not mapped",
        row_checks.email_missing,
    ),
    RowRule(
        "email_invalid",
        "orders with an address that cannot exist",
        "the address cannot exist, so the customer cannot be written to: ask the customer, or check what it is mapped "
        "from",
        row_checks.email_invalid,
    ),
    RowRule(
        "country_missing",
        "orders without a country",
        "the order names no country as two ISO 3166 letters: map it from the billing or shipping address",
        row_checks.country_missing,
    ),
    RowRule(
        "line_twice",
        "orders in which a line stands twice",
        "two lines have one id, so one position may be counted twice: map the line's own id, not the product's",
        row_checks.line_twice,
    ),
    RowRule(
        "sku_missing",
        "orders with a line that names no product",
        "a line has no SKU, so reports cannot tell what was bought: give the product one in the channel",
        row_checks.sku_missing,
    ),
    RowRule(
        "quantity_zero",
        "orders with a line that is charged for nothing",
        "a line costs money and its quantity is zero: check what the quantity is mapped from",
        row_checks.quantity_zero,
    ),
    RowRule(
        "total_mismatch",
        "orders whose parts do not make the total",
        "lines, shipping, tax and discount make the total in no usual way: check for lines that are missing, amounts in "
        "cents, or fees, tips and gift cards that are no lines",
        row_checks.total_mismatch,
    ),
    RowRule(
        "currency_foreign",
        "orders in another currency than the account's",
        "the order is in another currency than the account: if the shop sells in it, add it to currency_foreign.allowed "
        "of this channel",
        row_checks.currency_foreign,
    ),
    RowRule(
        "test_order",
        "test orders",
        "the channel marks it as a test order: it is kept and counts nowhere; many of them mean that a test shop is "
        "connected",
        row_checks.is_test,
    ),
)
MEANINGS = {rule.name: rule.meaning for rule in ROW_RULES}
_FINDERS = tuple((rule, rule.find) for rule in ROW_RULES)


def fired(order: Order, thresholds: Thresholds, *, account_currency: str, now: datetime) -> tuple[Fired, ...]:
    """All rules that fire on the order, those that refuse it first. Nothing in them repeats any of its content."""
    against = _against(thresholds, account_currency, now)
    found: tuple[Fired, ...] = ()
    for rule, find in _FINDERS:
        if fields := find(order, against):
            found += (Fired(rule.name, rule.sentence, fields, rule.name in against.refusing),)
    return found if len(found) < 2 else tuple(sorted(found, key=_kept_last))  # noqa: PLR2004 - one is in order


def fired_on_deletion(deletion: Deletion, thresholds: Thresholds, *, now: datetime) -> tuple[Fired, ...]:
    """The one thing that may be wrong with a deletion: from the future, it would hold against all that comes."""
    if deletion.deleted_at <= now + timedelta(days=thresholds.rules.in_the_future.days_ahead):
        return ()
    return (Fired("in_the_future", _IN_THE_FUTURE, ("deleted_at",), refuse=True),)


def _kept_last(one: Fired) -> bool:
    return not one.refuse


@lru_cache(maxsize=64)
def _against(thresholds: Thresholds, account_currency: str, now: datetime) -> Against:
    rules = thresholds.rules
    return Against(
        latest=now + timedelta(days=rules.in_the_future.days_ahead),
        oldest=datetime(rules.too_old.oldest_year, 1, 1, tzinfo=UTC),
        currencies=frozenset((account_currency, *rules.currency_foreign.allowed)),
        tolerance=Decimal(str(rules.total_mismatch.tolerance)),
        refusing=frozenset(rule.name for rule in ROW_RULES if thresholds.rule(rule.name).row == "refuse"),
    )
