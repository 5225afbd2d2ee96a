"""What a campaign host was asked of its recipients, as bodies of the inbox: applied as what webhooks bring is applied.

The same event by both ways is one, as its dedupe key is made of what happened and not of how we heard of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import islice

import orjson

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent

# By this name the inbox knows such bodies, whichever host told.
PROVIDER = "campaign-host"
_A_BODY = 500


def bodies(events: Iterable[DeliveryEvent]) -> Iterator[bytes]:
    """As many bodies as it takes, of bounded size."""
    rest = iter(events)
    while some := list(islice(rest, _A_BODY)):
        yield orjson.dumps([{name: value for name, value in asdict(one).items() if value is not None} for one in some])


class PulledEvents:
    """Reads such bodies (domain.ports.EventReader). Nobody posts them, so nothing is ever verified."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:  # noqa: ARG002
        """None of these comes by the door."""
        return False

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        """Raises ValueError for what `bodies` did not write."""
        for position, row in enumerate(orjson.loads(body)):
            try:
                yield _event(row)
            except (KeyError, TypeError, ValueError) as error:
                yield UnreadableEvent(position, f"no event of ours: {type(error).__name__}")


def _event(row: dict[str, object]) -> DeliveryEvent:
    typed = {
        "kind": EventKind(str(row["kind"])),
        "occurred_at": datetime.fromisoformat(str(row["occurred_at"])),
        "bounce_class": BounceClass(str(row["bounce_class"])) if "bounce_class" in row else None,
        "fault": Fault(str(row["fault"])) if "fault" in row else None,
    }
    return DeliveryEvent(**{**row, **typed})  # type: ignore[arg-type]
