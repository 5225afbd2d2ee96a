"""The ESPs: from the settings and routes.yaml to whoever sends, asks, reads and lists. Each has a pool of connections."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

import settings
from data import host_events, ledger
from data.strays import Origins
from domain import allow_list, ports
from domain.allow_list import AllowList
from domain.campaign_host import CampaignHost
from domain.routes import AUTOMATIC
from providers import esp_connection, readers, routes_file
from providers.dns import DnsNameServer
from providers.esp_connection import Connection, Contract
from providers.mailchimp.config import MailchimpNotConfigured
from providers.postmark.config import PostmarkNotConfigured
from providers.sandbox import faults
from providers.sandbox.marketing import schema
from providers.sandbox.record import SandboxRecord
from providers.sendgrid.config import SendGridNotConfigured
from providers.smtp.config import SmtpConfig, SmtpNotConfigured
from tasks.esp_kinds import AnyEsp, Lists, Marketing, Postmark, SendGrid, Smtp, Transactional

# What the settings themselves can reach, each by the contract that it speaks.
_BUILT_IN = esp_connection.BUILT_IN
NOT_CONFIGURED = (SendGridNotConfigured, MailchimpNotConfigured, PostmarkNotConfigured, SmtpNotConfigured)
# What is said of one relay and holds for no other.
_OF_ONE_RELAY = ("user", "password", "x_smtpapi", "dkim_domain", "dkim_selector", "dkim_key_file", "ca_file")
_NO_RELAY: Mapping[str, object] = {name: SmtpConfig.model_fields[name].default for name in _OF_ONE_RELAY}


class UnknownProvider(LookupError):
    """No provider of that name."""


def declared() -> routes_file.RoutesFile:
    """What routes.yaml says; nothing where there is none. Raises UnusableRoutes."""
    return routes_file.load(settings.routes_file())


def providers() -> tuple[str, ...]:
    """What a run may name: the settings' own, those that routes.yaml declares, and whichever is best."""
    own = tuple(one for one in declared().providers if one not in _BUILT_IN)
    return (*_BUILT_IN, *own, *([AUTOMATIC] if declared().providers else []))


def built_in() -> tuple[str, ...]:
    """What the settings themselves can reach."""
    return tuple(_BUILT_IN)


def is_set_up(provider: str) -> bool:
    """Whether there is a key, or an address, to reach it by, and it delivers to real people."""
    return provider not in declared().rehearsals and _reached(provider) is not None


def unusable(provider: str) -> str | None:
    """Why a provider cannot be reached, in one sentence; None where it can, whether or not it answers."""
    try:
        reach(provider).reached()
    except NOT_CONFIGURED as error:
        return str(error)
    return None


def is_declared(provider: str) -> bool:
    """Whether it can be reached still: mail of old may have gone by a name that routes.yaml has no longer."""
    return provider in _BUILT_IN or provider in declared().providers


def reach(provider: str) -> AnyEsp:
    """What there is at a provider, by the contract that it speaks. Raises UnknownProvider."""
    connection = declared().providers.get(provider)
    if connection is None and provider not in _BUILT_IN:
        raise UnknownProvider(f"there is no provider {provider!r}; there are: {', '.join(providers())}")
    contract = connection.contract if connection is not None else _BUILT_IN[provider]
    return _KINDS[contract](provider, connection)


def _sendgrid(provider: str, connection: Connection | None) -> AnyEsp:
    """The sandbox speaks SendGrid's API under its own address and key."""
    config, sandbox = settings.load().sendgrid, settings.load().sandbox
    base_url = connection.base_url if connection is not None else None
    if provider in declared().rehearsals:
        own: dict[str, object] = {
            "base_url": base_url or sandbox.url,
            "api_key": sandbox.api_key,
            "validate_only": False,
            "activity_lookup": sandbox.email_activity,
        }
    elif connection is not None:
        own = {
            "base_url": base_url or config.base_url,
            "api_key": _secret(connection),
            "activity_lookup": connection.activity_lookup,
        }
    else:
        own = {}
    return SendGrid(provider, config.model_copy(update=own | _concurrency(connection)))


