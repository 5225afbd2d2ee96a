"""Why an event refused or put off mail, so far as something follows from it: by its cause, else by its words."""

from dataclasses import dataclass

from domain import bounces
from domain.bounce_causes import Cause
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault

_BLAMING = frozenset({EventKind.BOUNCED, EventKind.DROPPED, EventKind.DEFERRED})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Whose fault an event is, of what class, and why; None of what it does not say."""

    fault: Fault | None
    bounce_class: BounceClass | None
    cause: Cause | None


def refusal(event: DeliveryEvent) -> Refusal:
    """What an event says of blame. ESPs' readers judge what bounced; what was put off is judged here, by its words."""
    if event.cause is not None or event.kind not in _BLAMING or not event.detail:
        return Refusal(event.fault, event.bounce_class, Cause(event.cause) if event.cause else None)
    verdict = bounces.judge(status="", text=event.detail)
    return Refusal(event.fault or verdict.fault, event.bounce_class or verdict.bounce_class, verdict.cause)
