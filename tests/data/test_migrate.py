from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from data import database, migrate, tables


def test_migrations_and_tables_agree(engine: sa.Engine) -> None:
    with database.read(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    assert migrate.current(engine) == migrate.newest()


def test_upgrading_twice_keeps_what_is_there(engine: sa.Engine, account_id: str) -> None:
    migrate.upgrade(engine)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.accounts.c.id)) == account_id


def test_an_older_schema_is_upgraded_with_its_rows(tmp_path: Path) -> None:
    engine = database.engine_for(f"sqlite:///{tmp_path / 'old.db'}")
    migrate.upgrade(engine, "0001")
    assert migrate.current(engine) == "0001"
    with database.write(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO accounts VALUES ('shop', 'Shop', 'USD', 'UTC', '1 Street', 'n@shop.example.com', 'Shop', 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO intake_files (account_id, channel, name, content_hash, rows, loaded, loaded_at)"
            " VALUES ('shop', 'csv', 'old.csv', 'x', 5, 4, 0)"
        )
    migrate.upgrade(engine)
    with database.read(engine) as connection:
        row = connection.execute(sa.select(tables.intake_files)).one()
    assert (row.rows, row.loaded, row.updated, row.stale) == (5, 4, 0, 0)
    assert migrate.current(engine) == migrate.newest()
    engine.dispose()
