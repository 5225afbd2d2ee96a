"""To whom a database belongs, and that a copy of it is known for one, on both databases."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, installation, tables
from tests.conftest import NOW

Copier = Callable[[], sa.Engine]


def _copy_of(engine: sa.Engine, url: sa.URL) -> sa.Engine:
    return database.engine_for(url.render_as_string(hide_password=False))


@pytest.fixture
def copied(engine: sa.Engine, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copier]:
    """Copy the database as an operator would: the file, or CREATE DATABASE … TEMPLATE."""
    name = f"copy_{uuid.uuid4().hex}"
    made: list[sa.Engine] = []

    def copy() -> sa.Engine:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copy(str(engine.url.database), tmp_path / "copy.db")
            made.append(_copy_of(engine, engine.url.set(database=str(tmp_path / "copy.db"))))
        else:
            engine.dispose()  # a template has no other users
            with request.getfixturevalue("postgresql").connect() as admin:
                admin.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{engine.url.database}"')
            made.append(_copy_of(engine, engine.url.set(database=name)))
        return made[-1]

    yield copy
    for one in made:
        one.dispose()
        if one.dialect.name == "postgresql":
            with request.getfixturevalue("postgresql").connect() as admin:
                admin.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def _check(engine: sa.Engine, environment: str = "production") -> None:
    with database.write(engine) as connection:
        installation.check(connection, environment, now=NOW)


def test_the_first_use_claims_and_the_next_finds_it_claimed(engine: sa.Engine) -> None:
    with database.read(engine) as connection:
        assert installation.current(connection) is None
        assert installation.trouble(connection, "production") is None
    _check(engine)
    engine.dispose()  # a restart
    _check(engine)
    with database.read(engine) as connection:
        found = installation.current(connection)
    assert found is not None
    assert (found.environment, found.claimed_at, found.claimed_by) == ("production", NOW, "first use")


def test_another_environment_is_refused(engine: sa.Engine) -> None:
    _check(engine)
    with pytest.raises(installation.ForeignDatabase, match="belongs to the environment 'production', and OMS_ENV"):
        _check(engine, "staging")


def test_a_copy_mails_nobody_until_a_person_claims_it(engine: sa.Engine, copied: Copier) -> None:
    _check(engine)
    copy = copied()
    with pytest.raises(installation.ForeignDatabase, match="Nothing was sent: this database is a copy of the one that"):
        _check(copy)
    with pytest.raises(installation.ForeignDatabase):
        _check(copy, "staging")
    with database.write(copy) as connection:
        installation.claim(connection, "staging", by="Ann", now=NOW)
    _check(copy, "staging")
    with pytest.raises(installation.ForeignDatabase):
        _check(copy)
    _check(engine)  # the original never noticed
    with database.read(copy) as connection:
        row = connection.execute(sa.select(tables.audit_log)).one()
        mine = installation.fingerprint(connection)
    with database.read(engine) as connection:
        original = installation.fingerprint(connection)
    assert (row.actor, row.action, row.subject) == ("Ann", "claim", "environment:staging")
    assert row.detail == {"was": "production", "fingerprint": original}
    assert mine != original


def test_a_file_that_was_restored_over_itself_is_a_copy(sqlite_url: str) -> None:
    engine = database.engine_for(sqlite_url)
    _check(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    path = Path(str(engine.url.database))
    shutil.copy(path, path.with_suffix(".backup"))
    path.with_suffix(".backup").replace(path)
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    with pytest.raises(installation.ForeignDatabase, match="or it was moved or restored"):
        _check(engine)


def test_where_the_system_identifier_is_kept_secret_the_database_itself_must_do(
    postgresql: sa.Engine, postgresql_url: str
) -> None:
    engine = database.engine_for(postgresql_url)
    with engine.connect() as connection, connection.begin():
        told = installation.fingerprint(connection)
        connection.exec_driver_sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.exec_driver_sql("CREATE ROLE visitor")
        connection.exec_driver_sql("SET LOCAL ROLE visitor")
        secret = installation.fingerprint(connection)
        connection.rollback()
    engine.dispose()
    assert "system not readable database" in secret
    assert secret.rpartition(" database ")[2] == told.rpartition(" database ")[2]
