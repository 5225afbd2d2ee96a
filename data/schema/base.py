"""What all tables share: one metadata with its naming convention, and columns that many of them have."""

from typing import Any

import sqlalchemy as sa

from data.columns import Instant

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def account() -> sa.Column[str]:
    return sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False)


def text(name: str, *, required: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=not required)


def count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def at(name: str, *, required: bool = True) -> sa.Column[Any]:
    return sa.Column(name, Instant, nullable=not required)


def run(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("run_id", sa.ForeignKey("campaign_runs.id"), nullable=False, primary_key=primary_key)


def few(condition: str, *columns: str) -> sa.Index:
    """Of the few rows of which the condition holds; a query uses it where it names that condition."""
    return sa.Index(None, *columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
