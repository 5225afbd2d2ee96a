"""Commands about guardrails: what is watched of a run and what holds it back; lifting a brake, overruling a canary."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment, table
from cli.run_commands import RunId

if TYPE_CHECKING:
    from data.brakes import Brake
    from data.guardrails import Observed
    from domain.campaigns import Run
    from domain.guardrails import Guard

app = typer.Typer(no_args_is_help=True)
OneRun = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run; without it: all brakes of the account.")]
By = Annotated[str, typer.Option("--by", help="Your name; kept in the audit log.")]
Why = Annotated[str, typer.Option("--why", help="Why; kept in the audit log, without addresses.")]
_HEADS = ["mailbox provider", "accepted", "heard", "delivered", "hard", "blocked", "put off", "complaints", "pace"]


@app.command("show")
def show(run_id: OneRun = None, account: store.Account = None, as_json: AsJson = False) -> None:
    """What came back of a run so far by mailbox provider, how its canary fares, and what holds it back.

    Without a run: every brake in force of the account, those of all its runs too.
    """
    if run_id is None:
        _show_account(account, as_json)
    else:
        _show_run(run_id, as_json)


def _show_account(account: str | None, as_json: bool) -> None:
    from data import brakes, database
    from tasks import wiring

    with database.read(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        held = brakes.of_account(connection, account_id, wiring.clock())
    text = "\n\n".join(map(brake_sentence, held)) or "No brake is in force: all mail goes at its own pace."
    answer({"account": account_id, "brakes": [asdict(one) for one in held]}, as_json=as_json, text=text)


def _show_run(run_id: str, as_json: bool) -> None:
    from data import brakes, database, guardrails, runs
    from tasks import wiring

    with database.read(store.engine()) as connection:
        run = runs.get(connection, run_id)
        observed = guardrails.observe(connection, run, wiring.clock())
        held = brakes.in_force(connection, run.plan.account_id, run_id, observed.at)
        alone = brakes.of_providers(connection, run.plan.account_id, observed.at)
    judged = guardrails.judge(observed)
    payload = {
        "run": run_id,
        "canary": {"state": run.canary, "figures": run.canary_figures},
        "groups": {
            group: {**asdict(seen), "action": judged[group].action, "reason": judged[group].reason}
            for group, seen in observed.whole.items()
        },
        "brakes": [asdict(one) for one in (*held.values(), *alone.values())],
    }
    text = "\n\n".join([_text(run, observed, judged, held), *map(brake_sentence, alone.values())])
    answer(payload, as_json=as_json, text=text)


def _text(run: "Run", observed: "Observed", judged: "dict[str, Guard]", held: "dict[str, Brake]") -> str:
    rows = [_row(group, observed, held) for group in sorted(observed.whole.keys() | held.keys())]
    lines = [_canary(run), ""]
    lines.append(table("", _HEADS, rows) if rows else "Nothing was accepted by an ESP yet.")
    lines += [f"\n{brake_sentence(one)}" for one in held.values()]
    coming = {group: one for group, one in judged.items() if one.reason and group not in held}
    lines += [f"\n{group} is to {one.action}: {one.reason}" for group, one in coming.items()]
    return "\n".join(lines)


def _canary(run: "Run") -> str:
    if run.canary is None:
        return "This run has no canary."
    reason = (run.canary_figures or {}).get("reason")
    return f"Canary: {run.canary}{f' ({reason})' if reason else ''}"


def _row(group: str, observed: "Observed", held: "dict[str, Brake]") -> tuple[Any, ...]:
    from domain.guardrails import Results

    seen = observed.whole.get(group, Results())
    pace = "100%" if group not in held else f"{held[group].factor:.0%}"
    counts = (seen.accepted, seen.heard, seen.delivered, seen.hard, seen.blocked, seen.deferred, seen.complained)
    return group, *counts, pace


def brake_sentence(one: "Brake") -> str:
    """What is slowed or stopped, since when, until when, and why."""
    ends = f"until {moment(one.until)} UTC" if one.until else "until it is lifted"
    who = f"{one.provider} at {one.mailbox_group}" if one.provider else one.mailbox_group
    whose = f" of run {one.run_id}" if one.run_id else ""
    pace = "stopped" if one.factor == 0 else f"at {one.factor:.0%} of its pace"
    return f"Brake {one.id} on {who}{whose}: {pace} since {moment(one.set_at)} UTC, {ends}: {one.reason}"


@app.command("lift")
def lift(
    brake_id: Annotated[int, typer.Argument(metavar="BRAKE", help="Its number; `campaigns guards show` lists it.")],
    by: By,
    why: Why,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Take a brake back. The guard begins anew: only mail that goes out from now on counts for that group."""
    from data import brakes, database
    from tasks import wiring

    _said(by, why)
    with database.write(store.engine()) as connection:
        one = brakes.lift(
            connection,
            brake_id,
            account_id=store.account_id(connection, account),
            by=by,
            why=why,
            now=wiring.clock(),
        )
    text = f"Lifted: {one.mailbox_group} goes at its own pace again, and is judged anew by what goes out from now on."
    answer({"lifted": one}, as_json=as_json, text=text)


@app.command("go-on")
def go_on(run_id: RunId, by: By, why: Why, as_json: AsJson = False) -> None:
    """Let a run go on although its canary did badly. It is continued by `campaigns resume RUN`."""
    from data import database, guardrails
    from tasks import wiring

    _said(by, why)
    with database.write(store.engine()) as connection:
        guardrails.overrule(connection, run_id, by=by, note=why, now=wiring.clock())
    text = f"The canary of run {run_id} is overruled. Continue with `campaigns resume {run_id}`."
    answer({"run": run_id, "canary": "overruled"}, as_json=as_json, text=text)


def _said(by: str, why: str) -> None:
    if not by.strip() or not why.strip():
        raise Mistake("--by and --why must say something: they are kept in the audit log")
