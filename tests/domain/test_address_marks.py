"""Only the recipient's own faults count, one a run, in a row; and what comes of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import address_marks
from domain.address_marks import MarkKind, Pause
from domain.bounces import judge
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.policy import SendingPolicy

T = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def days(*numbers: float) -> list[datetime]:
    return [T + number * DAY for number in numbers]


def bounce(text: str, kind: EventKind = EventKind.BOUNCED) -> DeliveryEvent:
    verdict = judge(status="", text=text)
    return DeliveryEvent("esp", kind, T, bounce_class=verdict.bounce_class, fault=verdict.fault, detail=text)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("550 5.1.1 user unknown", MarkKind.GONE),
        ("552 5.2.2 mailbox full", MarkKind.AWAY),
        ("452 4.2.2 over quota", MarkKind.AWAY),
        ("550 5.2.1 The email account that you tried to reach is disabled", MarkKind.DISABLED),
        ("550 5.1.2 host unknown", MarkKind.NO_HOST),
        ("421 4.3.0 try again later", None),
        ("550 5.7.26 unauthenticated mail is prohibited", None),
        ("421 4.7.28 unusual rate of mail", None),
        ("421 4.7.0 [TSS04] Messages temporarily deferred", None),
        ("552 5.3.4 message too large", None),
        ("550 5.7.1 listed by spamhaus", None),
        ("something that nobody knows", None),
    ],
)
def test_only_the_recipients_own_faults_are_marks(text: str, mark: MarkKind | None) -> None:
    assert address_marks.mark_of(bounce(text)) == mark


def test_what_is_put_off_or_dropped_is_no_mark() -> None:
    for kind in (EventKind.DEFERRED, EventKind.DROPPED):
        assert address_marks.mark_of(bounce("552 5.2.2 mailbox full", kind)) is None


@pytest.mark.parametrize("fault", [Fault.SENDER, Fault.CONTENT, Fault.PROVIDER, Fault.UNKNOWN])
@pytest.mark.parametrize("bounce_class", list(BounceClass))
def test_no_other_fault_is_ever_a_mark(fault: Fault, bounce_class: BounceClass) -> None:
    event = DeliveryEvent("esp", EventKind.BOUNCED, T, bounce_class=bounce_class, fault=fault, detail="5.2.1 5.1.2")
    assert address_marks.mark_of(event) is None


def test_seven_in_a_row_over_thirty_campaigns() -> None:
    assert address_marks.soft_pause(days(*range(6)), [], 7) is None
    pause = address_marks.soft_pause(days(*range(30)), [], 7)
    assert pause == Pause(T + 6 * DAY, T + 96 * DAY)


def test_a_success_between_begins_anew_and_one_after_ends_the_pause() -> None:
    assert address_marks.soft_pause(days(*range(10)), days(5.5), 7) is None
    assert address_marks.soft_pause(days(*range(13)), days(5.5), 7) == Pause(T + 12 * DAY, T + 102 * DAY)
    assert address_marks.soft_pause(days(*range(7)), days(8, 20), 7) == Pause(T + 6 * DAY, T + 96 * DAY, T + 8 * DAY)


def test_after_its_end_a_pause_needs_as_many_again() -> None:
    later = [*range(7), *range(100, 106)]
    assert address_marks.soft_pause(days(*later), [], 7) == Pause(T + 6 * DAY, T + 96 * DAY)
    assert address_marks.soft_pause(days(*later, 106), [], 7) == Pause(T + 106 * DAY, T + 196 * DAY)


@given(st.lists(st.integers(0, 400)), st.lists(st.integers(0, 400)), st.randoms(), st.integers(1, 15))
def test_the_order_does_not_matter(bounces: list[int], successes: list[int], random, limit: int) -> None:
    told = address_marks.soft_pause(days(*bounces), days(*successes), limit)
    random.shuffle(bounces)
    random.shuffle(successes)
    assert address_marks.soft_pause(days(*bounces), days(*successes), limit) == told
    if told is not None and told.ended is None:
        assert not any(at > told.since for at in days(*successes))


def test_a_mailbox_that_is_disabled_twice_within_a_week_is_gone() -> None:
    assert address_marks.disabled_for_good(days(0), []) is None
    assert address_marks.disabled_for_good(days(8, 0), []) is None
    assert address_marks.disabled_for_good(days(0, 6), days(3)) is None
    assert address_marks.disabled_for_good(days(6, 0), days(-1, 7)) == T + 6 * DAY
    assert address_marks.disabled_for_good(days(0, 10, 15), []) == T + 15 * DAY


def test_who_was_there_lately_is_asked_once_more() -> None:
    once = address_marks.asked_once_more
    assert once(days(0), [], days(-29)) == Pause(T, T + 7 * DAY)
    assert once(days(0), [], days(-31)) is None
    assert once(days(0), [], days(1)) is None  # only what was before
    assert once(days(0, 0.5), [], days(-1)) == Pause(T, T + 7 * DAY)  # two campaigns of one bad day
    assert once(days(0, 8), [], days(-1)) is None
    assert once(days(0, 8), days(7.9), days(-1)) == Pause(T + 8 * DAY, T + 15 * DAY)


def test_who_opens_mail_is_given_up_later() -> None:
    policy = SendingPolicy()
    assert (address_marks.limit_of(policy, active=False), address_marks.limit_of(policy, active=True)) == (7, 15)
    for wrong in ({"soft_bounces": 0}, {"soft_bounces": 9, "soft_bounces_active": 8}):
        with pytest.raises(ValueError, match="soft_bounces"):
            SendingPolicy(**wrong)