def _transactional(provider: str, connection: Connection | None) -> AnyEsp:
    config = settings.load().mailchimp
    own: dict[str, object] = {}
    if connection is not None:
        own = _rehearsed("transactional", connection, faults.MANDRILL) or {
            "transactional_api_key": _secret(connection),
            "transactional_base_url": connection.base_url or config.transactional_base_url,
        }
        own["transactional_concurrency"] = connection.concurrency
        own["transactional_lookup"] = connection.activity_lookup
    return Transactional(provider, config.model_copy(update=own))


def _marketing(provider: str, connection: Connection | None) -> AnyEsp:
    config = settings.load().mailchimp
    own: dict[str, object] = {}
    if connection is not None:
        own = _rehearsed("marketing", connection, faults.MARKETING) or {
            "marketing_api_key": _secret(connection),
            "marketing_base_url": connection.base_url or config.marketing_base_url,
        }
        own["marketing_access_token"] = None  # the settings' own account's, and beside a key it is not plain whose
        rehearsed = schema.LIST_ID if connection.kind == "sandbox" else config.marketing_list_id
        own["marketing_list_id"] = connection.list_id or rehearsed
    return Marketing(provider, config.model_copy(update=own | _concurrency(connection)))


def _postmark(provider: str, connection: Connection | None) -> AnyEsp:
    config = settings.load().postmark
    own: dict[str, object] = {}
    if connection is not None:
        own = {"server_token": _secret(connection), "base_url": connection.base_url or config.base_url}
    return Postmark(provider, config.model_copy(update=own | _concurrency(connection)))


def _rehearsed(product: str, connection: Connection, path: str) -> dict[str, object]:
    """Where the sandbox plays one of Mailchimp's products, and by which key; nothing where this is Mailchimp itself."""
    if connection.kind != "sandbox":
        return {}
    sandbox = settings.load().sandbox
    own = {"api_key": sandbox.api_key, "base_url": f"{connection.base_url or sandbox.url}{path}"}
    return {f"{product}_{name}": value for name, value in own.items()}


def _smtp(provider: str, connection: Connection | None) -> AnyEsp:
    config = settings.load().smtp
    own: dict[str, object] = {}
    if connection is not None:
        own = _relay(connection) | connection.of_relay | {"connections": connection.concurrency}
        if connection.user is not None:
            own["password"] = _secret(connection)
    link_key = settings.load().privacy.link_key.get_secret_value()
    return Smtp(provider, config.model_copy(update=own), link_key=link_key)


def _relay(connection: Connection) -> dict[str, object]:
    """Where a relay is: smtps:// speaks TLS from the start, smtp:// after STARTTLS; the sandbox, on loopback, neither.

    One that is elsewhere than the settings' own gets nothing that is meant for that one: neither its password nor the
    ids, signatures and certificates.
    """
    if connection.kind == "sandbox":
        sandbox = settings.load().sandbox
        if sandbox.smtp_port is None:
            raise SmtpNotConfigured("the sandbox takes no mail by SMTP: set OMS_SANDBOX_SMTP_PORT, such as 8026")
        return {**_NO_RELAY, "host": sandbox.host, "port": sandbox.smtp_port, "security": "none"}
    if connection.base_url is None:
        return {}
    parts = urlsplit(connection.base_url)
    tls = parts.scheme == "smtps"
    return {
        **_NO_RELAY,
        "host": parts.hostname,
        "port": parts.port or (465 if tls else 587),
        "security": "tls" if tls else "starttls",
    }


def _secret(connection: Connection) -> SecretStr | None:
    return settings.secret(connection.api_key_env) if connection.api_key_env is not None else None


def _concurrency(connection: Connection | None) -> dict[str, object]:
    return {"concurrency": connection.concurrency} if connection is not None else {}


