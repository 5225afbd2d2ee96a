"""The verdict of a preview is that of the freeze, and the rest of what the store knows of some people."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from data import accounts, audience, database, kept_previews, previews, quiet_hours, runs, tables
from domain.audience import SkipReason
from domain.campaigns import Run
from tests.data import frozen, ledger_rows
from tests.previews import a_preview

NOW = ledger_rows.NOW


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    """Forty, among them some of each reason that is a person's own."""
    with database.write(engine) as connection:
        ids = frozen.consenting_parties(connection, 40)
        _update(connection, ids[0], email=None, address_hash=None)
        _update(connection, ids[1], address_hash=ledger_rows.hash_of(2))
        _update(connection, ids[3], erased_at=NOW, email=None, address_hash=None)
        for place, country in enumerate(("US", "JP", "DE")):
            for one in ids[place::3]:
                _update(connection, one, country=country)
        connection.execute(tables.consents.delete().where(tables.consents.c.party_id == ids[5]))
        connection.execute(
            tables.suppressions.insert().values(
                account_id="shop",
                address_hash=ledger_rows.hash_of(6),
                reason="hard_bounce",
                scope="all",
                source="test",
                evidence="",
                created_at=NOW,
            )
        )
    return ids


def _update(connection: sa.Connection, party_id: int, **facts: object) -> None:
    connection.execute(tables.parties.update().where(tables.parties.c.id == party_id).values(**facts))


def _freeze(connection: sa.Connection, run: Run, party_ids: list[int], excluded: list[int]) -> Run:
    return audience.freeze(
        connection,
        run,
        party_ids,
        definition_hash="d",
        template_hash="t",
        feature_watermark=NOW,
        code_version="test",
        policy=frozen.POLICY,
        batch_size=10,
        now=NOW,
        excluded=excluded,
    )


@pytest.mark.parametrize("terms", [{}, {"holdout_percent": 30}, {"limit": 12, "holdout_percent": 20, "seed": 4}])
def test_the_waterfall_is_what_the_freeze_says(engine: sa.Engine, parties: list[int], terms: dict[str, int]) -> None:
    excluded = parties[10:14]
    with database.write(engine) as connection:
        run = runs.create(connection, frozen.plan(**terms), flow_run_id=None, now=NOW)
    with database.read(engine) as connection:
        found = previews.waterfall(
            connection, run.plan, parties, excluded=excluded, policy=frozen.POLICY, now=NOW, run_id=run.id
        )
    with database.write(engine) as connection:
        run = _freeze(connection, run, parties, excluded)
    assert found.skipped == run.skipped
    assert list(found.skipped) == [reason for reason in SkipReason if reason in found.skipped]
    assert found.planned == run.planned
    assert found.planned + sum(found.skipped.values()) == len(parties)
    assert {"duplicate_address", "excluded_segment", "no_address"} <= set(found.skipped)
    assert bool(terms.get("limit")) == ("over_limit" in found.skipped)


def test_who_waits_for_quiet_hours_is_what_the_freeze_says(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        account = accounts.get(connection, "shop")
        accounts.change(connection, replace(account, quiet_from="17:00", quiet_until="11:30"))
        run = runs.create(connection, frozen.plan(limit=20), flow_run_id=None, now=NOW)
    with database.read(engine) as connection:
        found = previews.waterfall(connection, run.plan, parties, excluded=(), policy=frozen.POLICY, now=NOW)
    with database.write(engine) as connection:
        run = _freeze(connection, run, parties, [])
        held = quiet_hours.held(connection, run, frozen.POLICY, NOW)
    assert [(one.zone, one.people, one.until) for one in found.held] == [tuple(one) for one in held]
    assert len({one.zone for one in found.held}) > 1


def test_judging_leaves_nothing_behind_and_can_be_repeated(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        first, second = (
            previews.waterfall(connection, frozen.plan(), parties, excluded=(), policy=frozen.POLICY, now=NOW)
            for _ in range(2)
        )
    with database.read(engine) as connection:
        for table in (tables.audience, tables.batches, tables.campaign_runs):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        with pytest.raises(sa.exc.DBAPIError):
            connection.exec_driver_sql("SELECT * FROM segment_members")
    assert first == second


def test_nobody_is_judged_as_nobody(engine: sa.Engine, account_id: str) -> None:
    with database.read(engine) as connection:
        found = previews.waterfall(connection, frozen.plan(), [], excluded=(), policy=frozen.POLICY, now=NOW)
    assert (found.planned, found.skipped, found.held) == (0, {}, ())


def test_the_last_five_live_campaigns_count_a_person_under_whichever_number(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, "shop", 8)
        _update(connection, ids[7], person_id=ids[0])  # was mailed as a guest
        for number in range(6):
            started = NOW - timedelta(days=number)
            ledger_rows.add_run(
                connection, "shop", ids[number:], [], run_id=f"run{number}", dispatch_started_at=started,
                skipped={"no_consent": ids[:number]},
            )  # fmt: skip
        ledger_rows.add_run(connection, "shop", ids, [], run_id="dry", live=False)
        ledger_rows.add_account(connection, "other")
        others = ledger_rows.add_parties(connection, "other", 3)
        ledger_rows.add_run(connection, "other", others, [], run_id="theirs")
    found = previews.earlier(engine, "shop", np.array(ids[:3]))
    assert [one.run_id for one in found] == [f"run{number}" for number in range(5)]
    # Of the run that planned all of them the guest and the customer are one.
    assert [one.shared for one in found] == [3, 3, 2, 1, 1]
    assert [one.planned for one in found] == [8, 7, 6, 5, 4]
    assert found[1].at == NOW - timedelta(days=1)
    assert previews.earlier(engine, "shop", np.array(ids), besides="run0")[0].run_id == "run1"


def test_a_preview_comes_back_as_it_was_kept(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        kept_previews.store(connection, a_preview())
    with database.read(engine) as connection:
        assert kept_previews.load(connection, a_preview().id) == a_preview()
        with pytest.raises(kept_previews.UnknownPreview, match="there is no preview 'p1'"):
            kept_previews.load(connection, "p1")


def test_previews_of_people_are_not_kept_for_ever(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        kept_previews.store(connection, a_preview(id="old", made_at=NOW - timedelta(days=91)))
        kept_previews.store(connection, a_preview(id="young", made_at=NOW - timedelta(days=89)))
        kept_previews.store(connection, a_preview(id="new"))
        kept = set(connection.scalars(sa.select(tables.previews.c.id)))
    assert kept == {"young", "new"}


def test_ids_cannot_be_guessed() -> None:
    assert len({kept_previews.new_id() for _ in range(100)}) == 100
    assert len(kept_previews.new_id()) > 20
