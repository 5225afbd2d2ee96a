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
