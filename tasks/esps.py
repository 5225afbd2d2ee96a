"""The ESPs: from the settings and routes.yaml to whoever sends, asks, reads and lists. Each has a pool of connections."""

from collections.abc import Mapping

import settings
from data import ledger
from data.strays import Origins
from domain import esp_record, ports
from domain.routes import AUTOMATIC
from providers import readers, routes_file
from providers.dns import DnsNameServer
from providers.mailchimp.suppressions import MarketingSuppressions, TransactionalSuppressions
from providers.sandbox.record import SandboxRecord
from providers.sendgrid.activity import open_activity
from providers.sendgrid.config import SendGridConfig, SendGridNotConfigured
from providers.sendgrid.inquiry import open_inquirer
from providers.sendgrid.mailer import open_mailer
from providers.sendgrid.management import Management
from providers.sendgrid.schedule import open_scheduler
from providers.sendgrid.stats import open_stats
from providers.sendgrid.suppressions import SendGridSuppressions

MAILCHIMP_LISTS: dict[str, type[MarketingSuppressions] | type[TransactionalSuppressions]] = {
    "mailchimp": MarketingSuppressions,
    "mailchimp-transactional": TransactionalSuppressions,
}
_BUILT_IN = ("sandbox", "sendgrid")


class UnknownProvider(LookupError):
    """No provider of that name."""


def declared() -> routes_file.RoutesFile:
    """What routes.yaml says; nothing where there is none. Raises UnusableRoutes."""
    return routes_file.load(settings.routes_file())


def providers() -> tuple[str, ...]:
    """What a run may name: the settings' own two, those that routes.yaml declares, and whichever is best."""
    own = tuple(declared().providers)
    return (*_BUILT_IN, *own, *([AUTOMATIC] if own else []))


def is_declared(provider: str) -> bool:
    """Whether it can be reached still: mail of old may have gone by a name that routes.yaml has no longer."""
    return provider in _BUILT_IN or provider in declared().providers


def sendgrid_config(provider: str) -> SendGridConfig:
    """How to reach a provider. The sandbox speaks SendGrid's API under its own address and key. Raises UnknownProvider."""
    if provider in declared().providers:
        return _of_connection(declared().provider(provider))
    if provider == "sendgrid":
        return settings.load().sendgrid
    if provider == "sandbox":
        return _of_sandbox(None)
    raise UnknownProvider(f"there is no provider {provider!r}; there are: {', '.join(providers())}")


def _of_connection(connection: routes_file.Connection) -> SendGridConfig:
    own = settings.load().sendgrid
    if connection.kind == "sandbox":
        found = _of_sandbox(connection.base_url)
    else:
        assert connection.api_key_env is not None, "the file demands it"
        found = own.model_copy(
            update={
                "api_key": settings.secret(connection.api_key_env),
                "base_url": connection.base_url or own.base_url,
                "activity_lookup": connection.activity_lookup,
            }
        )
    return found.model_copy(update={"concurrency": connection.concurrency})


def _of_sandbox(base_url: str | None) -> SendGridConfig:
    sandbox = settings.load().sandbox
    own = {
        "base_url": base_url or sandbox.url,
        "api_key": sandbox.api_key,
        "validate_only": False,
        "activity_lookup": sandbox.email_activity,
    }
    return settings.load().sendgrid.model_copy(update=own)


def mailer(provider: str) -> ports.Mailer:
    """The ESP's adapter, with its own pool of connections."""
    return open_mailer(sendgrid_config(provider))


def scheduler(provider: str) -> ports.Scheduler | None:
    """Who names the batches that the ESP lets go later, if it does; close it."""
    return open_scheduler(sendgrid_config(provider))


def inquirer(provider: str) -> ports.Inquirer | None:
    """Who asks the ESP what became of a batch, if it can be asked; close it."""
    return open_inquirer(sendgrid_config(provider))


def suppression_source(account: str) -> ports.SuppressionSource:
    """The suppression lists of an account at an ESP (`esp_account`), to be read."""
    return _lists(account)


def suppression_sink(account: str) -> ports.SuppressionSink:
    """The same, to be written to."""
    return _lists(account)


def _lists(account: str) -> SendGridSuppressions | MarketingSuppressions | TransactionalSuppressions:
    if account in MAILCHIMP_LISTS:
        return MAILCHIMP_LISTS[account](settings.load().mailchimp)
    return SendGridSuppressions(Management(sendgrid_config(_key_of(account))))


def stats_source(provider: str) -> esp_record.StatsSource:
    """The ESP's own statistics; close it."""
    return open_stats(sendgrid_config(provider))


def esp_account(provider: str) -> str:
    """The name of its account at the ESP, which is one for all keys of it: lists and statistics are the account's.

    What routes.yaml says. Unsaid it is the provider's own name, or that of the first one with the same address and key.
    """
    rows = declared().providers
    named = {one.esp_account for one in rows.values()}
    declared_as = {name: one.esp_account or (name if name in named else None) for name, one in rows.items()}
    if said := declared_as.get(provider):
        return said
    reached = _reached(provider)
    same = [one for one in (*_BUILT_IN, *declared_as) if reached is not None and _reached(one) == reached]
    return next((said for one in same if (said := declared_as.get(one))), same[0] if same else provider)


def _reached(provider: str) -> tuple[str, str] | None:
    """Where and by which key; None where that is not set up."""
    if not is_declared(provider):
        return None
    try:
        config = sendgrid_config(provider)
        return config.base_url, config.required_key()
    except SendGridNotConfigured:
        return None


def _key_of(account: str) -> str:
    """A provider by which an account at an ESP is reached: the one of that name, else the first in routes.yaml."""
    of_account = [name for name, one in declared().providers.items() if one.esp_account == account]
    return account if is_declared(account) or not of_account else of_account[0]


def webhook_of(account: str) -> str | None:
    """By whose webhook an account at an ESP tells its events; None where another one that mails tells its own by it."""
    if account in MAILCHIMP_LISTS:
        return account
    routes = declared()
    vendors = {name: routes.vendors.get(name, name) for name in (*_BUILT_IN, *routes.providers)}
    own = vendors.get(_key_of(account))
    posting = [name for name, one in vendors.items() if one == own and name not in routes.rehearsals]
    return None if {esp_account(name) for name in posting if _reached(name) is not None} - {account} else own


def activity_source(provider: str) -> esp_record.ActivitySource | None:
    """Who tells what happened to messages when no webhook did, if the account bought it; close it."""
    return open_activity(sendgrid_config(provider))


def acceptance_record(provider: str) -> SandboxRecord | None:
    """What the ESP says it accepted; SendGrid sells that as an add-on, so there it is not asked."""
    if provider not in declared().rehearsals:
        return None
    config = sendgrid_config(provider)
    return SandboxRecord(config.base_url, config.required_key())


def name_server() -> ports.NameServer:
    """Who tells where domains receive mail. Raises NoNameServer."""
    return DnsNameServer(settings.load().dns)


def event_readers() -> Mapping[str, ports.EventReader]:
    """Who understands the webhook bodies of which provider."""
    config = settings.load()
    return readers.event_readers(
        mailchimp=config.mailchimp,
        returned=config.returns,
        link_key=config.privacy.link_key.get_secret_value(),
        link_purpose=ledger.UNSUBSCRIBE_PURPOSE,
    )


def origins() -> Origins:
    """Whose the ESPs are from which events come."""
    routes = declared()
    return Origins(routes.vendors, readers.webhook_accounts(routes, settings.load().account))
