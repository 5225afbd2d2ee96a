"""What an engine is like, whoever asks for one."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from data import database, tables
from tests.conftest import NOW

SECRET = "secret@customers.example.com"


def test_an_error_does_not_quote_an_address(engine: sa.Engine, account_id: str) -> None:
    party = {"account_id": account_id, "email": SECRET, "created_at": NOW, "updated_at": NOW}
    once = [{**party, "external_id": "c1"}, {**party, "external_id": "c1"}]
    for rows in (once, [{**party, "external_id": None}]):
        with pytest.raises(sa.exc.IntegrityError) as caught, database.write(engine) as connection:
            connection.execute(tables.parties.insert(), rows)
        assert SECRET not in str(caught.value)
        assert SECRET not in str(caught.value.orig)
        assert "external_id" in str(caught.value)


def test_sqlite_reads_its_pages_in_place(sqlite_url: str) -> None:
    engine = database.engine_for(sqlite_url)
    with database.read(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA mmap_size").scalar() == 2**28
    engine.dispose()


def test_the_urgent_writer_comes_next_however_long_the_line(sqlite_url: str) -> None:
    engine = database.engine_for(sqlite_url)
    order: list[str] = []
    waiting = [0]

    def write(name: str, *, urgent: bool) -> None:
        waiting[0] += 1
        with database.write(engine, urgent=urgent):
            order.append(name)

    with ThreadPoolExecutor(9) as pool, database.write(engine):
        for number in range(8):
            pool.submit(write, f"campaign {number}", urgent=False)
        _until(lambda: waiting[0] == 8)
        pool.submit(write, "receipt", urgent=True)
        _until(lambda: waiting[0] == 9)
    assert order.index("receipt") <= 1  # one of the others may stand at the front already
    assert len(order) == 9
    engine.dispose()


def _until(seen: Callable[[], bool]) -> None:
    """And a moment longer: between what is counted and the line lies an instruction or two."""
    while not seen():
        time.sleep(0.01)
    time.sleep(0.3)
