"""Commands about the HTTP API's keys: which program of the shop may ask for mail."""

from typing import Annotated, Any

import typer

from cli import store
from cli.output import AsJson, answer, table

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and dashes, such as web-shop.")]


@app.command("create")
def create(
    name: Name,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="messages:send or messages:read, each with :TEMPLATE too; both unless given; repeatable.",
        ),
    ] = None,
    per_minute: Annotated[int, typer.Option(help="So many requests a minute, over all gateways.")] = 600,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, once: it is kept nowhere."""
    import settings
    from data import api_keys, database, message_values
    from domain.api_keys import Action, check
    from tasks import wiring

    scopes = scope or [str(one) for one in Action]
    check(name, scopes, per_minute, message_values.names(settings.load().content.templates))
    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        key, secret = api_keys.create(
            connection,
            account_id=account_id,
            name=name,
            scopes=scopes,
            per_minute=per_minute,
            actor=store.person(),
            now=wiring.clock(),
        )
    facts: dict[str, Any] = {"account": account_id, "name": name, "scopes": list(key.scopes), "per_minute": per_minute}
    text = (
        f"{secret}\n\nThis is the key {name} of {account_id}. It is shown this once: put it where the program keeps its"
        f" secrets. It may {', '.join(key.scopes)}, {per_minute:,} requests a minute. `campaigns api-keys revoke {name}` ends it."
    )
    answer({**facts, "key": secret}, as_json=as_json, text=text)


@app.command("list")
def list_keys(account: store.Account = None, as_json: AsJson = False) -> None:
    """The account's keys, what each may do and when it was used last; never the keys themselves."""
    from data import api_keys, database

    with database.read(store.engine()) as connection:
        found = api_keys.listing(connection, store.account_id(connection, account))
    heads = ["key", "scopes", "per minute", "made", "by", "last used", "revoked"]
    rows = [
        (
            one.name,
            ", ".join(one.scopes),
            one.per_minute,
            one.created_at,
            one.created_by,
            one.last_used_at,
            one.revoked_at,
        )
        for one in found
    ]
    empty = "No keys: no program can ask for mail over HTTP. `campaigns api-keys create` makes one."
    facts = [dict(one._mapping) for one in found]
    answer(facts, as_json=as_json, text=table("", heads, rows) if rows else empty)


@app.command("revoke")
def revoke(name: Name, account: store.Account = None, as_json: AsJson = False) -> None:
    """Let nobody in by a key any more, from the next request on. What was asked for with it goes all the same."""
    from data import api_keys, database
    from tasks import wiring

    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        changed = api_keys.revoke(connection, account_id, name, actor=store.person(), now=wiring.clock())
    text = f"Key {name} lets nobody in any more." if changed else f"Key {name} was revoked before; nothing was changed."
    answer({"account": account_id, "name": name, "revoked": changed}, as_json=as_json, text=text)
