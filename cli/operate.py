"""Commands that run the installation: up, demo, doctor."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import dotenv
import orjson
import typer

import settings
from cli import services, store
from cli.output import AsJson, Mistake, answer, console, table

HOME = Path("var")
_SECRETS = ("OMS_PRIVACY_PEPPER", "OMS_PRIVACY_LINK_KEY")
_UNFIT = 1
_LOOK_SECONDS = 2.0


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("doctor")(doctor)


def up() -> None:
    """Start everything on this machine and keep it running until Ctrl-C.

    It answers nothing, so it has no --json; what runs stands in var/up.json.
    """
    _first_start()
    config = settings.load()
    if (already := _running()) is not None:
        _show(config, "Already running", already)
        return
    from tasks import half_configured

    if faults := half_configured.faults(config):
        told = "; ".join(faults)
        raise Mistake(f"half of a configuration: {told}. Nothing was started; `campaigns doctor` says more")
    store.prepare(store.connectable())
    console.print("Starting the sandbox ESP, the gateway, Prefect, a dispatcher and a worker (half a minute) ...")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    state = HOME / "up.json"
    with services.running(config, HOME) as running:
        _note(state, running)
        try:
            _show(config, "Running", {"services": running.pids})
            console.print("Ctrl-C ends it. Everything is kept under var/.")
            while not stop.wait(_LOOK_SECONDS):
                for told in running.mend():
                    console.print(told, markup=False)
                    _note(state, running)
            console.print("Ending ...")
        finally:
            state.unlink(missing_ok=True)


def _note(state: Path, running: services.Running) -> None:
    """What an `up` beside this one tells of."""
    state.write_bytes(orjson.dumps({"pid": os.getpid(), "services": running.pids}))


def _first_start() -> None:
    """Write the secrets that .env lacks, while there is no database yet: what is in one is looked up by its own."""
    missing = [name for name in _SECRETS if settings.secret(name) is None]
    if not missing:
        return
    if _has_database():
        raise Mistake(
            f"{' and '.join(missing)} must be set in .env as they were when the database was made; nothing was started."
            " For a new database make a key for each: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    target = Path(".env")
    try:
        target.touch(mode=0o600)
        target.chmod(0o600)  # one that was there before may have been for all eyes
        for name in missing:
            dotenv.set_key(target, name, services.new_secret(), quote_mode="never")
    except OSError as error:
        raise Mistake(f".env cannot be written in this folder: {error.strerror}") from error
    console.print("Wrote new secrets into .env. Keep it: suppressions and unsubscribe links hang on them.")


def _has_database() -> bool:
    """Whether there may be one. Of a server's it is not known before the settings are whole."""
    from sqlalchemy import make_url

    from data.config import DatabaseConfig

    declared = settings.secret("OMS_DATABASE_URL")
    url = make_url(declared.get_secret_value() if declared else DatabaseConfig().url)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def _running() -> dict[str, Any] | None:
    """What an earlier `up` left in var/up.json, if that process is still there."""
    try:
        state: dict[str, Any] = orjson.loads((HOME / "up.json").read_bytes())
        os.kill(state["pid"], 0)
    except (OSError, orjson.JSONDecodeError):
        return None
    return state


def _show(config: settings.Settings, title: str, state: dict[str, Any]) -> None:
    pids = state["services"]
    rows = [(one.name, str(pids.get(one.name, "")), one.page or "") for one in services.catalogue(config)]
    rows += [(name, str(pids.get(name, "")), "") for name in ("dispatcher", "worker")]
    console.print(table(title, ["service", "process", "address"], rows), markup=False)


def demo(as_json: AsJson = False) -> int:
    """One campaign on real orders, end to end, in a store of its own. Ends by itself.

    Exit status 1 when the audit does not balance or disagrees with the ESP's own record. With --json the figures come
    to standard output, and the story to standard error.
    """
    from cli import demo as story

    console.stderr = as_json
    status = story.run()
    if as_json:
        sys.stdout.write((story.HOME / "summary.json").read_text("utf-8"))
    return status


def doctor(as_json: AsJson = False) -> int:
    """Is this installation fit to send? Settings, database, ESPs, gateway, Prefect, deployments.

    Exit status 1 when something is wrong.
    """
    from cli.doctor import examine

    checks = examine()
    fit = all(one.ok for one in checks)
    rows = [("WRONG" if not one.ok else "warn" if one.warning else "ok", one.what, one.found) for one in checks]
    answer({"ok": fit, "checks": checks}, as_json=as_json, text=table("", ["", "what", "found"], rows))
    return 0 if fit else _UNFIT
