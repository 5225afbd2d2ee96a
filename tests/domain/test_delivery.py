from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import (
    BounceClass,
    DeliveryEvent,
    DeliveryState,
    EventKind,
    Fault,
    Seen,
    Severity,
    join,
    standing_refusal,
    state_of,
)
from domain.suppression import Reason

PEPPER = "pepper"
AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
EVENT = DeliveryEvent(provider="sendgrid", kind=EventKind.DELIVERED, occurred_at=AT, message_id="run1.0")

instants = st.integers(0, 5).map(lambda second: AT + timedelta(seconds=second))
events = st.builds(
    DeliveryEvent,
    provider=st.just("sendgrid"),
    kind=st.sampled_from(EventKind),
    occurred_at=instants,
    message_id=st.just("run1.0"),
    bounce_class=st.none() | st.sampled_from(BounceClass),
    fault=st.none() | st.sampled_from(Fault),
    machine=st.booleans(),
)
states = st.lists(events, max_size=4).map(lambda some: reduce(join, map(state_of, some), DeliveryState()))


def folded(some: list[DeliveryEvent]) -> DeliveryState:
    return reduce(join, map(state_of, some), DeliveryState())


@given(states, states, states)
def test_join_is_a_least_upper_bound(a: DeliveryState, b: DeliveryState, c: DeliveryState) -> None:
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c)
    assert join(a, a) == a
    assert join(a, DeliveryState()) == a


@given(st.lists(events, max_size=6), st.data())
def test_any_order_and_any_repetition_give_one_state(some: list[DeliveryEvent], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(some), max_size=6)) if some else []
    shuffled = data.draw(st.permutations(some + again))
    assert folded(shuffled) == folded(some)


def test_every_order_of_a_full_life_gives_one_state() -> None:
    kinds = (
        EventKind.PROCESSED,
        EventKind.DEFERRED,
        EventKind.DELIVERED,
        EventKind.OPENED,
        EventKind.CLICKED,
        EventKind.COMPLAINED,
    )
    life = [replace(EVENT, kind=kind, occurred_at=AT + timedelta(seconds=place)) for place, kind in enumerate(kinds)]
    assert len({folded(list(order)) for order in permutations(life)}) == 1


def test_of_two_classes_the_worse_is_kept_with_its_fault() -> None:
    soft = replace(EVENT, kind=EventKind.BOUNCED, bounce_class=BounceClass.SOFT, fault=Fault.UNKNOWN)
    hard = replace(EVENT, kind=EventKind.BOUNCED, bounce_class=BounceClass.HARD, fault=Fault.RECIPIENT)
    state = folded([hard, soft])
    assert (state.severity, state.fault) == (Severity.HARD, Fault.RECIPIENT)


def test_a_late_bounce_keeps_the_delivery_and_both_times() -> None:
    late = AT + timedelta(hours=5)
    state = folded([replace(EVENT, kind=EventKind.BOUNCED, occurred_at=late), EVENT])
    assert state.seen == Seen.DELIVERED | Seen.BOUNCED
    assert (state.delivered_at, state.bounced_at) == (AT, late)


def test_a_machine_open_is_an_open_and_no_humans() -> None:
    machine = replace(EVENT, kind=EventKind.OPENED, machine=True)
    human = replace(EVENT, kind=EventKind.OPENED, occurred_at=AT + timedelta(seconds=9))
    assert state_of(machine).seen == Seen.OPENED
    state = folded([machine, human])
    assert state.seen == Seen.OPENED | Seen.OPENED_HUMAN
    assert (state.opened_at, state.human_opened_at) == (AT, AT + timedelta(seconds=9))


def test_an_unknown_kind_proves_nothing() -> None:
    assert state_of(replace(EVENT, kind=EventKind.UNKNOWN)) == DeliveryState()


def test_a_redelivery_with_another_event_id_is_the_same_event() -> None:
    first = replace(EVENT, provider_event_id="a")
    assert first.dedupe_key(PEPPER) == replace(first, provider_event_id="b").dedupe_key(PEPPER)


def test_without_the_pepper_nobody_finds_the_address_of_a_stray_event() -> None:
    stray = replace(EVENT, message_id=None, address="ann@example.com")
    assert stray.dedupe_key(PEPPER) != stray.dedupe_key("another pepper")


@pytest.mark.parametrize(
    "other",
    [
        replace(EVENT, kind=EventKind.PROCESSED),
        replace(EVENT, occurred_at=AT + timedelta(seconds=1)),
        replace(EVENT, message_id="run1.1"),
        replace(EVENT, provider="mailchimp"),
        replace(EVENT, url="https://shop.example.com/a"),
        replace(EVENT, client="another browser"),
    ],
)
def test_what_tells_two_events_apart(other: DeliveryEvent) -> None:
    assert other.dedupe_key(PEPPER) != EVENT.dedupe_key(PEPPER)


@pytest.mark.parametrize(
    ("kind", "bounce_class", "suppresses", "reason"),
    [
        (EventKind.BOUNCED, BounceClass.HARD, "hard_bounce", Reason.HARD_BOUNCE),
        (EventKind.BOUNCED, BounceClass.HARD, "invalid", Reason.INVALID),
        (EventKind.BOUNCED, BounceClass.SOFT, "hard_bounce", None),
        (EventKind.BOUNCED, BounceClass.BLOCK, "hard_bounce", None),
        (EventKind.BOUNCED, BounceClass.UNDETERMINED, "hard_bounce", None),
        (EventKind.BOUNCED, None, "hard_bounce", None),
        (EventKind.BOUNCED, BounceClass.HARD, None, None),
        (EventKind.DROPPED, None, "complaint", Reason.COMPLAINT),
        (EventKind.COMPLAINED, None, "complaint", Reason.COMPLAINT),
        (EventKind.UNSUBSCRIBED, None, "unsubscribe", Reason.UNSUBSCRIBE),
        (EventKind.DEFERRED, None, None, None),
    ],
)
def test_what_suppresses(
    kind: EventKind, bounce_class: BounceClass | None, suppresses: str | None, reason: Reason | None
) -> None:
    event = replace(EVENT, kind=kind, bounce_class=bounce_class, suppresses=suppresses)
    assert standing_refusal(event) is reason
