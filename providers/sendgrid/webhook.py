"""SendGrid's event webhook as an EventReader."""

from collections.abc import Iterator, Mapping, Sequence

from domain.delivery import DeliveryEvent, UnreadableEvent
from providers.sendgrid import events, signature


class SendGridEvents:
    """Verify and parse. Raises SendGridNotConfigured at once where there is no usable key: a gateway refuses to start."""

    def __init__(self, public_keys: Sequence[str]) -> None:
        signature.checkers_for(public_keys)
        self._public_keys = tuple(public_keys)

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        return signature.verify(headers, body, self._public_keys)

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        return events.parse(body)
