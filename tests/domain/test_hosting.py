"""The table of what is done by what the host and the ledger say, row by row; and the host's count."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import hosting
from domain.campaign_host import HostStatus
from domain.hosting import Action, Count, Hand

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
WAIT = Action.WAIT


@pytest.mark.parametrize("status", HostStatus)
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("ripe", [True, False])
def test_what_is_out_stays_out(status: HostStatus, wanted: bool, ripe: bool) -> None:
    assert hosting.action(Hand.OUT, status, wanted=wanted, ripe=ripe) is WAIT


@pytest.mark.parametrize("status", HostStatus)
@pytest.mark.parametrize("wanted", [True, False])
def test_nobody_acts_while_a_worker_may_be_asking(status: HostStatus, wanted: bool) -> None:
    assert hosting.action(Hand.ASKING, status, wanted=wanted, ripe=False) is WAIT


@pytest.mark.parametrize("hand", [Hand.NONE, Hand.SCHEDULED, Hand.UNKNOWN])
@pytest.mark.parametrize("status", [HostStatus.SENDING, HostStatus.SENT])
@pytest.mark.parametrize("wanted", [True, False])
def test_what_goes_out_is_believed_whatever_we_thought(hand: Hand, status: HostStatus, wanted: bool) -> None:
    assert hosting.action(hand, status, wanted=wanted, ripe=True) is Action.TAKE_AS_OUT


@pytest.mark.parametrize(
    ("hand", "wanted", "done"),
    [
        (Hand.NONE, True, Action.CALL_BACK),  # nobody of us asked for it: our last look goes first
        (Hand.NONE, False, Action.CALL_BACK),  # a request that came late, after a pause
        (Hand.SCHEDULED, True, WAIT),
        (Hand.SCHEDULED, False, Action.CALL_BACK),
        (Hand.UNKNOWN, True, WAIT),
        (Hand.UNKNOWN, False, Action.CALL_BACK),
        (Hand.OVER, False, Action.CALL_BACK),
    ],
)
def test_what_is_scheduled(hand: Hand, wanted: bool, done: Action) -> None:
    assert hosting.action(hand, HostStatus.SCHEDULED, wanted=wanted, ripe=True) is done


@pytest.mark.parametrize(
    ("hand", "ripe", "done"),
    [
        (Hand.NONE, True, WAIT),
        (Hand.SCHEDULED, True, Action.TAKE_BACK),
        (Hand.UNKNOWN, True, Action.RELEASE),
        (Hand.UNKNOWN, False, WAIT),  # the request may still come there
        (Hand.OVER, True, Action.DISCARD),
    ],
)
def test_what_is_a_draft(hand: Hand, ripe: bool, done: Action) -> None:
    assert hosting.action(hand, HostStatus.DRAFT, wanted=True, ripe=ripe) is done


@pytest.mark.parametrize("hand", Hand)
@pytest.mark.parametrize("status", [HostStatus.PAUSED, HostStatus.CANCELLED, HostStatus.GONE])
def test_what_proves_nothing_changes_nothing(hand: Hand, status: HostStatus) -> None:
    assert hosting.action(hand, status, wanted=True, ripe=True) is WAIT


@pytest.mark.parametrize(
    ("theirs", "counted", "verdict"),
    [
        (10, 0, Count.AGREES),
        (9, 0, Count.PUT_AGAIN),
        (9, 1, Count.COUNT_AGAIN),
        (11, 0, Count.COUNT_AGAIN),  # it may count behind
        (9, 4, Count.STOP),
        (11, 4, Count.STOP),
    ],
)
def test_the_hosts_count(theirs: int, counted: int, verdict: Count) -> None:
    assert hosting.judge_count(10, theirs, counted=counted) is verdict


@pytest.mark.parametrize(
    ("hours", "minutes"), [(0, 15), (23, 15), (25, 60), (71, 60), (73, 24 * 60), (29 * 24, 24 * 60), (31 * 24, None)]
)
def test_how_often_it_is_asked_what_became_of_the_mail(hours: int, minutes: int | None) -> None:
    expected = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert hosting.next_pull(NOW - timedelta(hours=hours), NOW) == expected
