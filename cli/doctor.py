"""Is this installation fit to send? Each check says what was found and, where it is wrong, what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from pydantic import ValidationError

import settings
from cli import prefect_api, services
from cli.output import Mistake
from providers.sendgrid.management import Management, ManagementError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_FRESH = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str


def examine() -> list[Check]:
    """Look at everything; a check that breaks is itself a finding."""
    try:
        config = settings.load()
    except ValidationError as error:
        names = ", ".join("OMS_" + "_".join(str(part) for part in one["loc"]).upper() for one in error.errors())
        return [Check("settings", ok=False, found=f"set {names} (.env.example explains them), or run `campaigns up`")]
    checks = [Check("settings", ok=True, found="complete")]
    for look in (_database, _features, _sandbox, _sendgrid, _gateway, _prefect):
        checks += _guarded(look, config)
    return checks


def _guarded(look: Callable[[settings.Settings], Iterator[Check]], config: settings.Settings) -> list[Check]:
    name = look.__name__.strip("_")
    try:
        return list(look(config))
    except (Mistake, ManagementError, httpx.HTTPError, OSError, LookupError, ValueError) as error:
        return [Check(name, ok=False, found=str(error) or type(error).__name__)]


def _database(config: settings.Settings) -> Iterator[Check]:
    import sqlalchemy as sa

    from data import migrate
    from tasks import wiring

    try:
        current = migrate.current(wiring.engine())
    except sa.exc.SQLAlchemyError as error:
        yield Check("database", ok=False, found=f"does not answer ({type(error).__name__}): check OMS_DATABASE_URL")
        return
    backend = sa.make_url(config.database.url).get_backend_name()
    fresh = current == migrate.newest()
    told = f"{backend}, schema {current}" if fresh else f"schema is {current or 'empty'}: run `campaigns migrate`"
    yield Check("database", ok=fresh, found=told)


def _features(config: settings.Settings) -> Iterator[Check]:
    from data import database
    from data.features import frame
    from tasks import wiring

    with database.read(wiring.engine()) as connection:
        as_of = frame.watermark(connection, config.account)
    if as_of is None:
        yield Check("customer features", ok=False, found="none yet: `campaigns features refresh` makes them")
        return
    fresh = wiring.clock() - as_of < _FRESH
    yield Check("customer features", ok=fresh, found=f"as of {as_of:%Y-%m-%d %H:%M} UTC")


def _sandbox(config: settings.Settings) -> Iterator[Check]:
    up = services.answers(f"{config.sandbox.url}/health")
    yield Check("sandbox ESP", ok=up, found=config.sandbox.url if up else "does not answer: `campaigns up` starts it")


def _sendgrid(config: settings.Settings) -> Iterator[Check]:
    if config.sendgrid.api_key is None:
        yield Check("SendGrid", ok=True, found="no key (OMS_SENDGRID_API_KEY): only the sandbox can send")
        return
    granted = Management(config.sendgrid).get("scopes", {})["scopes"]
    lacking = sorted({"mail.send"} - set(granted))
    keys = len(config.sendgrid.webhook_public_keys)
    yield Check("SendGrid key", ok=not lacking, found=f"lacks {', '.join(lacking)}" if lacking else "may send")
    told = f"{keys} key(s)" if keys else "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty: no event would be believed"
    yield Check("SendGrid webhook", ok=keys > 0, found=told)


def _gateway(config: settings.Settings) -> Iterator[Check]:
    up = services.answers(f"http://{config.gateway.host}:{config.gateway.port}/health")
    yield Check(
        "gateway", ok=up, found=config.gateway.public_url if up else "does not answer: `campaigns up` starts it"
    )


def _prefect(config: settings.Settings) -> Iterator[Check]:
    from prefect.exceptions import ObjectNotFound

    with prefect_api.client() as connected:
        yield Check("Prefect", ok=True, found=config.prefect.url)
        missing = []
        for name, full_name in prefect_api.DEPLOYMENTS.items():
            try:
                connected.read_deployment_by_name(full_name)
            except ObjectNotFound:
                missing.append(name)
        fresh = _offers_all_choices(connected) if not missing else False
    told = "complete and fresh"
    if missing:
        told = f"missing: {', '.join(missing)}: `campaigns up` deploys them"
    elif not fresh:
        told = "the run form lacks a segment or template that exists now: end `campaigns up` and start it again"
    yield Check("deployments", ok=not missing and fresh, found=told)


def _offers_all_choices(connected: "SyncPrefectClient") -> bool:
    """Choices of the form are fixed when the deployment is made."""
    import orjson

    from data import content
    from segments import registry

    deployment = connected.read_deployment_by_name(prefect_api.DEPLOYMENTS["run-campaign"])
    form = orjson.dumps(deployment.parameter_openapi_schema, default=str).decode()
    return all(f'"{name}"' in form for name in [*registry.load(), *content.names()])
