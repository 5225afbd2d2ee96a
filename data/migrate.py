"""Bring a database to the newest schema. An older one is upgraded, never made anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from data import database


class BrokenReferences(RuntimeError):
    """A migration would leave rows that point to nothing."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Run all migrations up to `revision` in one transaction. Raises BrokenReferences, and changes nothing then."""
    config = _config()
    with _writer(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if engine.dialect.name == "sqlite" and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
            raise BrokenReferences(f"{len(broken)} rows point to nothing, the first in {broken[0][0]}; nothing changed")


@contextmanager
def _writer(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in which SQLite may copy a table and drop the old one, though rows of others point to it.

    The switch for that works outside of transactions only (https://sqlite.org/lang_altertable.html#otheralter).
    """
    if engine.dialect.name != "sqlite":
        with database.write(engine) as connection:
            yield connection
        return
    with engine.connect().execution_options(writes=True) as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
        finally:
            driver.execute("PRAGMA foreign_keys=ON")


def current(engine: sa.Engine) -> str | None:
    """The revision that the database is at, None when it is empty."""
    with database.read(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""
