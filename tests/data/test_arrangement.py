"""The order in which people are mailed: canary first, then zone by zone and group by group, the engaged first."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import audience, database, runs, tables
from domain.campaigns import Run
from domain.policy import SendingPolicy
from tests.data import frozen
from tests.data.frozen import NOW

pytestmark = pytest.mark.usefixtures("account_id")
# Thirty people: ten each at gmail, at outlook and elsewhere.
POLICY = replace(frozen.POLICY, batch_size=5, canary_above=20, canary_percent=5)
DAY = timedelta(days=1)


def _freeze(connection: sa.Connection, ids: list[int], policy: SendingPolicy = POLICY, **facts: object) -> Run:
    run = runs.create(connection, frozen.plan(**facts), flow_run_id=None, now=NOW)
    return audience.freeze(
        connection, run, ids, definition_hash="d", template_hash="t", feature_watermark=NOW, code_version="test",
        policy=policy, batch_size=policy.batch_size, now=NOW,
    )  # fmt: skip


def _batches(connection: sa.Connection, run: Run) -> list[Any]:
    table = tables.batches
    return list(connection.execute(sa.select(table).where(table.c.run_id == run.id).order_by(table.c.first_ordinal)))


def _groups(connection: sa.Connection, run: Run) -> dict[int, str]:
    """The mailbox provider of each ordinal."""
    member, party = tables.audience.c, tables.parties.c
    query = sa.select(member.ordinal, party.mailbox_provider).join_from(
        tables.audience, tables.parties, party.id == member.party_id
    )
    return dict(connection.execute(query.where(member.run_id == run.id, member.ordinal.is_not(None))).all())


def test_batches_are_contiguous_and_each_is_of_one_group(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        run = _freeze(connection, frozen.consenting_parties(connection, 30))
        batches, groups = _batches(connection, run), _groups(connection, run)
    assert [one.first_ordinal for one in batches] == [0, *(one.last_ordinal + 1 for one in batches[:-1])]
    assert batches[-1].last_ordinal == 29
    for one in batches:
        assert {groups[ordinal] for ordinal in range(one.first_ordinal, one.last_ordinal + 1)} == {one.mailbox_group}
    assert Counter(groups.values()) == {"gmail": 10, "outlook": 10, "other": 10}


def test_groups_too_small_for_a_full_batch_go_together(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        policy = replace(POLICY, batch_size=11)
        run = _freeze(connection, frozen.consenting_parties(connection, 30), policy)
        assert {one.mailbox_group for one in _batches(connection, run)} == {"mixed"}


def test_the_canary_goes_first_and_sings_in_every_group(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        ids = frozen.consenting_parties(connection, 30)
        run = _freeze(connection, ids)
        batches = _batches(connection, run)
    canary = [one for one in batches if one.canary]
    assert batches[: len(canary)] == canary
    assert {one.mailbox_group for one in canary} == {"gmail", "outlook", "other"}
    assert run.canary == "watching"


def test_a_small_audience_has_no_canary(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        policy = replace(POLICY, canary_above=30)
        run = _freeze(connection, frozen.consenting_parties(connection, 30), policy)
        assert not any(one.canary for one in _batches(connection, run))
    assert run.canary is None


def test_within_a_group_the_engaged_come_first_and_are_the_canary(engine: sa.Engine) -> None:
    """Party 3 clicked last week, 6 opened two months ago, 9 only ordered lately; all are at gmail, as 0, 12, 15 …."""
    table = tables.customer_features
    with database.write(engine) as connection:
        ids = frozen.consenting_parties(connection, 30)
        connection.execute(table.update().values(last_order_at=NOW - 200 * DAY))
        for place, facts in (
            (3, {"last_clicked_at": NOW - 7 * DAY}),
            (6, {"last_opened_at": NOW - 60 * DAY}),
            (9, {"last_order_at": NOW - DAY}),
        ):
            connection.execute(table.update().where(table.c.party_id == ids[place]).values(**facts))
        run = _freeze(connection, ids)
        member = tables.audience.c
        ordinal = dict(
            connection.execute(sa.select(member.party_id, member.ordinal).where(member.run_id == run.id)).all()
        )
        (canary,) = (one for one in _batches(connection, run) if one.canary and one.mailbox_group == "gmail")
    gmail = sorted((ordinal[party], place) for place, party in enumerate(ids) if place % 3 == 0)
    assert [place for _, place in gmail[:3]] == [3, 6, 9]
    assert canary.first_ordinal == ordinal[ids[3]]


def test_a_dry_run_has_no_batches_and_no_canary(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        run = _freeze(connection, frozen.consenting_parties(connection, 30), live=False)
        assert _batches(connection, run) == []
    assert (run.canary, run.planned) == (None, 30)
