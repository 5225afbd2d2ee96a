"""Composition: from settings to the things that do the work. The one place that knows which provider is which."""

import math
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import settings
from data import accounts as account_rows
from data import (
    brands,
    content,
    database,
    esp_templates,
    installation,
    ledger,
    message_rules,
    order_triggers,
    runs,
    variables,
    vetting,
)
from data.channels import connections as connection_file
from data.intake import drain, thresholds
from domain import failover
from domain.accounts import Account
from domain.campaigns import Run, RunPlan, Sender
from domain.esp_templates import kept_name
from domain.failover import Needs
from domain.policy import SendingPolicy
from domain.routes import AUTOMATIC, Route
from domain.suppression import Stream
from domain.template_fields import Purpose
from domain.templates import Content
from domain.validation import Validation
from providers import routes_file
from providers.sendgrid.schedule import CALL_BACK_UNTIL
from tasks import esps, half_configured

# Marketing has four fifths of these under way at once; with the three unknown ones that open the breaker that is nine.
_MOST_CALLED_BACK = 8
_FLOW_COMES = timedelta(minutes=2)  # process-delivery-events runs every minute; the second is for the call itself


class CannotStart(RuntimeError):
    """The run cannot begin; nothing was changed. The message says what to do."""


def clock() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def engine() -> sa.Engine:
    """The one store."""
    return database.engine_for(settings.load().database.url)


def batch_size(run: Run) -> int:
    """So many messages the largest ESP that this run may go through takes in one request; for others batches are cut."""
    with database.read(engine()) as connection:
        account = account_rows.get(connection, run.plan.account_id)
    names = {way.provider for way in ways(account, run.plan) if not esps.is_host(way.provider)}
    with ExitStack() as stack:
        mailers = [stack.enter_context(closing(esps.mailer(name))) for name in sorted(names)]
        return max((one.capabilities.batch_size for one in mailers), default=settings.load().sending.batch_size)


def pepper() -> str:
    """The key of the address hash."""
    return settings.load().privacy.pepper.get_secret_value()


def content_of(connection: sa.Connection, run: Run) -> tuple[content.Template, Content]:
    """The run's template, and what it says once the shop's own facts are filled in.

    Of one that its ESP keeps: the version that the run has pinned. Raises NotPinned.
    """
    if kept_name(run.plan.template) is not None:
        pinned = esp_templates.of_run(connection, run)
        return esp_templates.as_template(pinned), esp_templates.as_content(pinned, subject=run.plan.subject)
    account = account_rows.get(connection, run.plan.account_id)
    return local_content(account, run.plan.sender, run.plan.template, subject=run.plan.subject)


def local_content(
    account: Account, sender: Sender, name: str, *, subject: str | None
) -> tuple[content.Template, Content]:
    """A local template, and what it says of this account, in its brand. Raises TemplateError."""
    own = own_templates()
    template = content.load(name, own)
    constants = {"shop_name": account.name, "postal_address": account.postal_address, "sender_name": sender.name}
    return template, content.render(template, constants, subject=subject, brand=brands.load(own, account.id))


def own_templates() -> Path | None:
    """The shop's own folder of templates and brands, beside the shipped ones."""
    return settings.without_secrets().content.templates


def campaign_templates() -> list[str]:
    """The names of templates that a campaign may use."""
    return content.names(own_templates(), purpose=Purpose.CAMPAIGN)


def connections() -> connection_file.Connections:
    """Which shops sell where. Raises UnusableConnections."""
    return connection_file.load(settings.load().intake.channels_file)


def order_intake() -> drain.Intake:
    """What turning intake records into orders takes.

    Raises UnusableConnections, UnusableThresholds, UnusableMessages: then orders wait as records, and nothing is lost.
    """
    declared = connections()
    return drain.Intake(
        engine=engine(),
        connections=declared,
        book=thresholds.load(settings.load().intake.thresholds_file),
        pepper=pepper(),
        clock=clock,
        judge=_judge_intake,
        triggers=order_triggers.book(message_rules.load(settings.load().messages.file), declared, own_templates()),
    )


def _judge_intake(**counts: Any) -> Validation:
    """Great Expectations costs four seconds to import: only who has enough orders to judge pays."""
    from data.expectations import gate

    return gate.check_intake(**counts)


def check_live(plan: RunPlan, account: Account) -> None:
    """Refuse a live run whose mail could not be answered for. Raises CannotStart."""
    if not plan.live:
        return
    found = ways(account, plan)
    if not found:
        raise CannotStart(
            f"No way out: routes.yaml declares no marketing route of account {account.id} for provider"
            f" {plan.provider!r}. docs/routes.md shows how; `campaigns routes` lists what there is."
        )
    if plan.two_phase:
        _check_call_back(settings.load().sending, max(way.concurrency for way in found))
    for provider in sorted({way.provider for way in found}):
        _check_provider(provider)


