"""The one store as commands see it: does it answer, has it this program's schema, which account is meant."""

import getpass
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

import settings
from cli.output import Mistake

if TYPE_CHECKING:
    import sqlalchemy as sa

Account = Annotated[str | None, typer.Option(help="Which account; this installation's own unless given.")]


def connectable() -> "sa.Engine":
    """The engine, whatever schema is behind it. Raises Mistake when OMS_DATABASE_URL names nothing usable."""
    from sqlalchemy.exc import ArgumentError

    from tasks import wiring

    settings.load()  # what is wrong with the settings is told elsewhere
    try:
        return wiring.engine()
    except ArgumentError as error:
        raise Mistake("OMS_DATABASE_URL is no database URL: sqlite:///FILE or postgresql://USER@HOST/NAME") from error
    except ValueError as error:
        raise Mistake(str(error)) from error
    except OSError as error:
        raise Mistake(f"the folder of the database cannot be made: {error.strerror} ({place()})") from error


def prepare(found: "sa.Engine") -> None:
    """Bring the schema to the newest, add the installation's own account, claim the database for its environment.

    The latter two where it was not done yet.
    """
    from data import accounts, database, installation, migrate
    from domain.accounts import Account
    from tasks import wiring

    migrate.upgrade(found)
    config = settings.load()
    account = Account(id=config.account, **config.shop.model_dump())
    with database.write(found) as connection:
        accounts.ensure(connection, account, now=wiring.clock())
        installation.ensure(connection, config.environment, now=wiring.clock())


def engine() -> "sa.Engine":
    """The engine of a store that has this program's schema. Raises Mistake."""
    from data import migrate

    found = connectable()
    current, newest = migrate.current(found), migrate.newest()
    if current != newest:
        told = f"has schema {current}, and this program needs {newest}" if current else "is empty"
        raise Mistake(f"the database {place()} {told}: run `campaigns migrate`")
    return found


def place() -> str:
    """Where the store is, for people: without user and password."""
    import sqlalchemy as sa

    url = sa.make_url(settings.load().database.url)
    host = url.host or url.query.get("host") or ""
    port = f":{url.port}" if url.port else ""
    return f"{url.database}" if url.get_backend_name() == "sqlite" else f"{host}{port}/{url.database}"


def account_id(connection: "sa.Connection", given: str | None) -> str:
    """The account that is meant. Raises Mistake when there is no such account."""
    from data import accounts

    wanted = given or settings.load().account
    try:
        return accounts.get(connection, wanted).id
    except accounts.UnknownAccount as error:
        hint = "" if given else "; `campaigns up` makes the one that OMS_ACCOUNT names"
        raise Mistake(f"{error}{hint}") from error


def chosen_account(engine: "sa.Engine", given: str | None) -> str:
    """The account that is meant, on a connection of its own. Raises Mistake."""
    from data import database

    with database.read(engine) as connection:
        return account_id(connection, given)


def note_reading(engine: "sa.Engine", account_id: str, subject: str, detail: dict[str, Any]) -> None:
    """Write to the audit log that somebody at the keyboard reads personal data: before it is shown."""
    from data import audit_log, database
    from tasks import wiring

    with database.write(engine) as connection:
        audit_log.write(
            connection,
            account_id=account_id,
            actor=person(),
            action="read",
            subject=subject,
            detail=detail,
            now=wiring.clock(),
        )


def person() -> str:
    """Who is at the keyboard, for the audit log."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a container may run under a number without a name
        return f"uid {os.getuid()} (command line)"
