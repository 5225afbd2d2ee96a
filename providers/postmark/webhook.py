"""Postmark's webhook as an EventReader. It signs nothing: the user and password in the webhook's URL vouch for a body."""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping, Sequence

from domain.delivery import DeliveryEvent, UnreadableEvent
from providers.postmark import events


class PostmarkEvents:
    """`credentials`: each user:password; without any nothing is believed."""

    def __init__(self, credentials: Sequence[str] = ()) -> None:
        self._credentials = tuple(credentials)

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:  # noqa: ARG002 - the body is not signed
        """Say whether the request bears our password."""
        given = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        scheme, _, encoded = given.partition(" ")
        try:
            told = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        # Each is compared, so that the time tells nothing of which it was.
        matches = [hmac.compare_digest(told, one.encode()) for one in self._credentials]
        return scheme.lower() == "basic" and any(matches)

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        return events.parse(body)
