"""Triggers: which mail an order asks for by what has happened to it.

Only facts of the order's newest state count, so it is all the same how often and in what order its states come: each
step asks once (a parcel and a refund each once), and who keeps the intents keeps one of each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.orders import Order, OrderKind, OrderStatus, OrderStep

_CLOCKS_APART = timedelta(days=1)  # a channel's clock or zone may be wrong; what it dates later has not happened
_ONE_OF_SEVERAL = "-1"


class Step(StrEnum):
    """What may happen to an order that its customer is told of. Called as in the timeline (OrderStep)."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


OF_EACH = frozenset(
    {Step.SHIPPED, Step.DELIVERED, Step.REFUNDED}
)  # once a parcel or a refund; the others once an order
_TOLD = {OrderStep(one.value): one for one in Step if one is not Step.PLACED}
_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.REFUNDED})


@dataclass(frozen=True, slots=True)
class Rules:
    """What the orders of one channel of an account ask for.

    `since`, `fresh`: only what happened since then, and no longer ago than that, so that history asks for nothing.
    `receipt_after`: a payment so soon after the order needs no receipt beside the confirmation. `not_while`: words of
    the channel at which an order is none yet, such as WooCommerce's pending: the shopper is still at the till.
    """

    since: datetime
    fresh: timedelta = timedelta(hours=48)
    templates: Mapping[Step, str] = field(default_factory=dict)
    receipt_after: timedelta = timedelta(hours=1)
    not_while: frozenset[str] = frozenset()  # small letters


@dataclass(frozen=True, slots=True)
class Trigger:
    """A mail that is asked for. `key`: what it is asked for by, once; `reference`: where the timeline tells of it."""

    step: Step
    template: str
    reference: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Happened:
    step: Step
    at: datetime
    reference: str = ""


def wanted(order: Order, rules: Rules, now: datetime) -> list[Trigger]:
    """All that the order asks for as it stands: whatever was asked for before is among it."""
    oldest = max(rules.since, now - rules.fresh)
    if order.updated_at < oldest and order.placed_at < oldest:  # history, nearly always: nothing of it is looked at
        return []
    if not _is_mailed(order, rules):
        return []
    happened = list(_happened(order))
    references = {one.reference for one in happened}
    return [
        Trigger(one.step, rules.templates[one.step], one.reference, _key(one.reference, references))
        for one in happened
        if one.step in rules.templates
        and oldest <= one.at <= now + _CLOCKS_APART
        and not _is_undated(one, order, rules)
        and not _is_overtaken(one, order, happened, rules)
    ]


def _is_mailed(order: Order, rules: Rules) -> bool:
    """Not where the channel mails its customers, nor of a test; a replacement or a credit is no order of hers."""
    hidden = order.customer.relay or order.customer.redacted
    waits = order.channel_status.casefold() in rules.not_while
    return order.notify and not order.is_test and order.kind is OrderKind.SALE and not hidden and not waits


def _happened(order: Order) -> Iterator[_Happened]:
    """What the timeline dates, each step and reference once: of a parcel with two labels the first."""
    yield _Happened(Step.PLACED, order.placed_at)
    told: set[tuple[Step, str]] = set()
    for event in sorted(order.events, key=lambda one: one.at):
        if (step := _TOLD.get(event.step)) is None:
            continue
        reference = event.reference if step in OF_EACH else ""
        if (step, reference) not in told:
            told.add((step, reference))
            yield _Happened(step, event.at, reference)
    if order.cancelled_at is not None and (Step.CANCELLED, "") not in told:
        yield _Happened(Step.CANCELLED, order.cancelled_at)


def _key(reference: str, references: set[str]) -> str:
    """A parcel that was F becomes F-1 when a second one, F-2, goes with it (Shopify): it is told of already."""
    base = reference.removesuffix(_ONE_OF_SEVERAL)
    was_alone = base != reference and f"{base}-2" in references and base not in references
    return base if was_alone else reference


def _is_undated(one: _Happened, order: Order, rules: Rules) -> bool:
    """Where a channel gives no time, that of the order's last change stands for it, though it happened years before.

    So it counts for orders only whose whole life we have heard of.
    """
    return one.at == order.updated_at and order.placed_at < rules.since


def _is_overtaken(one: _Happened, order: Order, happened: list[_Happened], rules: Rules) -> bool:
    """What a customer would find silly to read, since something later is known already."""
    if one.step in {Step.CANCELLED, Step.REFUNDED}:
        return False
    if order.status in _OVER or order.cancelled_at is not None or any(it.step is Step.CANCELLED for it in happened):
        return True
    if one.step is Step.PAID:
        told_by_confirmation = Step.PLACED in rules.templates and one.at < order.placed_at + rules.receipt_after
        return told_by_confirmation or any(it.step is Step.SHIPPED and it.at >= one.at for it in happened)
    return one.step is Step.SHIPPED and any(
        it.step is Step.DELIVERED and it.reference == one.reference for it in happened
    )
