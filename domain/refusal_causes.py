"""Why an event refused or put off mail, so far as something follows from it: by its cause, else by its words.

The causes bear the names of the table of bounces. Words are asked only where an event names no cause, as those do that
were read before causes were kept.
"""

import re
from dataclasses import dataclass

from domain import bounces
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault

DISABLED, NO_HOST = "disabled_mailbox", "unknown_host"
AUTHENTICATION, CONFIGURATION, RATE = "authentication", "configuration", "rate"

_RECIPIENT = (
    (
        re.compile(r"\b[45]\.2\.1\b|(mailbox|account|user)[^.;]{0,30}\b(disabled|inactive|suspended)", re.IGNORECASE),
        DISABLED,
    ),
    (
        re.compile(r"\b[45]\.1\.2\b|host unknown|unknown host|domain (name )?not found|nxdomain|no mx", re.IGNORECASE),
        NO_HOST,
    ),
)
# Gmail: .23/.25 reverse DNS, .26 unauthenticated, .27 SPF, .29 TLS, .30 DKIM, .31/.32/.40 DMARC; Microsoft 5.7.515;
# RFC 7372: .20 to .27 (support.google.com/a/answer/3726730).
_SENDER = (
    (
        re.compile(
            r"\b[45]\.7\.(2[0-79]|3[0-2]|40|515)\b|\b(spf|dkim|dmarc)\b|unauthenticated|not authenticated"
            r"|authentication (required|fail)",
            re.IGNORECASE,
        ),
        AUTHENTICATION,
    ),
    (re.compile(r"\[TSS?\d\d\]|\b[45]\.7\.28\b|unusual rate|rate limit|too many \w+|throttl", re.IGNORECASE), RATE),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Whose fault an event is, of what class, and why; None of what it does not say."""

    fault: Fault | None
    bounce_class: BounceClass | None
    cause: str | None


def refusal(event: DeliveryEvent) -> Refusal:
    """What an event says of blame. ESPs' readers judge what bounced; what was put off is judged here, by its words."""
    fault, bounce_class = event.fault, event.bounce_class
    if fault is None and event.kind is EventKind.DEFERRED and event.detail:
        verdict = bounces.judge(status="", text=event.detail)
        fault, bounce_class = verdict.fault, verdict.bounce_class
    return Refusal(fault, bounce_class, event.cause or _by_words(fault, event.detail or ""))


def _by_words(fault: Fault | None, words: str) -> str | None:
    told = {Fault.RECIPIENT: _RECIPIENT, Fault.SENDER: _SENDER}.get(fault, ()) if fault is not None else ()
    return next((cause for pattern, cause in told if pattern.search(words)), None)
