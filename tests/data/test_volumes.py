"""What mailbox groups got in the last weeks, counted by hour or told by accepted batches."""

from datetime import date, datetime, timedelta

import sqlalchemy as sa

from data import database, tables, traffic_rows, volumes
from domain.ledger import BatchState
from domain.suppression import Stream
from domain.warmup import WarmUp
from tests.conftest import NOW
from tests.data import ledger_rows
from tests.data.ledger_rows import BatchRow

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TODAY = NOW.date()


def count(connection: sa.Connection, group: str, hour: datetime, messages: int, pool: str = "main") -> None:
    hour = hour.replace(minute=0, second=0, microsecond=0)
    values = {"account_id": "shop", "pool": pool, "mailbox_group": group, "hour": hour, "messages": messages}
    connection.execute(tables.pool_volumes.insert().values(values))


def test_planned_people_by_group(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        people = ledger_rows.add_parties(connection, account_id, 8)
        party = tables.parties
        connection.execute(party.update().where(party.c.id == people[0]).values(mailbox_provider=None))
        run_id = ledger_rows.add_run(connection, account_id, people[:7], [], skipped={"no_consent": people[7:]})
        # 0, 3, 6 are at Gmail, of whom 0 is not known; 1 and 4 at Outlook; 2 and 5 elsewhere.
        assert list(volumes.planned(connection, run_id).items()) == [("other", 3), ("gmail", 2), ("outlook", 2)]
        assert volumes.planned(connection, "unknown") == {}


def test_counted_hours_make_days_over_all_pools(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
        count(connection, "gmail", NOW - 2 * DAY, 100)
        count(connection, "gmail", NOW - 2 * DAY + HOUR, 200)
        count(connection, "gmail", NOW - 2 * DAY, 50, pool="other")
        count(connection, "gmail", NOW, 7)
        count(connection, "yahoo", NOW - 27 * DAY, 5)
        count(connection, "yahoo", NOW - 29 * DAY, 9000)
        assert volumes.by_day(connection, "second", now=NOW) == {}
        days = volumes.by_day(connection, account_id, now=NOW)
    assert days == {"gmail": {TODAY - 2 * DAY: 350, TODAY: 7}, "yahoo": {TODAY - 27 * DAY: 5}}
    assert volumes.largest_day(days, now=NOW) == {"gmail": 350, "yahoo": 5}
    assert volumes.today(days, now=NOW) == {"gmail": 7, "yahoo": 0}


def test_before_hours_were_counted_accepted_batches_tell(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        people = ledger_rows.add_parties(connection, account_id, 12)
        three_days_ago = NOW - 3 * DAY
        ledger_rows.add_run(
            connection,
            account_id,
            people,
            [
                BatchRow(0, 3, attempt="a", finished_at=three_days_ago),
                BatchRow(4, 5, attempt="b", finished_at=three_days_ago),
                BatchRow(6, 6, attempt="c", finished_at=NOW - 40 * DAY),
                BatchRow(7, 7, BatchState.HELD, attempt="d", finished_at=three_days_ago),
                BatchRow(8, 9, attempt="e", finished_at=NOW - HOUR),
            ],
        )
        batch = tables.batches
        connection.execute(batch.update().where(batch.c.first_ordinal == 4).values(mailbox_group="icloud"))

        def days() -> dict[str, dict[date, int]]:
            return volumes.by_day(connection, account_id, now=NOW)

        day = TODAY - 3 * DAY
        earlier = {"gmail": {day: 2}, "outlook": {day: 1}, "other": {day: 1}, "icloud": {day: 2}}
        assert days() == earlier | {"gmail": {day: 2, TODAY: 1}, "other": {day: 1, TODAY: 1}}
        count(connection, "gmail", NOW - 2 * HOUR, 1000)  # from here on hours count, and nothing is counted twice
        assert days() == earlier | {"gmail": {day: 2, TODAY: 1000}}


def test_warm_ups_and_answers(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        state = WarmUp(3, NOW, NOW, None)
        connection.execute(
            tables.warmups.insert().values(
                account_id=account_id, pool="new", mailbox_group="gmail", day=3, day_began_at=NOW, last_sent_at=NOW
            )
        )
        same = {"stream": "marketing", "breaker": "closed", "concurrency": 8, "changed_at": NOW}
        rows = [same | {"provider": "a", "latency": 0.25}, same | {"provider": "b", "latency": None}]
        rows.append(rows[0] | {"stream": "transactional", "latency": 9.0})
        connection.execute(tables.provider_states.insert(), rows)
        assert traffic_rows.warm_ups(connection, account_id) == {("new", "gmail"): state}
        assert traffic_rows.warm_ups(connection, "second") == {}
        assert traffic_rows.latencies(connection, Stream.MARKETING) == {"a": 0.25}
