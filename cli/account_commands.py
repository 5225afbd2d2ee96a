"""Commands about the account: what it is, and the rules of sending that are its own."""

from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

import settings
from cli import store
from cli.output import AsJson, Mistake, answer, table
from domain import policy
from domain.accounts import Account

app = typer.Typer(no_args_is_help=True)
_INSTALLATION, _NONE = "default", "none"


@app.command("show")
def show(account: store.Account = None, as_json: AsJson = False) -> None:
    """The account, and by which rules it sends."""
    from data import accounts, database

    with database.read(store.engine()) as connection:
        one = accounts.get(connection, store.account_id(connection, account))
    answer(_payload(one), as_json=as_json, text=_text(one))


@app.command("limit")
def limit(
    cap: Annotated[
        str | None,
        typer.Option(metavar="MAILS/DAYS", help="At most so many marketing mails to one person in so many days: 4/7."),
    ] = None,
    quiet: Annotated[
        str | None,
        typer.Option(
            metavar="FROM-UNTIL", help="Marketing mail is held so long, on the customer's clock: 21:00-08:00."
        ),
    ] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Give the account rules of its own: `default` goes back to the installation's; quiet hours may be `none`.

    Runs that are frozen already keep their batches by the zones that they were frozen with; caps count at once.
    """
    from data import accounts, audit_log, database
    from tasks import wiring

    changes = (_cap(cap) if cap is not None else {}) | (_quiet(quiet) if quiet is not None else {})
    if not changes:
        raise Mistake("nothing to change: give --cap or --quiet")
    with database.write(store.engine()) as connection:
        before = accounts.get(connection, store.account_id(connection, account))
        after = replace(before, **changes)
        accounts.change(connection, after)
        audit_log.write(
            connection,
            account_id=after.id,
            actor=store.person(),
            action="limit",
            subject=f"account:{after.id}",
            detail={name: {"before": getattr(before, name), "after": value} for name, value in changes.items()},
            now=wiring.clock(),
        )
    answer(_payload(after), as_json=as_json, text=_text(after))


def _cap(text: str) -> dict[str, Any]:
    if text == _INSTALLATION:
        return {"cap_mails": None, "cap_days": None}
    mails, slash, days = text.partition("/")
    if not slash or not mails.strip().isdigit() or not days.strip().isdigit():
        raise Mistake("--cap needs mails and days, such as 4/7, or `default`")
    return {"cap_mails": int(mails), "cap_days": int(days)}


def _quiet(text: str) -> dict[str, Any]:
    if text == _INSTALLATION:
        return {"quiet_from": None, "quiet_until": None}
    if text == _NONE:
        return {"quiet_from": "", "quiet_until": ""}
    begin, dash, end = text.partition("-")
    if not dash:
        raise Mistake("--quiet needs two times of day, such as 21:00-08:00, or `none`, or `default`")
    return {"quiet_from": begin.strip(), "quiet_until": end.strip()}


def _payload(one: Account) -> dict[str, Any]:
    rules = policy.of_account(settings.load().sending, one)
    named = ("cap_mails", "cap_days", "quiet_from", "quiet_until")
    return {**asdict(one), "in_force": {name: getattr(rules, name) for name in named}}


def _text(one: Account) -> str:
    rules = policy.of_account(settings.load().sending, one)
    own = "its own" if one.cap_mails is not None else "the installation's"
    quiet_own = "its own" if one.quiet_from is not None else "the installation's"
    quiet = f"{rules.quiet_from} to {rules.quiet_until} on the customer's clock" if rules.quiet_from else "none"
    rows = [
        ("account", one.id),
        ("name", one.name),
        ("currency", one.currency),
        ("time zone", one.timezone),
        ("frequency cap", f"{rules.cap_mails} marketing mails in {rules.cap_days} days ({own})"),
        ("quiet hours", f"{quiet} ({quiet_own})"),
    ]
    return table("", ["", ""], rows)
