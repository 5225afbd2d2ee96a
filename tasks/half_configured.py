"""What is set up by half: each sentence names the variable and what goes wrong without it. Nothing is asked of anybody.

A half configuration is worse than none: mail goes out, and nobody hears what became of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import settings
from providers.esp_connection import Connection, Contract, on_this_machine
from providers.mailchimp.config import MailchimpNotConfigured
from settings import Settings
from tasks import esps
from tasks.esp_kinds import Smtp

_SMTP_SANDBOX = ("sandbox", "smtp")


def faults(config: Settings) -> list[str]:
    """All of them: with any, nothing is started."""
    return [*routes(), *(one for lacks in _OF.values() for one in lacks(config)), *smtp(config), *returned(config)]


def of_provider(provider: str, config: Settings) -> list[str]:
    """Of the contract that this provider speaks: with any, no live mail goes by it. Each relay is one of its own."""
    contract = esps.declared().contracts[provider]
    return list(_relay(provider, config) if contract == "smtp" else _OF[contract](config))


def _declared(kind: str) -> list[Connection]:
    return [one for one in esps.declared().providers.values() if one.kind == kind]


def routes() -> Iterator[str]:
    """What routes.yaml needs of the settings and nobody set: its keys, and the port of a sandbox that speaks SMTP."""
    keys = {one.api_key_env for one in esps.declared().providers.values() if one.api_key_env is not None}
    if lacking := sorted(key for key in keys if settings.secret(key) is None):
        yield f"routes.yaml names {', '.join(lacking)}, and nothing of that name is set, in the environment or .env"
    rehearsing = [name for name, one in esps.declared().providers.items() if (one.kind, one.contract) == _SMTP_SANDBOX]
    if rehearsing and settings.load().sandbox.smtp_port is None:
        yield f"{' and '.join(rehearsing)} speaks smtp, and the sandbox takes none: set OMS_SANDBOX_SMTP_PORT, such as 8026"


def sendgrid(config: Settings) -> Iterator[str]:
    """SendGrid by the settings or by routes.yaml."""
    if config.sendgrid.api_key is not None or _declared("sendgrid"):
        yield from sendgrid_events(config)


def sendgrid_events(config: Settings) -> Iterator[str]:
    """Its Event Webhook, by which it also tells what became of mail through its relay."""
    if not config.sendgrid.webhook_public_keys:
        yield "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty: no event of SendGrid would be believed"


def marketing(config: Settings) -> list[str]:
    """Mailchimp Marketing and its webhook."""
    mailchimp, lacks, rows = config.mailchimp, [], _declared("mailchimp")
    reached = mailchimp.marketing_api_key or mailchimp.marketing_access_token
    try:
        mailchimp.marketing_token()
    except MailchimpNotConfigured as error:
        lacks.append(str(error))
    if not mailchimp.marketing_url_secrets and mailchimp.marketing_signing_secrets:
        lacks.append("OMS_MAILCHIMP_MARKETING_URL_SECRETS is empty, so its webhook's door is shut")
    if not mailchimp.marketing_url_secrets and (reached or rows):
        lacks.append("OMS_MAILCHIMP_MARKETING_URL_SECRETS is empty, so who leaves there is known a night late")
    if not mailchimp.marketing_list_id and (reached or any(one.list_id is None for one in rows)):
        lacks.append("OMS_MAILCHIMP_MARKETING_LIST_ID is empty, so there is no audience whose lists could be read")
    if mailchimp.marketing_list_id and not (reached or rows or mailchimp.marketing_url_secrets):
        lacks.append(
            "OMS_MAILCHIMP_MARKETING_LIST_ID is set, and neither OMS_MAILCHIMP_MARKETING_API_KEY nor …_URL_SECRETS"
        )
    only_rehearsed = _only_rehearsed("mailchimp", mailchimp.marketing_base_url if reached else None, bool(reached))
    if mailchimp.marketing_url_secrets and not (config.gateway.reachable or only_rehearsed):
        lacks.append(_unreachable(config.gateway.public_url))
    return lacks


def transactional(config: Settings) -> list[str]:
    """Mailchimp Transactional and its webhook."""
    mailchimp, lacks = config.mailchimp, []
    if not mailchimp.transactional_webhook_keys and (
        mailchimp.transactional_api_key or mailchimp.transactional_webhook_urls or _declared("mailchimp-transactional")
    ):
        lacks.append("OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS is empty, so its webhook's door is shut")
    key = mailchimp.transactional_api_key
    near = config.gateway.reachable or _only_rehearsed(
        "mailchimp-transactional", mailchimp.transactional_base_url, bool(key)
    )
    if mailchimp.transactional_webhook_keys and not (mailchimp.transactional_webhook_urls or near):
        lacks.append(_unreachable(config.gateway.public_url))
    return lacks


def _only_rehearsed(contract: Contract, base_url: str | None, has_key: bool) -> bool:
    """Whether all that speak this contract are on this machine, as the sandbox is, so that no vendor calls the gateway."""
    rows = [one for one in esps.declared().providers.values() if one.contract == contract]
    here = [one.kind == "sandbox" or on_this_machine(one.base_url or base_url) for one in rows]
    own = [on_this_machine(base_url)] if has_key else []
    return bool([*here, *own]) and all([*here, *own])


def _unreachable(url: str) -> str:
    return f"Mailchimp cannot reach OMS_GATEWAY_PUBLIC_URL, {url}: it takes HTTPS and a name that the world knows"


def postmark(config: Settings) -> Iterator[str]:
    """Postmark by the settings or by routes.yaml."""
    if (config.postmark.server_token is not None or _declared("postmark")) and not config.postmark.webhook_credentials:
        yield "OMS_POSTMARK_WEBHOOK_CREDENTIALS is empty: no event of Postmark would be believed"


def smtp(config: Settings) -> Iterator[str]:
    """Relays, by the settings or by routes.yaml: bounces must come to a mailbox that somebody reads."""
    relays = [name for name, one in esps.declared().providers.items() if one.kind == "smtp"]
    own = ["smtp"] if config.smtp.host and "smtp" not in relays else []
    yield from dict.fromkeys(fault for name in [*own, *relays] for fault in _relay(name, config))


def _relay(provider: str, config: Settings) -> Iterator[str]:
    esp = esps.reach(provider)
    assert isinstance(esp, Smtp), f"{provider} is no relay"
    connection, mailbox = esps.declared().providers.get(provider), esp.config.return_mailbox
    says = connection is not None and connection.return_mailbox is not None
    said = f"return_mailbox of {provider} in routes.yaml" if says else "OMS_SMTP_RETURN_MAILBOX"
    if not esp.config.host:
        return
    if esp.config.x_smtpapi:
        yield from sendgrid_events(config)
    elif not mailbox:
        yield f"{said} is empty: nobody would learn of bounces"
    elif mailbox not in config.returns.addresses:
        yield f"OMS_RETURNS_ADDRESSES does not name {mailbox} ({said}): bounces would be refused"


def returned(config: Settings) -> Iterator[str]:
    """Mail that comes back."""
    returns = config.returns
    imap = {"HOST": returns.imap_host, "USER": returns.imap_user, "PASSWORD": returns.imap_password}
    missing = [f"OMS_RETURNS_IMAP_{name}" for name, value in imap.items() if not value]
    if missing and len(missing) < len(imap):
        yield f"{' and '.join(missing)} not set, so no mailbox is read"
    if returns.tls_key and not returns.tls_certificate:
        yield "OMS_RETURNS_TLS_KEY is set and OMS_RETURNS_TLS_CERTIFICATE is not, so there is no STARTTLS"
    if returns.imap_host and not returns.mailboxes:
        yield "OMS_RETURNS_ADDRESSES is empty: name the address that this mailbox receives for"
    if returns.trust_addresses and not returns.mailboxes:
        yield "OMS_RETURNS_TRUST_ADDRESSES is true, and no mailbox is named in OMS_RETURNS_ADDRESSES"


_OF: Mapping[Contract, Callable[[Settings], Iterable[str]]] = {
    "sendgrid": sendgrid,
    "mailchimp": marketing,
    "mailchimp-transactional": transactional,
    "postmark": postmark,
}
