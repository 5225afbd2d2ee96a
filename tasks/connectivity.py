"""Whether each provider that mail may leave by answers and takes our key, and what the DNS of its domains must have."""

from typing import Any

import settings
from domain.access import Access, Signing
from domain.campaign_host import HostRefuses, HostUnavailable
from domain.preflight import Light, Line
from domain.sender_domain import DomainRequest
from providers.mailchimp.calls import CallFailed
from providers.mailchimp.sender_domain import marketing_request, transactional_request
from providers.postmark.access import TokenRefused
from providers.sandbox.record import RecordUnavailable
from providers.sendgrid.management import Management, ManagementError
from providers.sendgrid.sender_domain import request_for
from providers.smtp.access import RelayRefuses
from tasks import esps
from tasks.esp_kinds import Marketing, Postmark, SendGrid, Smtp, Transactional

AREA = "connectivity"
SENDER_DOMAIN = "sender domain"
_REFUSED = frozenset({401, 403})
# What asking an ESP raises, by its contract.
_TROUBLE = (ManagementError, CallFailed, HostUnavailable, HostRefuses, RelayRefuses, TokenRefused)
_PAGE = {"limit": 500}
_SIGNING = {Signing.YES: Light.GREEN, Signing.PARENT: Light.YELLOW, Signing.BROKEN: Light.RED, Signing.NO: Light.RED}


def lines(provider: str, domain: str) -> list[Line]:
    """Does it answer and take our key, and does it sign for this domain, as far as it tells? Nothing is sent.

    The first line is that of the connection: RED where it refuses us or is not set up, GREY where it gave no answer.
    Raises UnknownProvider.
    """
    if provider in esps.declared().rehearsals:
        return [_sandbox(provider)]
    try:
        esp = esps.reach(provider)
        if (why := esp.refuses()) is not None:
            return [Line(AREA, provider, Light.RED, why, "change that setting")]
        access = esp.access()
    except esps.NOT_CONFIGURED as error:
        return [Line(AREA, provider, Light.RED, f"it is not set up: {error}", "set it in .env, or leave this ESP out")]
    except _TROUBLE as error:
        return [_unanswered(provider, str(error), refused=_says_no(error))]
    except NotImplementedError:
        return [Line(AREA, provider, Light.BLUE, "there is no way to ask it before it is sent to")]
    return [_key(provider, access), *_domain(provider, domain, access)]


def _sandbox(provider: str) -> Line:
    """Asked for something that needs its key."""
    try:
        esps.sandbox_record().accepted("preflight")
    except RecordUnavailable as error:
        return Line(AREA, provider, Light.GREY, str(error), "start it: `campaigns up`")
    return Line(AREA, provider, Light.GREEN, "it answers and takes the key; it delivers to nobody")


def _says_no(error: Exception) -> bool:
    """It answered, and asking again changes nothing."""
    match error:
        case RelayRefuses() | TokenRefused():
            return error.refused
        case ManagementError() | CallFailed():
            return error.status in _REFUSED
        case _:
            return isinstance(error, HostRefuses)


def _unanswered(provider: str, told: str, *, refused: bool) -> Line:
    if refused:
        return Line(AREA, provider, Light.RED, told, "set a key that may send; docs/operations.md names what it needs")
    return Line(AREA, provider, Light.GREY, told, "try again in some minutes")


def _key(provider: str, access: Access) -> Line:
    if not access.lacking:
        return Line(AREA, provider, Light.GREEN, "it answers and takes the key")
    light = Light.RED if any("send" in one for one in access.lacking) else Light.YELLOW
    told = f"it answers, and the key lacks {', '.join(access.lacking)}"
    return Line(AREA, provider, light, told, "grant it, or make another key")


def _domain(provider: str, domain: str, access: Access) -> list[Line]:
    if (signs := access.signs_for(domain)) is None:
        return []
    mend = "" if signs is Signing.YES else f"authenticate {domain} at {provider}, and publish what it asks for"
    return [Line(SENDER_DOMAIN, domain, _SIGNING[signs], f"{provider}: {signs}", mend)]


def domain_request(provider: str, domain: str) -> DomainRequest:
    """What is to be asked of the DNS about a domain that this provider sends from: as its API says, where it does."""
    match esps.reach(provider):
        case SendGrid() as sendgrid:
            return request_for(domain, authenticated=_at_sendgrid(sendgrid, domain))
        case Transactional():
            return transactional_request(domain)
        case Marketing():
            return marketing_request(domain)
        case Smtp() as relay:
            return _of_relay(relay, domain)
        case Postmark():  # its selectors have the day in their names: nobody can know them
            selectors = tuple(settings.load().preflight.dkim_selectors)
            return DomainRequest(domain, esp=provider, selectors=selectors, esp_return_path=True)
        case other:  # of which nobody said what it signs by
            return DomainRequest(domain, esp=other.name, selectors=tuple(settings.load().preflight.dkim_selectors))


def _at_sendgrid(sendgrid: SendGrid, domain: str) -> dict[str, Any] | None:
    try:
        found = Management(sendgrid.config).get("whitelabel/domains", _PAGE)
    except (
        ManagementError,
        *esps.NOT_CONFIGURED,
    ):  # the usual names are asked for; that it does not answer has its own line
        return None
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return next((row for row in rows if str(row.get("domain", "")).lower() == domain.lower()), None)


def _of_relay(relay: Smtp, domain: str) -> DomainRequest:
    """No relay tells what it signs by, or from where it sends: the settings do."""
    config, told = relay.config, settings.load().preflight
    own = (config.dkim_selector,) if config.dkim_domain else ()
    return DomainRequest(
        domain,
        esp=relay.name,
        return_path=config.return_mailbox.rpartition("@")[2],
        relays=tuple(map(str, told.relay_addresses)),
        selectors=own or tuple(told.dkim_selectors),
        dkim_domain=config.dkim_domain,
    )
