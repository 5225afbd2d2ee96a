"""Intake records: kept once, given out in the right order, taken off the queue by one drain only."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import accounts, database, tables
from data.channels.channel import Origin, Urgency
from data.intake import quarantine, records
from data.intake.records import Incoming, State
from tests.conftest import NOW

pytestmark = pytest.mark.usefixtures("account_id")


def incoming(body: bytes = b'{"id": 1}', **about) -> Incoming:
    given = {"origin": Origin.PUSH, "source": "push", "received_at": NOW}
    return Incoming(body, **(given | about))


def keep(engine: sa.Engine, *documents: Incoming, account_id: str = "shop", channel: str = "csv") -> int:
    with database.write(engine) as connection:
        return records.store(connection, account_id, channel, documents)


def bodies(engine: sa.Engine, **chosen) -> list[bytes]:
    with database.read(engine) as connection:
        return [record.incoming.body for record in records.next_batch(connection, **chosen)]


def batch_ids(engine: sa.Engine, **chosen) -> list[int]:
    with database.read(engine) as connection:
        return [record.id for record in records.next_batch(connection, **chosen)]


def finish(engine: sa.Engine, ids: list[int], **how) -> frozenset[int]:
    with database.write(engine) as connection:
        return records.finish(connection, ids, now=how.pop("now", NOW), **how)


def states(engine: sa.Engine) -> list[str]:
    record = tables.intake_records.c
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(record.state).order_by(record.id)))


def second_account(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, replace(accounts.get(connection, "shop"), id="tea"), now=NOW)


def test_what_was_kept_comes_back_as_it_was(engine: sa.Engine) -> None:
    told = incoming(
        b"\x00\xff" * 5000,
        origin=Origin.PULL,
        source="pull since then",
        topic="orders/updated",
        observed_at=NOW - timedelta(minutes=1, microseconds=7),
        urgency=Urgency.NOW,
        first_row=501,
    )
    keep(engine, told)
    with database.read(engine) as connection:
        (record,) = records.next_batch(connection)
        stored = connection.execute(sa.select(tables.intake_records)).one()
    assert (record.account_id, record.channel, record.incoming) == ("shop", "csv", told)
    assert (stored.body_bytes, len(stored.body) < 100) == (10_000, True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_kept(engine: sa.Engine, body: bytes) -> None:
    with engine.connect().execution_options(writes=True) as connection:
        records.store(connection, "shop", "csv", [incoming(body)])
        assert [record.incoming.body for record in records.next_batch(connection)] == [body]
        connection.rollback()


def test_one_body_is_kept_once_and_known_by_what_it_says_and_when_it_was_seen(engine: sa.Engine) -> None:
    assert keep(engine, incoming()) == 1
    later = timedelta(hours=1)
    same = (incoming(), incoming(received_at=NOW + later), incoming(source="may.csv", first_row=9, origin=Origin.FILE))
    assert keep(engine, *same) == 0
    assert keep(engine, incoming(topic="orders/delete"), incoming(observed_at=NOW), incoming(b'{"id":1}')) == 3
    assert keep(engine, incoming(observed_at=NOW + later), incoming(observed_at=NOW + later)) == 1
    second_account(engine)
    assert keep(engine, incoming(), account_id="tea") == 1
    assert keep(engine, incoming(), channel="till") == 1
    assert keep(engine) == 0


def test_it_stays_known_when_it_is_done(engine: sa.Engine) -> None:
    keep(engine, incoming())
    finish(engine, batch_ids(engine))
    assert keep(engine, incoming()) == 0


def test_the_most_urgent_come_first_and_of_these_the_oldest(engine: sa.Engine) -> None:
    keep(engine, incoming(b"bulk", urgency=Urgency.BULK))
    keep(engine, incoming(b"usual", urgency=Urgency.USUAL))
    keep(engine, incoming(b"now 1", urgency=Urgency.NOW), incoming(b"now 2", urgency=Urgency.NOW))
    seen = []
    while ids := batch_ids(engine):
        seen.append(bodies(engine))
        finish(engine, ids)
    assert seen == [[b"now 1", b"now 2"], [b"usual"], [b"bulk"]]


def test_a_batch_is_of_one_channel_and_account(engine: sa.Engine) -> None:
    second_account(engine)
    keep(engine, incoming(b"1"))
    keep(engine, incoming(b"2"), channel="till")
    keep(engine, incoming(b"3"), account_id="tea")
    keep(engine, incoming(b"4"))
    assert bodies(engine) == [b"1", b"4"]
    assert bodies(engine, only=("shop", "till")) == [b"2"]
    assert bodies(engine, only=("tea", "csv")) == [b"3"]
    assert bodies(engine, only=("tea", "till")) == []
    assert bodies(engine, passed=batch_ids(engine)) == [b"2"]


def test_a_batch_fits_into_memory(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_BYTES", 100)
    keep(engine, *(incoming(bytes([number]) * 40) for number in range(5)), incoming(b"x" * 500))
    sizes = []
    while ids := batch_ids(engine):
        sizes.append([len(body) for body in bodies(engine)])
        finish(engine, ids)
    assert sizes == [[40, 40], [40, 40], [40], [500]]
    monkeypatch.setattr(records, "_MOST_RECORDS", 2)
    keep(engine, *(incoming(bytes([number])) for number in range(5)))
    assert len(batch_ids(engine)) == 2


def test_only_one_drain_takes_a_record_off_the_queue(engine: sa.Engine) -> None:
    keep(engine, incoming(b"1"), incoming(b"2"))
    ids = batch_ids(engine)
    assert finish(engine, ids) == frozenset(ids)
    assert finish(engine, ids) == frozenset()
    assert states(engine) == ["done", "done"]


def test_a_dead_one_can_be_put_back_and_no_other(engine: sa.Engine) -> None:
    keep(engine, incoming(b"1"), incoming(b"2"))
    first, second = batch_ids(engine)
    finish(engine, [first], state=State.DEAD, error="no JSON")
    with database.write(engine) as connection:
        assert [records.again(connection, one) for one in (first, second, 999)] == [True, False, False]
    assert states(engine) == ["pending", "pending"]


def test_quarantine_holds_what_waits_and_what_comes_and_release_frees_it(engine: sa.Engine) -> None:
    second_account(engine)
    keep(engine, incoming(b"1"), incoming(b"done"))
    keep(engine, incoming(b"2"), account_id="tea")
    finish(engine, batch_ids(engine)[1:])

    def heed(*pairs: tuple[str, str]) -> list[str]:
        with database.write(engine) as connection:
            connection.execute(tables.intake_quarantines.delete())
            for account_id, channel in pairs:
                quarantine.put(connection, account_id, channel, "x", {}, NOW)
            assert records.out_of_place(connection)
            records.heed_quarantines(connection)
            assert not records.out_of_place(connection)
        return states(engine)

    assert heed(("shop", "csv")) == ["held", "done", "pending"]
    keep(engine, incoming(b"3"))
    assert heed(("shop", "csv"), ("tea", "csv")) == ["held", "done", "held", "held"]
    assert bodies(engine) == []
    assert heed(("tea", "csv")) == ["pending", "done", "held", "pending"]
    assert heed() == ["pending", "done", "pending", "pending"]


def test_the_backlog_is_what_waits(engine: sa.Engine) -> None:
    keep(engine, *(incoming(bytes([number])) for number in range(4)))
    keep(engine, incoming(), channel="till")
    first, second, *_ = batch_ids(engine)
    finish(engine, [first])
    finish(engine, [second], state=State.DEAD)
    with database.write(engine) as connection:
        assert records.backlog(connection, "shop", "csv") == 2
        quarantine.put(connection, "shop", "csv", "x", {}, NOW)
        records.heed_quarantines(connection)
        assert records.backlog(connection, "shop", "csv") == 2
        assert records.backlog(connection, "shop", "till") == 1
        assert records.backlog(connection, "shop", "shopify") == 0


def test_raw_records_end_when_they_are_orders_and_old_and_no_others_do(engine: sa.Engine) -> None:
    keep(engine, *(incoming(bytes([number])) for number in range(4)))
    done_long_ago, done, dead, _pending = batch_ids(engine)
    finish(engine, [done_long_ago], now=NOW - timedelta(days=31))
    finish(engine, [dead], state=State.DEAD, now=NOW - timedelta(days=31))
    finish(engine, [done])
    with database.write(engine) as connection:
        assert records.purge(connection, before=NOW - timedelta(days=30)) == 1
    assert states(engine) == ["done", "dead", "pending"]
