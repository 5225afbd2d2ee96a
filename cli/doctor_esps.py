"""The part of `campaigns doctor` that asks each ESP: does its key fit, and does it sign for the domains of the routes?

A key that may do more than the engine ever does is a warning: whoever steals it has all of that (least privilege).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli import mistakes
from cli.check import Check
from settings import Settings

if TYPE_CHECKING:
    from domain.access import Access
    from domain.routes import Route

_SHOWN = 5


def keys(config: Settings) -> Iterator[Check]:
    """Every ESP that is set up, each with its key, its domains and its pools."""
    found = _set_up(config)
    if not found:
        yield Check(
            "ESPs", ok=True, found="no key of any: only the sandbox can send. docs/operations.md links each ESP's page"
        )
    for name in found:
        try:
            yield from _esp(name, config)
        except Exception as error:
            if (line := mistakes.line(error)) is None:
                raise
            yield Check(f"ESP {name}", ok=False, found=line)


def sendgrid_webhook(config: Settings) -> Iterator[Check]:
    """Would an event of SendGrid be believed?"""
    from tasks import half_configured

    lacks = list(half_configured.sendgrid(config))
    count = len(config.sendgrid.webhook_public_keys)
    told = f"{count} public key(s)" if count else "not set up; docs/webhooks.md tells how, if this shop mails by it"
    yield Check("SendGrid webhook", ok=not lacks, found="; ".join(lacks) or told)


def postmark(config: Settings) -> Iterator[Check]:
    """Would an event of Postmark be believed?"""
    from tasks import half_configured

    lacks = list(half_configured.postmark(config))
    count = len(config.postmark.webhook_credentials)
    told = f"{count} pair(s) of user and password" if count else "not set up; docs/postmark.md tells how"
    yield Check("Postmark webhook", ok=not lacks, found="; ".join(lacks) or told)


def returns_of_relays(config: Settings) -> Iterator[Check]:
    """What is set of relays is judged whether or not one answers: do bounces come to a mailbox that is read?"""
    from tasks import half_configured

    if lacks := list(half_configured.smtp(config)):
        yield Check("SMTP relays", ok=False, found=f"half configured: {'; '.join(lacks)}. docs/smtp.md")


def _set_up(config: Settings) -> list[str]:
    """The names of those that can send to real people, and of those that a key is there for that does not fit."""
    from tasks import esps

    declared = esps.declared()
    begun = _begun(config)
    own = [one for one in esps.built_in() if one not in declared.providers and (one in begun or esps.is_set_up(one))]
    return [*own, *(name for name in declared.providers if name not in declared.rehearsals)]


def _begun(config: Settings) -> set[str]:
    """Those of the settings that have a key or an address, whether or not it can be used."""
    mailchimp = config.mailchimp
    said = {
        "sendgrid": config.sendgrid.api_key,
        "mailchimp": mailchimp.marketing_api_key or mailchimp.marketing_access_token,
        "mailchimp-transactional": mailchimp.transactional_api_key,
        "postmark": config.postmark.server_token,
        "smtp": config.smtp.host,
    }
    return {name for name, value in said.items() if value}


def _esp(name: str, config: Settings) -> Iterator[Check]:
    from tasks import esps

    access = esps.reach(name).access()
    if access.lacking:
        yield Check(f"ESP {name}", ok=False, found=f"the key lacks {_listed(access.lacking)}")
    elif access.beyond:
        told = f"the key may do more than is needed: {_listed(access.beyond)}. Make one with less (docs/operations.md)"
        yield Check(f"ESP {name}", ok=True, warning=True, found=told)
    else:
        told = "; ".join(["answers, and takes the key", *access.untold])
        yield Check(f"ESP {name}", ok=True, found=told)
    yield from _audience_webhooks(name)
    if access.domains is not None:
        shown = [
            f"{one.name} ({'authenticated' if one.valid else 'its DNS records do not hold'})" for one in access.domains
        ]
        yield Check(f"domains at {name}", ok=True, found=_listed(shown) or "none")
    if access.pools:
        yield Check(f"pools at {name}", ok=True, found=_listed(access.pools))
    for route in esps.declared().of_account(config.account):
        if route.provider == name:
            yield from _route(route, access)


def _audience_webhooks(name: str) -> Iterator[Check]:
    """Does an audience of Mailchimp tell this gateway what happens there?"""
    from contextlib import closing

    from providers.mailchimp import webhooks
    from settings import load
    from tasks import esps
    from tasks.esp_kinds import Marketing

    if not isinstance(reached := esps.reach(name), Marketing):
        return
    with closing(webhooks.open_webhooks(reached.config)) as opened:
        found = opened.webhooks()
    secrets_set = bool(load().mailchimp.marketing_signing_secrets)
    told = webhooks.findings(found, esps.marketing_webhook_urls(), secrets_set=secrets_set)
    how = (
        "; ".join([*told, "`campaigns webhooks` lists and makes them"])
        if told
        else "tells this gateway all that is needed"
    )
    yield Check(f"webhook at {name}", ok=True, warning=bool(told), found=how)


def _route(route: "Route", access: "Access") -> Iterator[Check]:
    from domain.access import Signing

    what = f"route {route.name}"
    signs = access.signs_for(route.domain)
    if signs in {Signing.NO, Signing.BROKEN} and route.authenticated:
        told = f"{route.domain}: {signs}. Authenticate it there, or say authenticated: false in routes.yaml"
        yield Check(what, ok=False, found=told)
    elif signs is Signing.PARENT:
        yield Check(what, ok=True, warning=True, found=f"{route.domain}: {signs}; does it sign for this one as well?")
    elif signs is Signing.YES and not route.authenticated:
        told = f"{route.domain} is authenticated there, and routes.yaml says authenticated: false: nothing goes by it"
        yield Check(what, ok=True, warning=True, found=told)
    if route.ip_pool is not None and access.pools is not None and route.ip_pool not in access.pools:
        yield Check(
            what, ok=False, found=f"there is no pool {route.ip_pool} there: mail by this route would be refused"
        )


def _listed(names: "tuple[str, ...] | list[str]") -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
