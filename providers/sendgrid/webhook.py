"""SendGrid's event webhook as an EventReader."""

from collections.abc import Iterator, Mapping, Sequence

from domain.delivery import DeliveryEvent, UnreadableEvent
from providers.sendgrid import events, signature


class SendGridEvents:
    """Verify and parse. Only the first needs keys: a body in the inbox was verified before it was kept."""

    def __init__(self, public_keys: Sequence[str]) -> None:
        self._public_keys = tuple(public_keys)

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Say whether SendGrid signed this body. Raises SendGridNotConfigured without a usable key."""
        return signature.verify(headers, body, self._public_keys)

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        return events.parse(body)
