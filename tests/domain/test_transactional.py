"""A transactional message's states, its ids, and when it goes again: what domain/transactional.py says, row by row."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import campaigns, ledger, transactional
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.transactional import NEXT, OPEN, ORDINAL, OVER, Urgency

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (OutcomeKind.ACCEPTED, BatchState.ACCEPTED),
        (OutcomeKind.REJECTED, BatchState.REJECTED),
        (OutcomeKind.NOT_SENT, BatchState.PLANNED),
        (OutcomeKind.UNKNOWN, BatchState.UNKNOWN),
    ],
)
def test_what_becomes_of_a_message_that_was_handed_over(kind: OutcomeKind, state: BatchState) -> None:
    assert transactional.state_after(Outcome(kind)) is state
    assert state in NEXT[BatchState.INFLIGHT]


def test_only_what_is_open_moves() -> None:
    assert {state for state, following in NEXT.items() if following} == OPEN
    assert all(not NEXT[state] for state in OVER)
    assert BatchState.SPLIT not in NEXT


def test_nothing_is_sent_but_what_is_planned_and_nothing_unknown_is_claimed() -> None:
    assert {state for state, following in NEXT.items() if BatchState.INFLIGHT in following} == {BatchState.PLANNED}


def test_no_message_that_is_under_way_expires_or_is_suppressed() -> None:
    gone_without = {BatchState.EXPIRED, BatchState.SUPPRESSED, BatchState.CANCELLED}
    assert not gone_without & (NEXT[BatchState.INFLIGHT] | NEXT[BatchState.UNKNOWN])


def test_the_same_parts_are_the_same_message_and_no_others() -> None:
    ids = {
        transactional.id_of("shop", "7", "placed"),
        transactional.id_of("shop", "7", "shipped"),
        transactional.id_of("shop", "7p", "laced"),  # no two parts run into each other
        transactional.id_of("shop7", "placed"),
    }
    assert len(ids) == 4
    assert transactional.id_of("shop", "7", "placed") in ids


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_an_id_goes_through_mail_headers_and_back(parts: list[str]) -> None:
    for message in (transactional.id_of(*parts), transactional.new_id()):
        assert transactional.is_id(message)
        assert len(message) == 21
        assert set(message) <= set(string.ascii_lowercase + string.digits)
        assert campaigns.parse_message_id(campaigns.message_id(message, ORDINAL)) == (message, ORDINAL)


@pytest.mark.parametrize(
    ("resent", "left", "state"),
    [
        (False, timedelta(seconds=1), BatchState.PLANNED),
        (False, timedelta(0), BatchState.HELD),
        (True, timedelta(days=1), BatchState.HELD),
    ],
)
def test_what_nobody_knows_the_end_of_goes_once_more_and_never_a_third_time(
    resent: bool, left: timedelta, state: BatchState
) -> None:
    assert transactional.after_silence(resent=resent, expires_at=NOW + left, now=NOW) is state
    assert state in NEXT[BatchState.UNKNOWN]


def test_she_waits_seconds_not_minutes() -> None:
    waits = [transactional.retry_at(NOW, attempts) - NOW for attempts in range(1, 10)]
    assert waits[0] == timedelta(0)  # at once, perhaps by another way
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] == timedelta(seconds=20)


def test_who_sits_before_a_form_goes_first() -> None:
    assert min(Urgency) is Urgency.SECURITY
    assert list(Urgency) == sorted(Urgency)


def test_its_states_are_the_ledgers() -> None:
    assert ledger.OPEN == OPEN


def test_the_esp_is_asked_more_than_once_before_a_second_mail_goes() -> None:
    """watch-lane asks each minute."""
    assert transactional.LOOK_UP_AFTER + timedelta(minutes=2) <= transactional.RESEND_AFTER


@pytest.mark.parametrize(
    "state", [BatchState.SUPPRESSED, BatchState.REJECTED, BatchState.CANCELLED, BatchState.EXPIRED]
)
def test_of_what_may_have_gone_nobody_says_that_it_did_not(state: BatchState) -> None:
    assert transactional.ended(state, resent=False) is state
    assert transactional.ended(state, resent=True) is BatchState.HELD
    assert transactional.ended(BatchState.ACCEPTED, resent=True) is BatchState.ACCEPTED
