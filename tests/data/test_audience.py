import hashlib
import struct
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import audience, database, frequencies, tables, topics
from domain.audience import SkipReason
from domain.campaigns import RunStatus
from domain.ledger import BatchState
from domain.preferences import Frequency
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


def test_members_of_excluded_segments_are_left_out(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        _suppress(connection, 0, "complaint", "all")
        run = frozen.freeze(connection, parties[:10], excluded={parties[0], parties[1], parties[20]})
        reasons = _reasons(connection, run.id)
    assert reasons[parties[0]] == SkipReason.SUPPRESSED_COMPLAINT  # it comes first
    assert [one for one in parties[1:10] if reasons[one] is not None] == [parties[1]]
    assert reasons[parties[1]] == SkipReason.EXCLUDED_SEGMENT
    assert parties[20] not in reasons


def test_the_same_members_have_the_same_hash(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        _suppress(connection, 3, "complaint", "all")
        first = frozen.freeze(connection, parties)
        again = frozen.freeze(connection, list(reversed(parties)), seed=2, limit=3, excluded=parties[:5])
        fewer = frozen.freeze(connection, parties[1:])
    packed = struct.pack(f"<{len(parties)}q", *sorted(parties))
    assert first.members_hash == again.members_hash == hashlib.sha256(packed).hexdigest()
    assert fewer.members_hash != first.members_hash
    assert first.code_version == "test"


# What may be true of somebody, in the order in which it is told.
_TRUE = {
    "erased": SkipReason.SUPPRESSED_ERASED,
    "no address": SkipReason.NO_ADDRESS,
    "invalid": SkipReason.INVALID_ADDRESS,
    "role": SkipReason.ROLE_ADDRESS,
    "silent": SkipReason.NO_CONSENT,
    "withdrawn": SkipReason.CONSENT_WITHDRAWN,
    "complained": SkipReason.SUPPRESSED_COMPLAINT,
    "bounced": SkipReason.SUPPRESSED_HARD_BOUNCE,
    "refused": SkipReason.TOPIC_REFUSED,
    "excluded": SkipReason.EXCLUDED_SEGMENT,
    "chose less": SkipReason.FREQUENCY_CAP,
    "capped": SkipReason.FREQUENCY_CAP,
    "waits": SkipReason.HIGHER_PRIORITY,
}
_PEOPLE = 8


def _make_true(connection: sa.Connection, parties: list[int], truths: list[set[str]]) -> None:
    for number, true in enumerate(truths):
        one, mailbox = parties[number], f"mailbox {number}"
        address = f"INFO+{number}@example.com" if "role" in true else f"c{number}@example.com"
        facts = {
            "email": None if "no address" in true else address,
            "address_hash": None if {"no address", "invalid"} & true else mailbox,
            "erased_at": NOW if "erased" in true else None,
        }
        _update_party(connection, one, **facts)
        consent = tables.consents
        if "withdrawn" in true:
            connection.execute(consent.update().where(consent.c.party_id == one).values(status="withdrawn"))
        if "silent" in true:
            connection.execute(consent.delete().where(consent.c.party_id == one))
        for name, reason in (("complained", "complaint"), ("bounced", "hard_bounce")):
            if name in true:
                _suppress(connection, number, reason, "all")
                connection.execute(
                    tables.suppressions.update()
                    .where(tables.suppressions.c.address_hash == ledger_rows.hash_of(number))
                    .values(address_hash=mailbox)
                )
        if "refused" in true:
            topics.refuse(connection, "shop", mailbox, ["offers"], source="t", evidence="e", now=NOW)
        if "chose less" in true:  # and got as much, in the run "monthly"
            frequencies.choose(connection, "shop", mailbox, Frequency.MONTHLY, source="t", evidence="e", now=NOW)
    less = [one for one, true in zip(parties, truths, strict=True) if "chose less" in true]
    at = NOW - timedelta(days=20)
    rows = [ledger_rows.BatchRow(0, len(less) - 1, finished_at=at)] if less else []
    ledger_rows.add_run(connection, "shop", less, rows, run_id="monthly", dispatch_started_at=at)
    capped = [one for one, true in zip(parties, truths, strict=True) if "capped" in true]
    for number in range(frozen.POLICY.cap_mails):
        rows = [ledger_rows.BatchRow(0, len(capped) - 1)] if capped else []
        ledger_rows.add_run(connection, "shop", capped, rows, run_id=f"old{number}")
    waits = [one for one, true in zip(parties, truths, strict=True) if "waits" in true]
    rows = [ledger_rows.BatchRow(0, len(waits) - 1, state=BatchState.PLANNED)] if waits else []
    ledger_rows.add_run(
        connection, "shop", waits, rows, run_id="first", status=RunStatus.PAUSED, priority=1, dispatched_at=None
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    truths=st.lists(st.sets(st.sampled_from(sorted(_TRUE)), max_size=3), min_size=_PEOPLE, max_size=_PEOPLE),
    limit=st.none() | st.integers(1, _PEOPLE),
    holdout=st.sampled_from([0, 50, 100]),
)
def test_of_several_reasons_the_first_is_told_and_all_add_up(
    engine: sa.Engine, parties: list[int], truths: list[set[str]], limit: int | None, holdout: int
) -> None:
    people = parties[:_PEOPLE]
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        _make_true(connection, people, truths)
        excluded = {one for one, true in zip(people, truths, strict=True) if "excluded" in true}
        facts = {"limit": limit, "holdout_percent": holdout, "topic": "offers"}
        run = frozen.freeze(connection, people, excluded=excluded, **facts)
        reasons = _reasons(connection, run.id)
        transaction.rollback()
    expected = [next((reason for name, reason in _TRUE.items() if name in true), None) for true in truths]
    drawn = {None, SkipReason.HOLDOUT, SkipReason.OVER_LIMIT}
    for one, reason in zip(people, expected, strict=True):
        assert reasons[one] == reason if reason is not None else reasons[one] in drawn
    assert run.members == _PEOPLE == (run.planned or 0) + sum((run.skipped or {}).values())
    assert run.skipped == {str(one): count for one, count in Counter(reasons.values()).items() if one is not None}


def test_explain_says_why_somebody_was_left_out(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        _suppress(connection, 0, "complaint", "all")
        run = frozen.freeze(connection, parties[:5])
        assert audience.explain(connection, run.id, parties[0]) == SkipReason.SUPPRESSED_COMPLAINT
        assert audience.explain(connection, run.id, parties[1]) is None
        with pytest.raises(LookupError, match="was not in the segment"):
            audience.explain(connection, run.id, parties[9])
