"""Why somebody entered or left an audience, from what is on record, in words that can be read out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import database, diffs, parties
from data.diffs import MailNews, Number, OrderNews, PermissionNews
from data.past_customers import PastCustomers
from domain.differences import WORDS, Cause, Side
from segments import explain
from segments.explain import Condition, NotACustomer
from segments.selection import Selection

Integers = npt.NDArray[np.int64]


class _OfPerson(Protocol):
    @property
    def person(self) -> int: ...


_Item = TypeVar("_Item", bound=_OfPerson)


@dataclass(frozen=True, slots=True)
class Records:
    """What happened to the changed persons between the two instants, or was heard of after the first.

    `late_orders` were placed before the first instant and came to us after it.
    """

    who: list[int]
    before: Side
    after: Side
    new_orders: dict[int, list[OrderNews]]
    late_orders: dict[int, list[OrderNews]]
    changed_orders: dict[int, list[OrderNews]]
    mails: dict[int, list[MailNews]]
    permissions: dict[int, list[PermissionNews]]
    numbers: dict[int, list[Number]]

    @property
    def arrived(self) -> Integers:
        """Ids of the orders that were placed before the first instant, and surely came to us after it."""
        since = self.before.watermark
        late = (one for orders in self.late_orders.values() for one in orders if _arrived(one, since))
        return np.array([one.order_id for one in late], dtype=np.int64)

    def has_order(self, person: int) -> bool:
        """Whether an order of theirs was placed between, or surely reached us only then."""
        late = self.late_orders.get(person, ())
        return person in self.new_orders or any(_arrived(one, self.before.watermark) for one in late)

    def cause(self, person: int, *, was_told: bool) -> Cause:
        """By the records alone. `was_told`: what is known today gives what was frozen first."""
        since, own = self.before.watermark, self.numbers[person]
        found = (
            (was_told and person in self.new_orders, Cause.NEW_ORDER),
            (person in self.late_orders, Cause.NEW_ORDER),
            (person in self.permissions, Cause.PERMISSION),
            (any(self._is_joined(one, person) for one in own), Cause.NUMBERS),
            (person in self.changed_orders, Cause.ORDER_CHANGED),
            (len(own) > 1 or any(one.apart for one in own), Cause.NUMBERS),
            (any(one.updated_at > since for one in own), Cause.CUSTOMER_DATA),
            (person in self.new_orders, Cause.NEW_ORDER),
            (person in self.mails, Cause.MAIL),
        )
        return next((cause for applies, cause in found if applies), Cause.UNKNOWN)

    def _is_joined(self, one: Number, person: int) -> bool:
        """Beyond doubt: a member who belongs to somebody else now, or one of whose numbers was a member by itself."""
        return one.person != person or (one.party_id != person and one.party_id in self.numbers)

    def sentence(self, person: int, cause: Cause, *, entered: bool, flip: str) -> str:
        """Why they entered or left, the condition that turned included."""
        side = "in" if entered else "out"
        tell: dict[Cause, Callable[[], str]] = {
            Cause.DEFINITION: lambda: f"{WORDS[cause]}, and by the new one they are {side}",
            Cause.NEW_ORDER: lambda: self._placed(person),
            Cause.ORDER_CHANGED: lambda: _changed(self.changed_orders[person][-1], self.before.watermark),
            Cause.NUMBERS: lambda: _joined(self.numbers[person]),
            Cause.PERMISSION: lambda: _permission(self.permissions[person]),
            Cause.MAIL: lambda: _mail(self.mails[person]),
        }
        words = tell.get(cause, lambda: WORDS[cause])()
        return f"{'entered' if entered else 'left'}: {words}{f' – {flip}' if flip else ''}"

    def _placed(self, person: int) -> str:
        if new := self.new_orders.get(person):
            return f"{_order(new[-1])} was placed on {_day(new[-1].placed_at)}"
        late = self.late_orders[person][-1]
        heard = late.first_recorded_at or late.recorded_at or late.updated_at
        return f"{_order(late)} reached us only on {_day(heard)}; it was placed on {_day(late.placed_at)}"

    def names(self, connection: sa.Connection, persons: Sequence[int]) -> dict[int, str]:
        """Each person's own channel and number; a guest, who has none, by the latest order."""
        own = {one.party_id: one for person in persons for one in self.numbers[person] if one.party_id == person}
        guests = [person for person in persons if own[person].numbering.startswith(parties.GUESTS)]
        orders = diffs.newest_orders(connection, np.array(guests, dtype=np.int64)) if guests else {}
        return {
            person: f"the guest of order {orders.get(person, '(deleted)')}" if person in guests else _name(own[person])
            for person in persons
        }


