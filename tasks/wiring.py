"""Composition: from settings to the things that do the work. The one place that knows which provider is which."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

import settings
from data import accounts as account_rows
from data import content, database, installation, ledger, runs, variables
from data.channels import connections as connection_file
from data.intake import drain, thresholds
from domain import ports
from domain.campaigns import Run, RunPlan
from domain.templates import Content
from domain.validation import Validation
from providers.sandbox.record import SandboxRecord
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.mailer import open_mailer
from providers.sendgrid.management import Management
from providers.sendgrid.suppressions import SendGridSuppressions
from providers.sendgrid.webhook import SendGridEvents

PROVIDERS = ("sandbox", "sendgrid")


class CannotStart(RuntimeError):
    """The run cannot begin; nothing was changed. The message says what to do."""


class UnknownProvider(LookupError):
    """No provider of that name."""


def clock() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def engine() -> sa.Engine:
    """The one store."""
    return database.engine_for(settings.load().database.url)


def _sendgrid_config(provider: str) -> SendGridConfig:
    """The sandbox speaks SendGrid's API under its own address and key."""
    config = settings.load()
    if provider == "sendgrid":
        return config.sendgrid
    if provider == "sandbox":
        sandbox = config.sandbox
        return config.sendgrid.model_copy(
            update={"base_url": sandbox.url, "api_key": sandbox.api_key, "validate_only": False}
        )
    raise UnknownProvider(f"there is no provider {provider!r}; there are: {', '.join(PROVIDERS)}")


def mailer(provider: str) -> ports.Mailer:
    """The ESP's adapter, with its own pool of connections."""
    return open_mailer(_sendgrid_config(provider))


def suppression_source(provider: str) -> ports.SuppressionSource:
    """The ESP's own suppression lists."""
    return SendGridSuppressions(Management(_sendgrid_config(provider)))


def acceptance_record(provider: str) -> ports.AcceptanceRecord | None:
    """What the ESP says it accepted; SendGrid sells that as an add-on, so there it is not asked."""
    if provider != "sandbox":
        return None
    sandbox = settings.load().sandbox
    return SandboxRecord(sandbox.url, sandbox.api_key.get_secret_value())


def event_readers() -> Mapping[str, ports.EventReader]:
    """Who understands the webhook bodies of which provider."""
    return {"sendgrid": SendGridEvents(settings.load().sendgrid.webhook_public_keys)}


def pepper() -> str:
    """The key of the address hash."""
    return settings.load().privacy.pepper.get_secret_value()


def content_of(connection: sa.Connection, run: Run) -> tuple[content.Template, Content]:
    """The run's template, and what it says once the shop's own facts are filled in."""
    account = account_rows.get(connection, run.plan.account_id)
    template = content.load(run.plan.template)
    constants = {
        "shop_name": account.name,
        "postal_address": account.postal_address,
        "sender_name": run.plan.sender.name,
    }
    return template, content.render(template, constants, subject=run.plan.subject)


def connections() -> connection_file.Connections:
    """Which shops sell where. Raises UnusableConnections."""
    return connection_file.load(settings.load().intake.channels_file)


def order_intake() -> drain.Intake:
    """What turning intake records into orders takes. Raises UnusableConnections, UnusableThresholds."""
    return drain.Intake(
        engine=engine(),
        connections=connections(),
        book=thresholds.load(settings.load().intake.thresholds_file),
        pepper=pepper(),
        clock=clock,
        judge=_judge_intake,
    )


def _judge_intake(**counts: Any) -> Validation:
    """Great Expectations costs four seconds to import: only who has enough orders to judge pays."""
    from data.expectations import gate

    return gate.check_intake(**counts)


def check_live(plan: RunPlan) -> None:
    """Refuse a live run whose mail could not be answered for. Raises CannotStart."""
    config = settings.load()
    if not plan.live:
        return
    esp = _sendgrid_config(plan.provider)
    longest = esp.connect_timeout_seconds + esp.read_timeout_seconds
    if config.sending.lease_seconds < 2 * longest:
        raise CannotStart(f"OMS_SENDING_LEASE_SECONDS must be at least {2 * longest:.0f}: twice a request's time-outs.")
    if plan.provider == "sandbox":
        return
    if not config.gateway.reachable:
        raise CannotStart(
            "OMS_GATEWAY_PUBLIC_URL must be an https address that customers can reach: unsubscribe links begin with it."
        )
    if esp.validate_only:
        raise CannotStart("OMS_SENDGRID_VALIDATE_ONLY is on: SendGrid would accept everything and send nothing.")


def check_environment(connection: sa.Connection, plan: RunPlan) -> None:
    """Refuse a live run in a database that belongs elsewhere, such as a copy. Raises ForeignDatabase."""
    if plan.live:
        installation.check(connection, settings.load().environment, now=clock())


def links() -> ledger.Links:
    """How unsubscribe links are made."""
    config = settings.load()
    return ledger.Links(config.gateway.public_url, config.privacy.link_key.get_secret_value())


def book(run_id: str) -> ledger.SqlLedger:
    """The ledger of one run."""
    with database.read(engine()) as connection:
        run = runs.get(connection, run_id)
        template, rendered = content_of(connection, run)
    return ledger.SqlLedger(
        engine=engine(),
        run=run,
        content=rendered,
        fallbacks=dict(template.fallbacks),
        links=links(),
        policy=settings.load().sending,
        clock=clock,
    )


def sample_values(template: content.Template) -> dict[str, str]:
    """Values for a preview that is nobody's."""
    shown = {name: f"[{variables.VARIABLES[name].meaning}]" for name in template.used if name in variables.VARIABLES}
    return {**shown, variables.UNSUBSCRIBE_URL: "https://…/unsubscribe/…"}
