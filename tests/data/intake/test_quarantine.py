import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from data.accounts import UnknownAccount
from data.intake import quarantine
from data.intake.quarantine import NotQuarantined
from tests.conftest import NOW
from tests.data.intake.past import second_account

HOUR = timedelta(hours=1)


def put(engine: sa.Engine, account_id: str = "shop", channel: str = "csv", at=NOW, reason: str = "too many") -> bool:
    with database.write(engine) as connection:
        return quarantine.put(connection, account_id, channel, reason, {"orders": 300, "refused": 30}, at)


def release(engine: sa.Engine, channel: str = "csv", at=NOW + HOUR) -> None:
    with database.write(engine) as connection:
        quarantine.release(connection, "shop", channel, by="kim", note="the feed is right", now=at)


def test_one_channel_of_one_account_waits_and_all_others_flow(engine: sa.Engine, account_id: str) -> None:
    assert put(engine)
    with database.read(engine) as connection:
        assert quarantine.open_of(connection) == {("shop", "csv")}


def test_one_is_open_at_a_time_and_it_stays_as_it_was(engine: sa.Engine, account_id: str) -> None:
    assert put(engine, reason="the first")
    assert not put(engine, reason="the second", at=NOW + HOUR)
    with database.read(engine) as connection:
        (only,) = quarantine.listing(connection, None)
    assert (only.reason, only.since, only.facts, only.ended_at) == (
        "the first",
        NOW,
        {"orders": 300, "refused": 30},
        None,
    )


def test_of_many_at_once_one_begins_it(engine: sa.Engine, account_id: str) -> None:
    begun: list[bool] = []
    start = threading.Barrier(8)

    def one() -> None:
        start.wait()
        begun.append(put(engine))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == [False] * 7 + [True]
    with database.read(engine) as connection:
        assert len(quarantine.listing(connection, None)) == 1


def test_a_release_lets_pass_what_was_received_until_then(engine: sa.Engine, account_id: str) -> None:
    put(engine)
    with database.read(engine) as connection:
        assert quarantine.waived_until(connection, "shop", "csv") is None
    release(engine)
    with database.read(engine) as connection:
        assert quarantine.open_of(connection) == frozenset()
        assert quarantine.waived_until(connection, "shop", "csv") == NOW + HOUR
        assert quarantine.waived_until(connection, "shop", "till") is None
        (ended,) = quarantine.listing(connection, "shop")
    assert (ended.ended_by, ended.ended_at, ended.note) == ("kim", NOW + HOUR, "the feed is right")


def test_after_a_release_it_may_begin_again(engine: sa.Engine, account_id: str) -> None:
    put(engine)
    release(engine)
    assert put(engine, at=NOW + 2 * HOUR)
    with database.read(engine) as connection:
        assert quarantine.open_of(connection) == {("shop", "csv")}
        assert quarantine.waived_until(connection, "shop", "csv") == NOW + HOUR
    release(engine, at=NOW + 3 * HOUR)
    with database.read(engine) as connection:
        assert quarantine.waived_until(connection, "shop", "csv") == NOW + 3 * HOUR


def test_a_release_is_audited(engine: sa.Engine, account_id: str) -> None:
    put(engine)
    release(engine)
    with database.read(engine) as connection:
        (row,) = connection.execute(sa.select(tables.audit_log)).all()
    assert (row.account_id, row.actor, row.action, row.subject) == (
        "shop",
        "kim",
        "quarantine released",
        "channel csv",
    )
    assert row.detail["note"] == "the feed is right"
    assert row.detail["reason"] == "too many"


def test_only_what_waits_can_be_released(engine: sa.Engine, account_id: str) -> None:
    put(engine, channel="till")
    with pytest.raises(NotQuarantined, match="'csv' of account 'shop' is not in quarantine; those that are: till"):
        release(engine)
    release(engine, channel="till")
    with pytest.raises(NotQuarantined, match="those that are: none"):
        release(engine, channel="till")
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.audit_log)) == 1


def test_the_open_ones_are_listed_first(engine: sa.Engine, account_id: str) -> None:
    second_account(engine)
    put(engine, channel="csv", at=NOW - 2 * HOUR)
    put(engine, "other", "till", at=NOW - HOUR)
    put(engine, channel="shopify", at=NOW)
    release(engine, channel="shopify")
    with database.read(engine) as connection:
        assert [one.channel for one in quarantine.listing(connection, None)] == ["till", "csv", "shopify"]
        assert [one.channel for one in quarantine.listing(connection, "shop")] == ["csv", "shopify"]
        assert quarantine.listing(connection, "nobody") == []


def test_nobodys_channel_cannot_be_held(engine: sa.Engine, account_id: str) -> None:
    with pytest.raises(UnknownAccount):
        put(engine, "nobody")
