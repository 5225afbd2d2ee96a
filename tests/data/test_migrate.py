from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from data import database, migrate, tables

_OLD_RUN = """
INSERT INTO parties (id, account_id, external_id, address_hash, created_at, updated_at)
VALUES (1, 'shop', 'c1', 'h1', 0, 0), (2, 'shop', 'c2', 'h2', 0, 0);
INSERT INTO campaigns (id, account_id, name, created_at) VALUES (1, 'shop', 'news', 0);
INSERT INTO campaign_runs (
    id, account_id, campaign_id, status, live, segment, template, provider, sender_email, sender_name,
    holdout_percent, seed, created_at
) VALUES ('r1', 'shop', 1, 'dispatching', 1, 's', 't', 'p', 'e', 'n', 0, 1, 0);
INSERT INTO audience (run_id, party_id, ordinal, skip_reason) VALUES ('r1', 1, 0, NULL), ('r1', 2, NULL, 'holdout');
"""


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
        for statement in _OLD_RUN.strip().split(";\n"):
            connection.exec_driver_sql(statement)
    migrate.upgrade(engine)
    with database.read(engine) as connection:
        row = connection.execute(sa.select(tables.intake_files)).one()
        member = tables.audience.c
        mailboxes = connection.execute(sa.select(member.party_id, member.address_hash).order_by(member.party_id)).all()
    assert (row.rows, row.staged_at is not None) == (5, True)
    assert mailboxes == [(1, "h1"), (2, None)]  # planned, left out
    assert migrate.current(engine) == migrate.newest()
    engine.dispose()
