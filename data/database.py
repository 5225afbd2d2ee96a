"""One engine for SQLite and PostgreSQL, by URL alone.

SQLite: WAL, synchronous=FULL (the ledger's commit must outlive a power cut), writers begin IMMEDIATE so that two
never deadlock on an upgrade of a read lock. Errors do not quote the values of a statement: addresses are among them.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext

# A dispatch has up to 32 threads, each with a connection; few of them stay open when it is over.
_CONNECTIONS = {"pool_size": 10, "max_overflow": 30}
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "busy_timeout=30000",
    "foreign_keys=ON",
    # Pages of the file are read in place, not copied by a system call each: 10 to 30 % less CPU for the scattered
    # reads of a claim. 256 MiB of address space, not of memory.
    "mmap_size=268435456",
)

# Classes of SQLSTATE (PostgreSQL manual, appendix A): connection lost, rolled back by a collision, no resources, shut
# down or crashed, failed to read or write; and a lock that is not to be had.
_TROUBLE_OF_POSTGRESQL = ("08", "40", "53", "57P", "58", "55P03")
_TROUBLE_OF_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


def normalised_url(url: str) -> sa.URL:
    """Name the driver, so that `postgresql://…` means psycopg 3. Raises ValueError for other databases."""
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    raise ValueError(f"OMS_DATABASE_URL names {backend!r}: this engine stores in sqlite or postgresql")


@lru_cache(maxsize=8)
def engine_for(url: str) -> sa.Engine:
    """Return the process's engine for this URL."""
    parsed = normalised_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed)
    return _postgresql_engine(parsed)


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    # Statements are not prepared on the server: after five times it plans for no values in particular, and for a table
    # that was small then. A list of a thousand ids is compared with each row then, 100 times as slow.
    options = {"connect_timeout": 10, "prepare_threshold": None}
    engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=options, **_CONNECTIONS)

    @sa.event.listens_for(engine, "handle_error")
    def keep_the_sentence_only(context: ExceptionContext) -> None:
        # PostgreSQL adds the whole row that it refuses (DETAIL: Failing row contains …).
        driver, wrapped = context.original_exception, context.sqlalchemy_exception
        if isinstance(driver, psycopg.Error) and wrapped is not None and driver.diag.message_primary:
            told, driver.args = str(driver), (driver.diag.message_primary,)
            wrapped.args = tuple(part.replace(told, str(driver)) for part in wrapped.args)

    return engine


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, hide_parameters=True, **_CONNECTIONS)

    @sa.event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _record: Any) -> None:
        connection.isolation_level = None  # we write BEGIN ourselves, below
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def write(engine: sa.Engine, *, urgent: bool = False) -> Iterator[sa.Connection]:
    """One transaction that writes: committed at the end, rolled back on any exception.

    `urgent`: a customer waits for it. On SQLite it comes next, however many others stand in line.
    """
    with (
        _turn(engine, urgent=urgent),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def _turn(engine: sa.Engine, *, urgent: bool) -> Iterator[None]:
    """On SQLite, wait in line to write.

    SQLite's own wait polls with pauses of up to 100 ms, so whoever writes one transaction after the other, as a load
    of orders does, starves all others: a push at the door then waited for 3 s. The kernel wakes who waits for a file
    lock at once, and takes it from a process that dies. Of all that is not urgent one alone stands at the front: a
    campaign of a million at 16,000 mails a second had a receipt wait for its eight threads each time, 4.6 s in all.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        yield
        return
    with ExitStack() as lines:
        for name in ("writers",) if urgent else ("line", "writers"):
            line = lines.enter_context(Path(f"{engine.url.database}-{name}").open("wb"))
            fcntl.flock(line, fcntl.LOCK_EX)
        yield


@contextmanager
def read(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One consistent view that writes nothing."""
    with engine.connect() as connection, connection.begin():
        yield connection


def insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT in the connection's dialect."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def not_storable(engine: sa.Engine) -> tuple[type[Exception], ...]:
    """What is raised for a value that this database cannot hold, such as a NUL in a text.

    The driver's own error too: bulk rows go past SQLAlchemy, which would have translated it.
    """
    driver: Any = engine.dialect.loaded_dbapi
    return ValueError, OverflowError, sa.exc.DataError, driver.DataError


def in_trouble(error: BaseException) -> bool:
    """Whether the database is in trouble, whatever it was asked: away, locked, a deadlock, no room.

    Not every OperationalError is: an index row that is too large is the statement's own fault, each time anew.
    """
    if isinstance(error, sa.exc.TimeoutError | OSError):
        return True
    cause = _driver_error(error)
    if isinstance(cause, psycopg.Error):
        lost = cause.sqlstate is None and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return lost or (cause.sqlstate or "").startswith(_TROUBLE_OF_POSTGRESQL)
    if isinstance(cause, sqlite3.Error):
        # The low byte of an extended code is its plain one.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _TROUBLE_OF_SQLITE
    return False


def collided(error: BaseException) -> bool:
    """Whether two transactions stood in each other's way, so that the same one, begun anew, may succeed at once."""
    cause = _driver_error(error)
    return isinstance(cause, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)


def _driver_error(error: BaseException) -> BaseException | None:
    """What the driver raised; bulk rows go past SQLAlchemy, which would have wrapped it."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error