_KINDS: Mapping[Contract, Callable[[str, Connection | None], AnyEsp]] = {
    "sendgrid": _sendgrid,
    "mailchimp-transactional": _transactional,
    "mailchimp": _marketing,
    "postmark": _postmark,
    "smtp": _smtp,
}


def mailer(provider: str) -> ports.Mailer:
    """The ESP's adapter, with its own pool of connections; outside production it reaches our own people only.

    Nothing else opens one (tests/architecture holds that). Raises NotAMailer.
    """
    config, rehearsal = settings.load(), provider in declared().rehearsals
    return allow_list.guarded(reach(provider).mailer(), _internal(), config.environment, rehearsal=rehearsal)


def is_host(provider: str) -> bool:
    """Whether it stores the audience and sends the campaign itself."""
    return provider in declared().hosts


def campaign_host(provider: str) -> CampaignHost | None:
    """The campaign host that a provider is, with its own pool of connections, if it is one; close it. Guarded as mailers."""
    if not is_host(provider) or (host := reach(provider).host()) is None:
        return None
    config, rehearsal = settings.load(), provider in declared().rehearsals
    return allow_list.guarded_host(host, _internal(), config.environment, rehearsal=rehearsal)


def _internal() -> AllowList:
    return AllowList(tuple(settings.load().preflight.mailboxes))


def lists_of(account: str) -> Lists | None:
    """The suppression lists of an account at an ESP (`esp_account`), to be read and written; None: it has none."""
    return reach(_key_of(account)).lists()


def lists(account: str) -> Lists:
    """The same of an ESP that has some."""
    found = lists_of(account)
    assert found is not None, f"{account} has no suppression lists"
    return found


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
        return reach(provider).reached()
    except NOT_CONFIGURED:
        return None


def _key_of(account: str) -> str:
    """A provider by which an account at an ESP is reached: the one of that name, else the first in routes.yaml."""
    of_account = [name for name, one in declared().providers.items() if one.esp_account == account]
    return account if is_declared(account) or not of_account else of_account[0]


def webhook_of(account: str) -> str | None:
    """By whose webhook an account at an ESP tells its events; None where another one that mails tells its own by it."""
    routes = declared()
    vendors = {name: routes.vendors.get(name, name) for name in (*_BUILT_IN, *routes.providers)}
    own = vendors.get(_key_of(account))
    posting = [name for name, one in vendors.items() if one == own and name not in routes.rehearsals]
    return None if {esp_account(name) for name in posting if _reached(name) is not None} - {account} else own


def acceptance_record(provider: str) -> SandboxRecord | None:
    """What the ESP says it accepted; SendGrid sells that as an add-on, so there it is not asked."""
    return None if is_host(provider) or provider not in declared().rehearsals else sandbox_record()


def sandbox_record() -> SandboxRecord:
    """What the sandbox accepted, whoever it speaks like."""
    sandbox = settings.load().sandbox
    return SandboxRecord(sandbox.url, sandbox.api_key.get_secret_value())


def marketing_webhook_urls() -> list[str]:
    """Where Mailchimp Marketing's webhook may lead: one for each secret that the gateway knows."""
    config = settings.load()
    begin = f"{config.gateway.public_url}/webhooks/mailchimp"
    return [f"{begin}/{secret.get_secret_value()}" for secret in config.mailchimp.marketing_url_secrets]


def name_server() -> ports.NameServer:
    """Who tells where domains receive mail. Raises NoNameServer."""
    return DnsNameServer(settings.load().dns)


def event_readers() -> Mapping[str, ports.EventReader]:
    """Who understands the webhook bodies of which provider."""
    config = settings.load()
    posted = readers.event_readers(
        mailchimp=config.mailchimp,
        returned=config.returns,
        link_key=config.privacy.link_key.get_secret_value(),
        link_purpose=ledger.UNSUBSCRIBE_PURPOSE,
    )
    return {**posted, host_events.PROVIDER: host_events.PulledEvents()}


def origins() -> Origins:
    """Whose the ESPs are from which events come."""
    routes = declared()
    return Origins(routes.vendors, readers.webhook_accounts(routes, settings.load().account))
