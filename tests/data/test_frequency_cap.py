"""What counts towards the cap: mails that other runs sent lately or may have sent, each once."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import accounts, database, tables
from domain.audience import SkipReason
from domain.ledger import BatchState, MessageState
from tests.data import frozen, ledger_rows
from tests.data.ledger_rows import NOW, BatchRow

CAP = frozen.POLICY.cap_mails


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return frozen.consenting_parties(connection, 8)


def _capped(engine: sa.Engine, parties: list[int], batches: list[BatchRow]) -> set[int]:
    """Freeze after CAP - 1 runs that mailed everybody, and one with these batches; the ordinals that are capped."""
    with database.write(engine) as connection:
        for number in range(CAP - 1):
            ledger_rows.add_run(connection, "shop", parties, [BatchRow(0, 7)], run_id=f"all{number}")
        ledger_rows.add_run(connection, "shop", parties, batches, run_id="last")
        run = frozen.freeze(connection, parties)
        assert set(run.skipped or {}) <= {SkipReason.FREQUENCY_CAP}
        return {parties.index(one) for one in _left_out(connection, run.id)}


def _left_out(connection: sa.Connection, run_id: str) -> list[int]:
    query = "SELECT party_id FROM audience WHERE run_id = :run AND skip_reason IS NOT NULL"
    return list(connection.scalars(sa.text(query), {"run": run_id}))


@pytest.mark.parametrize("state", list(BatchState))
def test_a_mail_counts_if_it_went_out_or_may_have(engine: sa.Engine, parties: list[int], state: BatchState) -> None:
    maybe = {BatchState.INFLIGHT, BatchState.ACCEPTED, BatchState.UNKNOWN, BatchState.HELD}
    assert _capped(engine, parties, [BatchRow(0, 7, state=state)]) == (set(range(8)) if state in maybe else set())


def test_each_mail_is_judged_by_its_own_batch(engine: sa.Engine, parties: list[int]) -> None:
    batches = [BatchRow(0, 2), BatchRow(3, 3, state=BatchState.PLANNED), BatchRow(4, 7, state=BatchState.EXPIRED)]
    assert _capped(engine, parties, batches) == {0, 1, 2}


def test_of_a_split_batch_the_halves_count(engine: sa.Engine, parties: list[int]) -> None:
    halves = [BatchRow(0, 3), BatchRow(4, 5), BatchRow(6, 7, state=BatchState.REJECTED)]
    split = [BatchRow(0, 7, state=BatchState.SPLIT), BatchRow(4, 7, state=BatchState.SPLIT)]
    assert _capped(engine, parties, split + halves) == set(range(6))


def test_who_was_left_out_at_the_claim_got_no_mail(engine: sa.Engine, parties: list[int]) -> None:
    batch = BatchRow(0, 7, exceptions={1: MessageState.SUPPRESSED, 6: MessageState.REJECTED})
    assert _capped(engine, parties, [batch]) == {0, 2, 3, 4, 5, 7}


def test_runs_before_the_window_do_not_count(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        for number, days in enumerate((1, 8, 9)):
            at = NOW - timedelta(days=days)
            batch = BatchRow(0, 7, finished_at=at)
            ledger_rows.add_run(connection, "shop", parties, [batch], run_id=f"r{number}", dispatch_started_at=at)
        assert frozen.freeze(connection, parties).planned == 8


def test_a_mail_that_was_held_for_the_night_counts_from_when_it_went_out(engine: sa.Engine, parties: list[int]) -> None:
    """The runs began before the window; half of their mail went out within it."""
    began, later = NOW - timedelta(days=7, hours=1), NOW - timedelta(days=6, hours=20)
    batches = [BatchRow(0, 3, finished_at=began), BatchRow(4, 7, finished_at=later)]
    with database.write(engine) as connection:
        for number in range(CAP):
            ledger_rows.add_run(connection, "shop", parties, batches, run_id=f"r{number}", dispatch_started_at=began)
        run = frozen.freeze(connection, parties)
        assert {parties.index(one) for one in _left_out(connection, run.id)} == {4, 5, 6, 7}


def test_one_run_may_have_mailed_two_numbers_that_are_one_person_by_now(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_run(connection, "shop", parties, [BatchRow(0, 7)], run_id="r")
        party = tables.parties
        joined = party.c.id.in_(parties[1 : CAP + 1])
        connection.execute(sa.update(party).where(joined).values(person_id=parties[0]))
        run = frozen.freeze(connection, [parties[0], parties[7]])
        assert _left_out(connection, run.id) == [parties[0]]


def test_an_account_has_a_cap_and_a_period_of_its_own(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        for number, days in enumerate((1, 8, 20)):
            at = NOW - timedelta(days=days)
            batch = BatchRow(0, 7, finished_at=at)
            ledger_rows.add_run(connection, "shop", parties, [batch], run_id=f"r{number}", dispatch_started_at=at)
        shop = accounts.get(connection, "shop")
        for mails, period, planned in ((1, 2, 0), (2, 7, 8), (2, 9, 0), (3, 19, 8), (3, 21, 0), (None, None, 8)):
            accounts.change(connection, replace(shop, cap_mails=mails, cap_days=period))
            assert frozen.freeze(connection, parties).planned == planned


def test_a_mail_to_another_number_of_the_person_counts(engine: sa.Engine, parties: list[int]) -> None:
    """A guest was mailed, registers, and stands for himself under his number from then on."""
    party = tables.parties
    with database.write(engine) as connection:
        for first, other in ((1, 0), (3, 2), (3, 4)):
            connection.execute(sa.update(party).where(party.c.id == parties[other]).values(person_id=parties[first]))
        for number, to in enumerate((0, 3)[:CAP] * CAP):
            batches = [BatchRow(0, 0)]
            ledger_rows.add_run(connection, "shop", [parties[to]], batches, run_id=f"r{number}")
        run = frozen.freeze(connection, parties)
        assert {parties.index(one) for one in _left_out(connection, run.id)} == {0, 1, 2, 3, 4}
