"""Bring a database to the newest schema. An older one is upgraded, never made anew."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from data import database


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Run all migrations up to `revision` in one transaction."""
    config = _config()
    with database.write(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def current(engine: sa.Engine) -> str | None:
    """The revision that the database is at, None when it is empty."""
    with database.read(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""
