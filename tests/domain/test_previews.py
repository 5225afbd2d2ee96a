"""What a preview reckons of its own figures."""

from decimal import Decimal

import pytest

from domain import previews
from domain.audience import SENTENCE, SkipReason
from domain.previews import Money, Part
from tests.previews import a_preview


def test_the_steps_are_the_members_each_loss_and_who_is_left() -> None:
    found = a_preview()
    first, *losses, last = found.steps
    assert (first.count, last.count) == (found.members, found.verdict.planned)
    assert first.count - sum(one.count for one in losses) == last.count
    assert {one.label for one in losses} <= {SENTENCE[reason] for reason in SkipReason}


def test_change_is_against_the_time_before() -> None:
    found = a_preview()
    assert found.change == found.trend[-1].members - found.trend[-2].members
    assert a_preview(trend=found.trend[-1:]).change is None


def test_shares_of_nothing_are_not_known() -> None:
    assert Money(Decimal(0), Decimal(0)).share is None
    assert Money(Decimal(5), Decimal(20)).share == pytest.approx(0.25)
    assert Money(Decimal(5), Decimal(20)).average(0) is None
    assert Money(Decimal(5), Decimal(20)).average(2) == Decimal("2.5")
    assert a_preview(members=0, customers=0).share is None


def test_the_ten_largest_are_named_and_nobody_is_lost() -> None:
    counts: dict[str | None, tuple[int, int]] = {f"c{n:02}": (n, 2 * n) for n in range(1, 14)}
    counts[None] = (7, 8)
    parts = previews.largest(counts)
    assert [one.label for one in parts[:2]] == ["c13", "c12"]
    assert parts[10:] == (Part("all others", 6, 12), Part("not known", 7, 8))
    assert sum(one.members for one in parts) == sum(one for one, _ in counts.values())
    assert sum(one.customers for one in parts) == sum(one for _, one in counts.values())


def test_what_nobody_has_is_no_part() -> None:
    assert previews.largest({"DE": (0, 0), None: (0, 0), "FR": (0, 3)}) == (Part("FR", 0, 3),)
