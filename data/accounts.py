"""Accounts: make sure that one is there, change it, and read it."""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from domain import policy
from domain.accounts import Account
from domain.policy import SendingPolicy

# Built once: each claim of a batch reads its account.
_ONE = sa.select(*(column for column in tables.accounts.c if column.name != "created_at")).where(
    tables.accounts.c.id == sa.bindparam("account_id")
)


class UnknownAccount(LookupError):
    """No account has this id; the message names those there are."""


def ensure(connection: sa.Connection, account: Account, *, now: datetime) -> None:
    """Add the account. One that is there already stays as it is."""
    statement = database.insert(connection, tables.accounts).values(**asdict(account), created_at=now)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))


def change(connection: sa.Connection, account: Account) -> None:
    """Write all that is said of an account that is there. Raises UnknownAccount."""
    accounts = tables.accounts
    changed = connection.execute(accounts.update().where(accounts.c.id == account.id).values(**asdict(account)))
    if changed.rowcount != 1:
        raise _unknown(connection, account.id)


def get(connection: sa.Connection, account_id: str) -> Account:
    """Read one account. Raises UnknownAccount."""
    row = connection.execute(_ONE, {"account_id": account_id}).mappings().one_or_none()
    if row is None:
        raise _unknown(connection, account_id)
    return Account(**row)


def policy_of(connection: sa.Connection, account_id: str, installation: SendingPolicy) -> SendingPolicy:
    """The rules that this account sends by: its own, and the installation's where it has none. Raises UnknownAccount."""
    return policy.of_account(installation, get(connection, account_id))


def names(connection: sa.Connection) -> list[str]:
    """The ids of all accounts, by alphabet."""
    return list(connection.scalars(sa.select(tables.accounts.c.id).order_by(tables.accounts.c.id)))


def lock(connection: sa.Connection, account_id: str) -> None:
    """Let one transaction at a time change this account's orders; it ends with the transaction. Raises UnknownAccount.

    Readers and writers of other tables do not wait (FOR NO KEY UPDATE); on SQLite there is one writer anyway.
    """
    accounts = tables.accounts.c
    query = sa.select(accounts.id).where(accounts.id == account_id).with_for_update(key_share=True)
    if connection.scalar(query) is None:
        raise _unknown(connection, account_id)


def _unknown(connection: sa.Connection, account_id: str) -> UnknownAccount:
    known = ", ".join(names(connection)) or "none yet"
    return UnknownAccount(f"there is no account {account_id!r}; known accounts: {known}")
