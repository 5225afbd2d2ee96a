"""The command about routes: by which ESPs, pools and domains an account's mail leaves."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import typer

import settings
from cli import store
from cli.output import AsJson, answer, table
from domain import failover
from domain.failover import Needs
from domain.routes import Pace, Route
from domain.suppression import Stream
from domain.vetting import Standing

_HEADS = ("route", "stream", "provider", "pool", "domain", "priority", "share", "limits", "state")


def register(app: typer.Typer) -> None:
    """Add the command to the one entry point."""
    app.command("routes")(routes)


def routes(account: store.Account = None, as_json: AsJson = False) -> None:
    """By which ways the account's mail may leave, how much goes by each, and what carries nothing and why."""
    from data import accounts, database, vetting
    from tasks import esps, wiring

    declared = esps.declared()
    with database.read(store.engine()) as connection:
        one = accounts.get(connection, store.account_id(connection, account))
        standing = vetting.standing(connection, one.id)
    found = declared.of_account(one.id) or tuple(way for stream in Stream for way in wiring.routes(one, stream))
    unusable = {way.provider: esps.unusable(way.provider) for way in found}
    residency = declared.residency.get(one.id)
    refused = {
        way.name: failover.refused(way, Needs(one.id, way.stream, standing, residency=residency)) for way in found
    }
    payload = {
        "account": one.id,
        "declared": one.id in declared.accounts,
        "standing": standing,
        "residency": residency,
        "routes": [asdict(way) | {"refused": refused[way.name], "unusable": unusable[way.provider]} for way in found],
    }
    answer(payload, as_json=as_json, text="\n".join(_text(payload, found, standing)))


def _text(payload: dict[str, Any], found: Sequence[Route], standing: Standing) -> Iterator[str]:
    rows = [
        (
            *(one.name, one.stream, one.provider, one.pool, one.domain, one.priority, f"{one.share:g}"),
            "; ".join(_limits(one)) or "none",
            _state(one, told["refused"], told["unusable"]),
        )
        for one, told in zip(found, payload["routes"], strict=True)
    ]
    yield table("", _HEADS, rows)
    place = settings.load().routes.file
    if not payload["declared"]:
        yield f"{place} says nothing of this account: a run uses the route of the provider that is chosen for it."
    yield f"Standing: {standing}; `campaigns account vet` says by what."
    if payload["residency"]:
        yield f"Its data must stay in {payload['residency']}."


def _limits(one: Route) -> Iterator[str]:
    yield f"{one.concurrency} requests at once"
    if one.hand_over.per_minute is not None:
        yield f"to the ESP {_pace(one.hand_over)}"
    for group, pace in one.release.items():
        if pace.per_minute is not None:
            yield f"to {'every other' if group == '*' else group} {_pace(pace)}"


def _pace(pace: Pace) -> str:
    burst = "" if pace.burst is None else f", {pace.burst:,.0f} at once"
    return f"{pace.per_minute:,.0f} a minute{burst}"


def _state(one: Route, against: str | None, unusable: str | None) -> str:
    if against is not None:
        return f"carries nothing: {against}"
    if unusable is not None:
        return f"not set up: {unusable}"
    told = [
        *(["stands by"] if one.share == 0 else []),
        *(["shared pool"] if one.shared_pool else []),
        *(["warms up"] if one.warm_up else []),
    ]
    return ", ".join(told) or "in use"
