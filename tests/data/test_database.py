"""What an engine is like, whoever asks for one."""

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
