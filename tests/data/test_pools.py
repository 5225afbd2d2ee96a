from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, pools, tables, transactional
from data.pools import PoolOfOtherStream
from data.transactional import AskedBy, Wanted
from domain.routes import Route
from domain.suppression import Stream
from domain.transactional import Timing, new_id
from tests.conftest import add_shop
from tests.data import frozen
from tests.data.ledger_rows import NOW

NEWS = Route("news", "shop", Stream.MARKETING, "sendgrid", "news", "news.shop.example")
RECEIPTS = Route("receipts", "shop", Stream.TRANSACTIONAL, "sendgrid", "receipts", "receipts.shop.example")


def kept(engine: sa.Engine) -> dict[str, str]:
    with database.read(engine) as connection:
        return dict(connection.execute(sa.select(tables.pools.c.name, tables.pools.c.stream)).all())


def test_pools_are_written_once(engine: sa.Engine, account_id: str) -> None:
    for _ in range(2):
        with database.write(engine) as connection:
            pools.ensure(connection, [RECEIPTS, NEWS, replace(NEWS, name="more")], now=NOW)
            pools.ensure(connection, [], now=NOW)
    assert kept(engine) == {"news": "marketing", "receipts": "transactional"}


def test_two_first_writers_of_the_same_pools_both_go_on(postgresql_url: str) -> None:
    """Whichever of its two unique indexes it is by which the second meets the first: a matter of microseconds, so often."""
    engine, begin, rounds = database.engine_for(postgresql_url), Barrier(2), 1_000
    with database.write(engine) as connection:
        add_shop(connection)

    def write(_: int) -> None:
        for number in range(rounds):
            with database.write(engine) as connection:
                begin.wait(30)
                pools.ensure(connection, [replace(NEWS, pool=f"news-{number}")], now=NOW)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, range(2)))
    assert len(kept(engine)) == rounds
    engine.dispose()


def test_a_pool_stays_with_its_stream_and_nothing_is_written(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        pools.ensure(connection, [NEWS], now=NOW)
    told = "pool news of account shop belongs to the marketing stream"
    with database.write(engine) as connection, pytest.raises(PoolOfOtherStream, match=told):
        pools.ensure(connection, [replace(RECEIPTS, pool="news"), RECEIPTS], now=NOW)
    assert kept(engine) == {"news": "marketing"}


def test_a_pool_of_one_name_may_be_of_another_stream_in_another_account(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        rows = connection.execute(sa.select(tables.accounts)).mappings().one()
        connection.execute(tables.accounts.insert().values({**rows, "id": "tea"}))
        pools.ensure(connection, [NEWS, replace(RECEIPTS, account_id="tea", pool="news")], now=NOW)


def attempt(engine: sa.Engine) -> str:
    clock = frozen.Clock()
    run = frozen.dispatching(engine, 1)
    batch = frozen.book(engine, run, clock).claim(run.id, worker="w")
    assert batch is not None
    with database.write(engine) as connection:
        connection.execute(tables.attempt_routes.delete())  # another one is tried in its place
    return batch.attempt_id


@pytest.mark.parametrize(
    ("pool", "stream", "allowed"),
    [
        ("news", "marketing", True),
        ("receipts", "transactional", True),
        ("receipts", "marketing", False),
        ("news", "transactional", False),
        ("nowhere", "marketing", False),
    ],
)
def test_the_database_itself_refuses_marketing_through_the_transactional_pool(
    engine: sa.Engine, account_id: str, pool: str, stream: str, allowed: bool
) -> None:
    row: dict[str, Any] = {
        "attempt_id": attempt(engine),
        "account_id": "shop",
        "route": "any",
        "provider": "sendgrid",
        "pool": pool,
        "stream": stream,
        "mailbox_group": "gmail",
        "decision": {},
    }
    with database.write(engine) as connection:
        pools.ensure(connection, [NEWS, RECEIPTS], now=NOW)
    if allowed:
        with database.write(engine) as connection:
            connection.execute(tables.attempt_routes.insert().values(row))
        return
    with pytest.raises(sa.exc.IntegrityError), database.write(engine) as connection:
        connection.execute(tables.attempt_routes.insert().values(row))


@pytest.mark.parametrize(
    ("pool", "stream", "allowed"),
    [
        ("receipts", "transactional", True),
        ("news", "transactional", False),
        ("news", "marketing", False),
        ("receipts", "marketing", False),
        ("nowhere", "transactional", False),
    ],
)
def test_the_database_itself_refuses_mail_that_is_waited_for_through_a_marketing_pool(
    engine: sa.Engine, account_id: str, pool: str, stream: str, allowed: bool
) -> None:
    message_id, row = new_id(), {"route": "any", "provider": "sendgrid", "domain": "receipts.shop.example"}
    message = Wanted(id=message_id, account_id="shop", template="password-reset", timing=Timing(), asked_by=AskedBy.API)
    with database.write(engine) as connection:
        pools.ensure(connection, [NEWS, RECEIPTS], now=NOW)
        transactional.ask(connection, [message], now=NOW)
    kept = {"id": "a", "message_id": message_id, "number": 1, "worker": "w", "account_id": "shop", "claimed_at": NOW}
    attempt = tables.transactional_attempts.insert().values(
        **row, **kept, pool=pool, stream=stream, decision={}, content_hash="0"
    )
    if allowed:
        with database.write(engine) as connection:
            connection.execute(attempt)
        return
    with pytest.raises(sa.exc.IntegrityError), database.write(engine) as connection:
        connection.execute(attempt)
