"""Commands about the account: what it is, the rules of sending that are its own, and what its record says of it."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

import settings
from cli import store
from cli.output import AsJson, Mistake, answer, table
from domain import policy
from domain.accounts import Account
from domain.vetting import Standing

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

    from data.vetting import Vetting

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
    soft: Annotated[
        str | None,
        typer.Option(
            metavar="NEVER/EVER",
            help="Soft bounces in a row before 90 days without marketing, of who never opened and who did: 7/15.",
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

    changes = (
        (_cap(cap) if cap is not None else {})
        | (_quiet(quiet) if quiet is not None else {})
        | (_soft(soft) if soft is not None else {})
    )
    if not changes:
        raise Mistake("nothing to change: give --cap, --quiet or --soft")
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


@app.command("language")
def language(
    name: Annotated[str, typer.Argument(metavar="LANGUAGE", help="Two letters, such as de; `default` is English.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """The language of the unsubscribe and preference pages for customers whose own is not known."""
    from data import accounts, audit_log, database
    from gateway import texts
    from tasks import wiring

    if name != _INSTALLATION and name not in texts.languages():
        raise Mistake(f"the pages are not written in {name!r}; they are in: {', '.join(texts.languages())}")
    with database.write(store.engine()) as connection:
        before = accounts.get(connection, store.account_id(connection, account))
        after = replace(before, language=None if name == _INSTALLATION else name)
        accounts.change(connection, after)
        audit_log.write(
            connection,
            account_id=after.id,
            actor=store.person(),
            action="language",
            subject=f"account:{after.id}",
            detail={"before": before.language, "after": after.language},
            now=wiring.clock(),
        )
    answer(_payload(after), as_json=as_json, text=_text(after))


@app.command("vet")
def vet(
    account: Annotated[str | None, typer.Argument(help="Which account; this installation's own unless given.")] = None,
    decided: Annotated[
        Standing | None, typer.Option("--as", help="What a person says instead of the figures, until --lift.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="With --as or --lift: who decided; you unless given.")] = None,
    why: Annotated[str | None, typer.Option(help="With --as: why, for whoever reads it later.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Let the figures count again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge by its record whether an account may send through pools that it shares with others: only a good one may."""
    from data import database
    from tasks import wiring

    if (decided is not None) is not (why is not None) or (decided is not None and lift):
        raise Mistake("--as and --why go together, and without --lift")
    if by is not None and decided is None and not lift:
        raise Mistake("--by says who decided: give --as and --why, or --lift, too")
    now = wiring.clock()
    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        if decided is not None or lift:
            _decide(connection, account_id, decided, by or store.person(), why or "", now)
        found = _vetted(connection, account_id, now)
    answer({"account": account_id, **asdict(found)}, as_json=as_json, text=_vetting(account_id, found))


def _decide(
    connection: "sa.Connection", account_id: str, decided: Standing | None, by: str, why: str, now: "datetime"
) -> None:
    """A person's word, or that it counts no more; both are in the audit log."""
    from data import audit_log, vetting

    if decided is not None:
        vetting.decide(connection, account_id, decided, by=by, why=why, now=now)
    elif not vetting.lift(connection, account_id):
        raise Mistake(f"nobody decided about account {account_id}: its figures count")
    audit_log.write(
        connection,
        account_id=account_id,
        actor=store.person(),
        action="vet",
        subject=f"account:{account_id}",
        detail={"decided": decided, "by": by, "why": why},
        now=now,
    )


def _vetted(connection: "sa.Connection", account_id: str, now: "datetime") -> "Vetting":
    from data import vetting
    from providers import routes_file

    declared = routes_file.load(settings.load().routes.file)
    return vetting.vet(
        connection,
        account_id,
        domain_authenticated=all(route.authenticated for route in declared.of_account(account_id)),
        rehearsals=declared.rehearsals,
        now=now,
    )


def _vetting(account_id: str, found: "Vetting") -> str:
    known = found.record
    own = f"said {found.decided_by}: {found.why}" if found.decided_by else "by its figures"
    rows = [
        ("account", account_id),
        ("standing", f"{found.standing} ({own})"),
        ("by its figures", found.judged),
        ("against a better one", "; ".join(found.reasons) or "nothing"),
        ("days of history", f"{known.days_of_history:,}"),
        ("accepted in 30 days", f"{known.accepted:,}"),
        ("hard bounces of these", f"{known.hard_bounces:,}"),
        ("complaints of these", f"{known.complaints:,}"),
    ]
    return table("", ["", ""], rows)


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


def _soft(text: str) -> dict[str, Any]:
    if text == _INSTALLATION:
        return {"soft_bounces": None, "soft_bounces_active": None}
    never, slash, ever = text.partition("/")
    if not slash or not never.strip().isdigit() or not ever.strip().isdigit():
        raise Mistake("--soft needs two numbers, such as 7/15, or `default`")
    return {"soft_bounces": int(never), "soft_bounces_active": int(ever)}


def _payload(one: Account) -> dict[str, Any]:
    rules = policy.of_account(settings.load().sending, one)
    named = ("cap_mails", "cap_days", "quiet_from", "quiet_until", "soft_bounces", "soft_bounces_active")
    return {**asdict(one), "in_force": {name: getattr(rules, name) for name in named}}


def _text(one: Account) -> str:
    rules = policy.of_account(settings.load().sending, one)
    own = "its own" if one.cap_mails is not None else "the installation's"
    quiet_own = "its own" if one.quiet_from is not None else "the installation's"
    soft_own = "its own" if one.soft_bounces is not None else "the installation's"
    quiet = f"{rules.quiet_from} to {rules.quiet_until} on the customer's clock" if rules.quiet_from else "none"
    rows = [
        ("account", one.id),
        ("name", one.name),
        ("currency", one.currency),
        ("time zone", one.timezone),
        ("frequency cap", f"{rules.cap_mails} marketing mails in {rules.cap_days} days ({own})"),
        ("quiet hours", f"{quiet} ({quiet_own})"),
        ("soft bounces", f"{rules.soft_bounces} in a row, {rules.soft_bounces_active} of who opened ({soft_own})"),
        ("language of pages", one.language or "English, where the customer's own is not known"),
    ]
    return table("", ["", ""], rows)
