"""Commands about the data: migrate, features refresh."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import sqlalchemy as sa

from cli import store
from cli.output import AsJson, Mistake, answer, moment

features = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("migrate")(migrate)
    app.add_typer(features, name="features", help="Facts per customer, from which segments are made.")


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema, and see to it that the installation's account is there.

    What is there is kept.
    """
    from alembic.util import CommandError

    from data import migrate as schema

    engine = store.connectable()
    before, claimed = schema.current(engine), _claim(engine)
    try:
        store.prepare(engine)
    except CommandError as error:
        raise Mistake(f"the database {store.place()} cannot be migrated by this program: {error}") from error
    after = schema.current(engine)
    went = f"went from {before or 'nothing'} to {after}" if before != after else f"is at {after} already"
    told = f"The schema of {store.place()} {went}."
    if claimed is None and (now := _claim(engine)) is not None:
        told += (
            f"\nIt belongs to the environment {now!r} from now on. Is it a copy? Then set OMS_ENVIRONMENT to another name,"
            " such as staging: `campaigns environment claim` tells more."
        )
    answer({"before": before, "after": after, "environment": _claim(engine)}, as_json=as_json, text=told)


def _claim(engine: "sa.Engine") -> str | None:
    """To which environment the database belongs; None where nobody said so yet, or an older schema cannot say it."""
    from sqlalchemy.exc import DBAPIError

    from data import database, installation

    try:
        with database.read(engine) as connection:
            found = installation.current(connection)
    except DBAPIError:
        return None
    return None if found is None else found.environment


@features.command("refresh")
def refresh_features(
    account: store.Account = None,
    full: Annotated[
        bool, typer.Option("--full", help="Reckon everybody anew; it gives the same figures and takes longer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the features of the customers whose orders, mails or windows changed to now.

    All of them are reckoned anew the first time, and when the code or the account's currency or zone changed.
    """
    from data import database
    from data.features import refresh
    from tasks import wiring

    engine, now = store.engine(), wiring.clock()
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
    report = refresh.refresh(engine, account_id=account_id, as_of=now, now=now, full=full)
    anew = "all of them" if report.full else f"{report.touched:,} of them"
    text = (
        f"{report.customers:,} customers out of {report.orders:,} orders, as of {moment(report.as_of)} UTC;"
        f" {anew} reckoned anew: {report.reason}."
    )
    answer(report, as_json=as_json, text=text)
