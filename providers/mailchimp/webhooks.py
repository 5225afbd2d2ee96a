"""The webhook of a Mailchimp audience, as Mailchimp has it: read, compared with what we need, and made.

Mailchimp tells the signing secret once, in the answer by which a webhook is made, and never again (the vendor's
"Subscribe to webhooks"). One that was made before signing existed has `signing_enabled` off and stays unsigned. The
webhook's URL ends in a secret of ours (docs/webhooks.md), so no message here shows one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from providers.mailchimp import campaign
from providers.mailchimp.calls import CallFailed, open_marketing
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.sdk import Marketing, rows, text

# What somebody did who may not be mailed any more. The others tell nothing that we could keep (events.py).
_NEEDED = ("unsubscribe", "cleaned")
_EVENTS = {
    **dict.fromkeys(_NEEDED, True),
    **dict.fromkeys(("subscribe", "profile", "upemail", "campaign"), False),
}
# Without `api` our own writes do not come back; who else writes there by API is read with the audience's lists.
_SOURCES = {"user": True, "admin": True, "api": False}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of the audience. `lacks`: events and sources that we need, and that it does not tell of."""

    id: str
    url: SecretStr
    signed: bool
    lacks: tuple[str, ...]

    @property
    def host(self) -> str:
        """Where it leads, without the path, which may end in a secret."""
        return urlsplit(self.url.get_secret_value()).hostname or ""


@dataclass(frozen=True, slots=True)
class Registered:
    """A webhook that was made. The secret is told now or never: OMS_MAILCHIMP_MARKETING_SIGNING_SECRETS."""

    id: str
    signing_secret: SecretStr | None


class AudienceWebhooks:
    """Of one list. Raises HostUnavailable and HostRefuses, as a host does."""

    def __init__(self, api: Marketing, list_id: str) -> None:
        self._api = api
        self._list = list_id

    def webhooks(self) -> list[Webhook]:
        """All that the audience has."""
        try:
            return [_webhook(row) for row in rows(self._api.lists.get_list_webhooks(self._list), "webhooks")]
        except CallFailed as error:
            raise campaign.told(error) from None

    def register_webhook(self, url: str) -> Registered:
        """Make it. Mailchimp asks the URL by a GET first, so the gateway must be reachable.

        An answer that never came leaves a webhook whose secret nobody knows: `webhooks` shows it; `remove` it, and
        begin anew.
        """
        body = {"url": url, "events": _EVENTS, "sources": _SOURCES}
        try:
            answer = self._api.lists.create_list_webhook(self._list, body)
            secret = answer.get("signing_secret") if isinstance(answer, dict) else None
            return Registered(text(answer, "id"), SecretStr(secret) if isinstance(secret, str) and secret else None)
        except CallFailed as error:
            raise campaign.told(error) from None

    def remove(self, webhook_id: str) -> None:
        """Take it away."""
        try:
            self._api.lists.delete_list_webhook(self._list, webhook_id)
        except CallFailed as error:
            raise campaign.told(error) from None

    def close(self) -> None:
        """Give the pooled connections back."""
        self._api.close()


def open_webhooks(config: MailchimpConfig) -> AudienceWebhooks:
    """The webhooks of the configured audience; close it. Raises MailchimpNotConfigured and HostUnavailable."""
    list_id = config.required_list_id()
    try:
        return AudienceWebhooks(Marketing(open_marketing(config)), list_id)
    except CallFailed as error:
        raise campaign.told(error) from None


def findings(found: Sequence[Webhook], urls: Sequence[str], *, secrets_set: bool) -> list[str]:
    """What is wrong with the audience's webhooks, in sentences; empty: nothing.

    `urls`: where the gateway listens, one for each secret that it knows. `secrets_set`: it demands signatures.
    """
    ours = [one for one in found if one.url.get_secret_value() in urls]
    if not ours:
        return ["the audience has no webhook to the gateway: nobody hears at once who left or bounced there"]
    told = []
    if len(ours) > len(urls):
        told.append(f"{len(ours)} webhooks of the audience lead to the gateway: every event comes as often")
    lacks = sorted({name for one in ours for name in one.lacks})
    if lacks:
        told.append(f"the audience's webhook does not tell of: {', '.join(lacks)}")
    if secrets_set and not all(one.signed for one in ours):
        told.append(
            "the audience's webhook is unsigned, and signing secrets are set: the gateway refuses what it posts"
        )
    if not secrets_set and any(one.signed for one in ours):
        told.append(
            "the audience's webhook is signed, and no signing secret is set: only the secret in its URL vouches for it."
            " Was the signing secret lost, take the webhook away and make it anew"
        )
    return told


def _webhook(row: dict[str, Any]) -> Webhook:
    events, sources = row.get("events") or {}, row.get("sources") or {}
    lacks = [
        *(name for name in _NEEDED if events.get(name) is not True),
        *(f"source {name}" for name, wanted in _SOURCES.items() if wanted and sources.get(name) is not True),
    ]
    return Webhook(text(row, "id"), SecretStr(text(row, "url")), row.get("signing_enabled") is True, tuple(lacks))
