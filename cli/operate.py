"""Commands that run the installation: up, demo, doctor."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import orjson
import typer

import settings
from cli import services
from cli.output import AsJson, answer, console, table

HOME = Path("var")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("doctor")(doctor)


def up() -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    _first_start()
    config = settings.load()
    if (already := _running()) is not None:
        _show(config, "Already running", already)
        return
    prepare(config)
    console.print("Starting the sandbox ESP, the gateway, Prefect and a worker (about half a minute) ...")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    state = HOME / "up.json"
    with services.running(config, HOME) as pids:
        state.write_bytes(orjson.dumps({"pid": os.getpid(), "services": pids}))
        try:
            _show(config, "Running", {"services": pids})
            console.print("Ctrl-C ends it. Everything is kept under var/.")
            stop.wait()
            console.print("Ending ...")
        finally:
            state.unlink(missing_ok=True)


def _first_start() -> None:
    """Without a .env, write one with secrets of its own: addresses are looked up by a key that nobody else has."""
    target = Path(".env")
    if target.exists() or {"OMS_PRIVACY_PEPPER", "OMS_PRIVACY_LINK_KEY"} <= os.environ.keys():
        return
    target.touch(mode=0o600)
    target.write_text(
        "# Written by `campaigns up`; .env.example explains every setting. Keep the pepper: suppressions hang on it.\n"
        f"OMS_PRIVACY_PEPPER={services.new_secret()}\nOMS_PRIVACY_LINK_KEY={services.new_secret()}\n"
    )
    console.print("Wrote .env with new secrets. Keep it: suppressions and unsubscribe links hang on them.")


def _running() -> dict[str, Any] | None:
    """What an earlier `up` left in var/up.json, if that process is still there."""
    try:
        state: dict[str, Any] = orjson.loads((HOME / "up.json").read_bytes())
        os.kill(state["pid"], 0)
    except (OSError, orjson.JSONDecodeError):
        return None
    return state


def prepare(config: settings.Settings) -> None:
    """Schema and account."""
    from data import accounts, database, migrate
    from domain.accounts import Account
    from tasks import wiring

    migrate.upgrade(wiring.engine())
    account = config.shop
    with database.write(wiring.engine()) as connection:
        accounts.ensure(
            connection,
            Account(
                id=config.account,
                name=account.name,
                currency=account.currency,
                timezone=account.timezone,
                postal_address=account.postal_address,
                sender_email=account.sender_email,
                sender_name=account.sender_name,
            ),
            now=wiring.clock(),
        )


def _show(config: settings.Settings, title: str, state: dict[str, Any]) -> None:
    pids = state["services"]
    rows = [(one.name, one.page or "", str(pids.get(one.name, ""))) for one in services.catalogue(config)]
    rows.append(("worker", "", str(pids.get("worker", ""))))
    console.print(table(title, ["service", "address", "process"], rows))


def demo() -> int:
    """One campaign on real orders, end to end, in a store of its own. Ends by itself."""
    from cli.demo import run

    return run()


def doctor(as_json: AsJson = False) -> int:
    """Check settings, database, Prefect, ESP keys and deployments. Exit status 1 when something is wrong."""
    from cli.doctor import examine

    checks = examine()
    rows = [("ok" if one.ok else "WRONG", one.what, one.found) for one in checks]
    answer(checks, as_json=as_json, text=table("Doctor", ["", "what", "found"], rows))
    return 0 if all(one.ok for one in checks) else 1
