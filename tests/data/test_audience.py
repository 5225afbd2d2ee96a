from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import audience, database, tables
from domain.audience import SkipReason
from domain.campaigns import RunStatus
from domain.ledger import BatchState
from tests.data import frozen, ledger_rows

NOW = ledger_rows.NOW


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return frozen.consenting_parties(connection, 30)


def _suppress(connection: sa.Connection, number: int, reason: str, scope: str, **facts: object) -> None:
    row = {
        "account_id": "shop",
        "address_hash": ledger_rows.hash_of(number),
        "reason": reason,
        "scope": scope,
        "source": "test",
        "evidence": "",
        "created_at": NOW,
    }
    connection.execute(tables.suppressions.insert().values(**row, **facts))


def _reasons(connection: sa.Connection, run_id: str) -> dict[int, str | None]:
    table = tables.audience
    return dict(
        connection.execute(sa.select(table.c.party_id, table.c.skip_reason).where(table.c.run_id == run_id)).all()
    )


def _update_party(connection: sa.Connection, party_id: int, **facts: object) -> None:
    connection.execute(tables.parties.update().where(tables.parties.c.id == party_id).values(**facts))


def test_every_member_is_planned_or_skipped_with_exactly_one_reason(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        _update_party(connection, parties[0], erased_at=NOW, email=None, address_hash=None)
        _update_party(connection, parties[1], email=None, address_hash=None)
        _update_party(connection, parties[2], email="not an address", address_hash=None)
        _suppress(connection, 3, "hard_bounce", "all")
        _suppress(connection, 4, "unsubscribe", "marketing")
        connection.execute(tables.consents.delete().where(tables.consents.c.party_id == parties[5]))
        connection.execute(
            tables.consents.insert().values(
                account_id="shop",
                party_id=parties[6],
                status="withdrawn",
                basis="",
                source="page",
                wording="v1",
                occurred_at=NOW,
                recorded_at=NOW,
            )
        )
        _update_party(connection, parties[8], address_hash=ledger_rows.hash_of(7))
        run = frozen.freeze(connection, parties)
        reasons = _reasons(connection, run.id)
    assert reasons[parties[0]] == SkipReason.SUPPRESSED_ERASED
    assert reasons[parties[1]] == SkipReason.NO_ADDRESS
    assert reasons[parties[2]] == SkipReason.INVALID_ADDRESS
    assert reasons[parties[3]] == SkipReason.SUPPRESSED_HARD_BOUNCE
    assert reasons[parties[4]] == SkipReason.SUPPRESSED_UNSUBSCRIBE
    assert reasons[parties[5]] == SkipReason.NO_CONSENT
    assert reasons[parties[6]] == SkipReason.CONSENT_WITHDRAWN
    assert {reasons[parties[7]], reasons[parties[8]]} == {None, SkipReason.DUPLICATE_ADDRESS}
    assert run.members == 30
    assert run.planned == 22
    assert run.planned + sum((run.skipped or {}).values()) == run.members
    assert run.status is RunStatus.FROZEN


def test_lifted_and_expired_suppressions_do_not_count_and_the_strongest_reason_is_named(
    engine: sa.Engine, parties: list[int]
) -> None:
    with database.write(engine) as connection:
        _suppress(connection, 0, "complaint", "all", lifted_at=NOW)
        _suppress(connection, 1, "soft_limit", "marketing", expires_at=NOW - timedelta(seconds=1))
        _suppress(connection, 2, "unsubscribe", "marketing")
        _suppress(connection, 2, "complaint", "all")
        run = frozen.freeze(connection, parties)
        reasons = _reasons(connection, run.id)
    assert reasons[parties[0]] is None
    assert reasons[parties[1]] is None
    assert reasons[parties[2]] == SkipReason.SUPPRESSED_COMPLAINT


def test_another_accounts_suppression_is_not_ours(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        _suppress(connection, 0, "complaint", "all")
        connection.execute(tables.suppressions.update().values(account_id="other"))
        run = frozen.freeze(connection, parties)
        assert run.planned == 30


def test_ordinals_are_contiguous_and_batches_cover_them(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        _suppress(connection, 9, "complaint", "all")
        run = frozen.freeze(connection, parties, batch_size=7)
        ordinals = connection.scalars(
            sa.select(tables.audience.c.ordinal)
            .where(tables.audience.c.ordinal.is_not(None))
            .order_by(tables.audience.c.ordinal)
        ).all()
        table = tables.batches
        ranges = connection.execute(
            sa.select(table.c.first_ordinal, table.c.last_ordinal).order_by(table.c.first_ordinal)
        ).all()
    assert ordinals == list(range(29))
    assert [tuple(one) for one in ranges] == [(0, 6), (7, 13), (14, 20), (21, 27), (28, 28)]
    assert run.planned == 29


def test_seed_draws_the_same_people_whatever_the_order_of_members(engine: sa.Engine, parties: list[int]) -> None:
    def drawn(members: list[int], seed: int) -> set[int]:
        with engine.connect() as connection, connection.begin() as transaction:
            run = frozen.freeze(connection, members, limit=10, holdout_percent=30, seed=seed)
            reasons = _reasons(connection, run.id)
            transaction.rollback()
        assert sum(reason is None for reason in reasons.values()) == 10
        assert SkipReason.HOLDOUT in reasons.values()
        assert SkipReason.OVER_LIMIT in reasons.values()
        return {party for party, reason in reasons.items() if reason is None}

    first = drawn(parties, 1)
    assert drawn(list(reversed(parties)), 1) == first
    assert drawn(parties, 2) != first


def test_frequency_cap_counts_what_other_runs_sent_lately(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        for number, start in enumerate((NOW - timedelta(days=1), NOW - timedelta(days=2), NOW - timedelta(days=9))):
            ledger_rows.add_run(
                connection,
                "shop",
                parties[:10],
                [ledger_rows.BatchRow(0, 9, attempt=f"a{number}")],
                run_id=f"old{number}",
                dispatch_started_at=start,
            )
        ledger_rows.add_run(
            connection,
            "shop",
            parties[10:20],
            [ledger_rows.BatchRow(0, 9, state=BatchState.PLANNED)],
            run_id="planned-only",
        )
        run = frozen.freeze(connection, parties)
        reasons = _reasons(connection, run.id)
    assert all(reasons[party] == SkipReason.FREQUENCY_CAP for party in parties[:10])  # two within seven days
    assert all(reasons[party] is None for party in parties[10:])


def test_dry_run_plans_no_batches(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        run = frozen.freeze(connection, parties, live=False)
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.batches)) == 0
    assert run.planned == 30


def test_an_empty_segment_freezes_to_nobody(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        run = frozen.freeze(connection, [])
    assert (run.members, run.planned, run.skipped) == (0, 0, {})


def test_explain_says_why_somebody_was_left_out(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        _suppress(connection, 0, "complaint", "all")
        run = frozen.freeze(connection, parties[:5])
        assert audience.explain(connection, run.id, parties[0]) == SkipReason.SUPPRESSED_COMPLAINT
        assert audience.explain(connection, run.id, parties[1]) is None
        with pytest.raises(LookupError, match="was not in the segment"):
            audience.explain(connection, run.id, parties[9])