def read(engine: sa.Engine, account_id: str, who: Integers, before: Side, after: Side, *, permission: bool) -> Records:
    """All that is on record of these persons. `permission`: whether the definition asks for consent or suppression."""
    start, end = before.watermark, after.watermark
    with database.read(engine) as connection:
        orders = diffs.orders_since(connection, who, start)
        mails = diffs.mails_between(connection, who, start, end)
        permissions = diffs.permissions_between(connection, account_id, who, start, end) if permission else []
        numbers = diffs.numbers(connection, account_id, who)
    old = [one for one in orders if one.placed_at <= start]
    return Records(
        who=who.tolist(),
        before=before,
        after=after,
        new_orders=_by_person(one for one in orders if start < one.placed_at <= end),
        late_orders=_by_person(one for one in old if _is_late(one, start)),
        changed_orders=_by_person(one for one in old if not _is_late(one, start)),
        mails=_by_person(mails),
        permissions=_by_person(permissions),
        numbers=_numbers(who, numbers),
    )


def _numbers(who: Integers, found: Iterable[Number]) -> dict[int, list[Number]]:
    """Of each party its own number, and those that it stands for."""
    by_person = defaultdict(list)
    for one in found:
        for person in {one.party_id, one.person}:
            by_person[person].append(one)
    return {person: by_person[person] for person in who.tolist()}


def _by_person(found: Iterable[_Item]) -> dict[int, list[_Item]]:
    by_person: dict[int, list[_Item]] = {}
    for one in found:
        by_person.setdefault(one.person, []).append(one)
    return by_person


def _is_late(order: OrderNews, since: datetime) -> bool:
    """We heard of it only after then; where that is not known: nothing else happened to it after then."""
    if order.first_recorded_at is not None:
        return _arrived(order, since)
    happened = (order.updated_at, order.cancelled_at, order.deleted_at, order.refunded_at)
    return not any(at is not None and at > since for at in happened)


def _arrived(order: OrderNews, since: datetime) -> bool:
    return order.first_recorded_at is not None and order.first_recorded_at > since


def _changed(order: OrderNews, since: datetime) -> str:
    told = (("deleted", order.deleted_at), ("cancelled", order.cancelled_at), ("refunded", order.refunded_at))
    what, at = next(((what, at) for what, at in told if at is not None and at > since), ("changed", None))
    at = at or max(one for one in (order.updated_at, order.recorded_at) if one is not None)
    return f"{_order(order)} was {what} on {_day(at)}; what it was before is not kept"


def _order(order: OrderNews) -> str:
    return f"order {order.channel} {order.number}"


def _permission(found: Sequence[PermissionNews]) -> str:
    news = max(found, key=lambda one: one.at)
    return f"{news.what} on {_day(news.at)} (source: {news.source})"


def _mail(found: Sequence[MailNews]) -> str:
    mail = max(found, key=lambda one: (one.what != "was sent", one.at, one.what == "clicked in"))
    return f"the customer {mail.what} a mail of campaign “{mail.campaign}” on {_day(mail.at)}"


def _joined(numbers: Sequence[Number]) -> str:
    if len(numbers) > 1:
        named = [_name(one) for one in numbers if not one.numbering.startswith(parties.GUESTS)]
        guests = len(numbers) - len(named)
        named += [f"{guests} guest order{'s' if guests > 1 else ''}"] if guests else []
        return f"{' and '.join(named)} are kept as one person now"
    (own,) = numbers
    if own.person != own.party_id:
        return "this number belongs to a person with another customer number now"
    return "this number is kept apart now from another one with the same mailbox"


def _name(one: Number) -> str:
    return f"{one.numbering}/{one.number}" if one.numbering else one.number


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def flip(chosen: Selection, then: PastCustomers, later: PastCustomers, person: int) -> str:
    """The first condition that turned, with the values of both instants: “days since …: 89 → 91, must be …”."""
    try:
        earlier = dict(_told(chosen, then, person))
    except NotACustomer:
        return "there was no counted order before"
    try:
        now = dict(_told(chosen, later, person))
    except NotACustomer:
        return "there is no counted order any more"
    turned = [key for key in earlier if key in now and earlier[key][1] != now[key][1]]
    return _both(earlier[turned[0]][0], now[turned[0]][0]) if turned else ""


def _told(chosen: Selection, population: PastCustomers, person: int) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Each condition without parts, by its place: its text with the value, and whether it holds."""
    found = explain.conditions(chosen.segment, population, chosen.arguments, person)
    yield from _leaves(found, "")
    for number, (text, value, holds) in enumerate(chosen.explain_rules(population, person)):
        yield f"rule {number}", (f"{text}: {value}", holds)


def _leaves(conditions: Iterable[Condition], path: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    for number, one in enumerate(conditions):
        place = f"{path}.{number}{one.joined or ''}"
        if one.parts:
            yield from _leaves(one.parts, place)
        else:
            yield place, (one.text, one.holds)


def _both(earlier: str, now: str) -> str:
    """One text of two that differ in a value: `was → is`."""
    old, new = earlier.split(" "), now.split(" ")
    start = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))
    shorter = min(len(old), len(new)) - start
    same = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(old), reversed(new), strict=False))
    end = min(len(list(same)), shorter)
    middles = [" ".join(words[start : len(words) - end]).rstrip(",") for words in (old, new)]
    if middles[0] == middles[1] or not all(middles):
        return now
    comma = "," if end and old[len(old) - end - 1].endswith(",") else ""
    return " ".join([*old[:start], f"{middles[0]} → {middles[1]}{comma}", *old[len(old) - end :]])
