"""Which webhooks are set up here: from settings to doors, and to who reads what came in by them.

Without a key nothing can be authentic, so a door without one stays shut. But what is in the inbox was verified, and is
read whatever keys there are now.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from pydantic import SecretStr

from data import host_events, ledger
from domain.ports import EventReader
from gateway.oauth import TokenDesk
from gateway.webhooks import Door
from providers.mailchimp import events as marketing
from providers.mailchimp import transactional_events as transactional
from providers.mailchimp.webhook import MarketingEvents, TransactionalEvents
from providers.postmark import events as postmark
from providers.postmark.webhook import PostmarkEvents
from providers.readers import event_readers
from providers.sendgrid import signature
from providers.sendgrid.webhook import SendGridEvents
from settings import Settings

_log = logging.getLogger(__name__)
_OK = 200  # Mailchimp's documents ask for 200, not for any 2xx


def token_desk(settings: Settings, clock: Callable[[], datetime]) -> TokenDesk | None:
    """Who makes the tokens that SendGrid's posts must bear; None where none are asked for."""
    config = settings.sendgrid
    if not config.webhook_oauth_client_id:
        return None
    return TokenDesk(config.webhook_oauth_client_id, _plain(config.webhook_oauth_client_secrets), clock)


def doors(settings: Settings, desk: TokenDesk | None) -> Mapping[str, Door]:
    """Provider → door. Raises SendGridNotConfigured where a key of SendGrid's is none."""
    found: dict[str, Door] = {}
    keys = settings.sendgrid.webhook_public_keys
    if keys:
        signature.checkers_for(keys)  # a key that is none would refuse every event: better not to start
        found["sendgrid"] = Door(SendGridEvents(keys), desk=desk)
    else:
        _log.warning(
            "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty: SendGrid's events are refused, there is no key for them"
        )
    config = settings.mailchimp
    if config.marketing_url_secrets:
        found[marketing.PROVIDER] = Door(
            MarketingEvents(_plain(config.marketing_signing_secrets), list_id=config.marketing_list_id),
            secrets=tuple(_plain(config.marketing_url_secrets)),
            probes=frozenset({"GET", "HEAD"}),
            success=_OK,
        )
    if config.transactional_webhook_keys:
        own = f"{settings.gateway.public_url}/webhooks/{transactional.PROVIDER}"
        found[transactional.PROVIDER] = Door(
            TransactionalEvents(_plain(config.transactional_webhook_keys), config.transactional_urls(own)),
            probes=frozenset({"GET", "HEAD"}),
            is_probe=transactional.is_empty,
            success=_OK,
        )
    if settings.postmark.webhook_credentials:
        found[postmark.PROVIDER] = Door(PostmarkEvents(_plain(settings.postmark.webhook_credentials)))
    return found


def readers(settings: Settings) -> Mapping[str, EventReader]:
    """Who reads the bodies of which provider."""
    posted = event_readers(
        mailchimp=settings.mailchimp,
        returned=settings.returns,
        link_key=settings.privacy.link_key.get_secret_value(),
        link_purpose=ledger.UNSUBSCRIBE_PURPOSE,
    )
    return {**posted, host_events.PROVIDER: host_events.PulledEvents()}


def _plain(secrets: list[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]
