from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ledger
from domain.campaigns import NEXT as NEXT_RUN
from domain.campaigns import IllegalTransition, RunStatus, check_transition, message_id, parse_message_id
from domain.ledger import BatchState, OutcomeKind

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "size", "state"),
    [
        (OutcomeKind.ACCEPTED, 1000, BatchState.ACCEPTED),
        (OutcomeKind.REJECTED, 1000, BatchState.SPLIT),
        (OutcomeKind.REJECTED, 2, BatchState.SPLIT),
        (OutcomeKind.REJECTED, 1, BatchState.REJECTED),
        (OutcomeKind.NOT_SENT, 1000, BatchState.PLANNED),
        (OutcomeKind.UNKNOWN, 1000, BatchState.UNKNOWN),
    ],
)
def test_what_becomes_of_a_batch(outcome: OutcomeKind, size: int, state: BatchState) -> None:
    assert ledger.state_after(outcome, size) is state
    assert state in ledger.NEXT[BatchState.INFLIGHT]


def test_unknown_leads_nowhere_without_proof_and_terminal_states_lead_nowhere() -> None:
    assert BatchState.INFLIGHT not in ledger.NEXT[BatchState.UNKNOWN]
    for state in BatchState:
        assert (state in ledger.OPEN) == bool(ledger.NEXT[state])


@given(planned=st.integers(0, 5000), batch_size=st.integers(1, 1000))
def test_ranges_cover_every_ordinal_once(planned: int, batch_size: int) -> None:
    ordinals = [n for first, last in ledger.ranges(planned, batch_size) for n in range(first, last + 1)]
    assert ordinals == list(range(planned))


@given(first=st.integers(0, 10**6), size=st.integers(2, 1000))
def test_halves_cover_the_range(first: int, size: int) -> None:
    (a, b), (c, d) = ledger.halves(first, first + size - 1)
    assert (a, b + 1, d) == (first, c, first + size - 1)
    assert abs((b - a) - (d - c)) <= 1


def test_pauses_grow_to_a_minute_and_the_esps_word_goes_first() -> None:
    pauses = [(ledger.retry_at(NOW, attempts, None) - NOW).total_seconds() for attempts in range(1, 9)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert ledger.retry_at(NOW, 1, timedelta(seconds=7)) == NOW + timedelta(seconds=7)


@pytest.mark.parametrize("before", RunStatus)
@pytest.mark.parametrize("after", RunStatus)
def test_runs_move_only_along_the_table(before: RunStatus, after: RunStatus) -> None:
    if after in NEXT_RUN[before]:
        check_transition(before, after)
    else:
        with pytest.raises(IllegalTransition):
            check_transition(before, after)


@given(run=st.from_regex(r"r[a-z0-9]{12}", fullmatch=True), ordinal=st.integers(0, 999_999_999))
def test_message_ids_come_back(run: str, ordinal: int) -> None:
    assert parse_message_id(message_id(run, ordinal)) == (run, ordinal)


@given(st.text(max_size=30))
def test_foreign_message_ids_are_nobodys(text: str) -> None:
    found = parse_message_id(text)
    assert found is None or message_id(*found).split(".")[0] == text.split(".", maxsplit=1)[0]


@pytest.mark.parametrize("text", ["", "r", "r.", ".1", "r.x", "r.-1", "r.²", "r.1234567890", "r.1.2"])
def test_these_are_none_of_ours(text: str) -> None:
    assert parse_message_id(text) is None
