"""Mailchimp's webhooks as EventReaders: one of Marketing, one of Transactional.

Parsing needs no keys: a body in the inbox was verified before it was kept.
"""

from collections.abc import Iterator, Mapping, Sequence

from domain.delivery import DeliveryEvent, UnreadableEvent
from providers.mailchimp import events, signature, transactional_events


class MarketingEvents:
    """Without signing secrets Marketing signs nothing: then the secret in the URL is all that vouches for a body."""

    def __init__(self, signing_secrets: Sequence[str] = (), *, list_id: str = "") -> None:
        self._signing_secrets = tuple(signing_secrets)
        self._list_id = list_id

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Say whether Mailchimp signed this body; True where it signs none."""
        return not self._signing_secrets or signature.marketing(headers, body, self._signing_secrets)

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        return events.parse(body, list_id=self._list_id)


class TransactionalEvents:
    """The body's signature covers the URL that the webhook was registered with."""

    def __init__(self, keys: Sequence[str] = (), urls: Sequence[str] = ()) -> None:
        self._keys = tuple(keys)
        self._urls = tuple(urls)

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Say whether Mailchimp Transactional signed this body; never without a key."""
        return signature.transactional(headers, body, self._keys, self._urls)

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        return transactional_events.parse(body)