def _check_provider(provider: str) -> None:
    config, esp = settings.load(), esps.reach(provider)
    longest = esp.longest_request_seconds
    if config.sending.lease_seconds < 2 * longest:
        raise CannotStart(f"OMS_SENDING_LEASE_SECONDS must be at least {2 * longest:.0f}: twice a request's time-outs.")
    if provider in esps.declared().rehearsals:
        return
    if not config.gateway.reachable:
        raise CannotStart(
            "OMS_GATEWAY_PUBLIC_URL must be an https address that customers can reach: unsubscribe links begin with it."
        )
    if (why := esp.refuses()) is not None:
        raise CannotStart(why)
    if lacks := half_configured.of_provider(provider, config):
        raise CannotStart(f"{provider} is half configured: {'; '.join(lacks)}. `campaigns doctor` says more.")


def routes(account: Account, stream: Stream) -> tuple[Route, ...]:
    """By which ways this stream of the account leaves: those that routes.yaml declares for it, else the built-in ones."""
    return esps.declared().routes(account.id, stream) or _built_in(account, stream)


def _built_in(account: Account, stream: Stream) -> tuple[Route, ...]:
    domain = account.sender_email.rpartition("@")[2]
    return tuple(
        replace(one, concurrency=_at_once(one.provider))
        for one in routes_file.built_in(account.id, domain)
        if one.stream is stream
    )


def _at_once(provider: str) -> int:
    """How many requests at once the settings allow a provider of theirs; the sandbox as many as SendGrid."""
    config = settings.load()
    own = {
        "mailchimp-transactional": config.mailchimp.transactional_concurrency,
        "mailchimp": config.mailchimp.concurrency,
        "postmark": config.postmark.concurrency,
        "smtp": config.smtp.connections,
    }
    return own.get(provider, config.sendgrid.concurrency)


def ways(account: Account, plan: RunPlan) -> tuple[Route, ...]:
    """The routes of the provider that a run names, or all that are declared for its account."""
    own = esps.declared().routes(account.id, Stream.MARKETING)
    if plan.provider == AUTOMATIC:  # a host sends whole campaigns: only who names it can mean it
        return tuple(one for one in own if not esps.is_host(one.provider))
    found = tuple(one for one in own if one.provider == plan.provider)
    return found or tuple(one for one in _built_in(account, Stream.MARKETING) if one.provider == plan.provider)


def permitted(connection: sa.Connection, run: Run) -> list[Route]:
    """Of these, those that may carry the run's mail."""
    _, rendered = content_of(connection, run)
    asked = needs(connection, run, rendered)
    found = ways(account_rows.get(connection, run.plan.account_id), run.plan)
    return [route for route in found if failover.refused(route, asked) is None]


def needs(connection: sa.Connection, run: Run, rendered: Content) -> Needs:
    """What the run's mail asks of a route."""
    account = run.plan.account_id
    return Needs(
        account,
        Stream.MARKETING,
        standing=vetting.standing(connection, account),
        template_at=run.plan.provider if rendered.esp_template_id else None,
        residency=esps.declared().residency.get(account),
    )


def _check_call_back(sending: SendingPolicy, concurrency: int) -> None:
    """A batch whose worker died must be found, and called back, while the ESP still forgets it. Raises CannotStart."""
    if concurrency > _MOST_CALLED_BACK:
        raise CannotStart(
            f"SendGrid cancels ten batches at a time: a run that can be called back needs a concurrency of"
            f" {_MOST_CALLED_BACK} or less, and a route of it has {concurrency}."
        )
    needed = CALL_BACK_UNTIL + timedelta(seconds=sending.lease_seconds) + _FLOW_COMES
    if timedelta(minutes=sending.call_back_minutes) < needed:
        raise CannotStart(
            f"OMS_SENDING_CALL_BACK_MINUTES must be at least {math.ceil(needed / timedelta(minutes=1))}: a dead worker"
            " is noticed when its lease is over, and the ESP forgets mail up to ten minutes before it goes."
        )


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
        account, asked = account_rows.get(connection, run.plan.account_id), needs(connection, run, rendered)
    return ledger.SqlLedger(
        engine=engine(),
        run=run,
        content=rendered,
        fallbacks=dict(template.fallbacks),
        links=links(),
        policy=settings.load().sending,
        clock=clock,
        routes=ways(account, run.plan),
        needs=asked,
    )


def sample_values(template: content.Template) -> dict[str, str]:
    """Values for a preview that is nobody's."""
    shown = {name: f"[{variables.VARIABLES[name].meaning}]" for name in template.used if name in variables.VARIABLES}
    return {**shown, variables.UNSUBSCRIBE_URL: "https://…/unsubscribe/…"}
