"""What SendGrid says of a bounce, in our words. What codes and prose mean is domain/bounces.py's to say.

Sources: facts/esp-contracts.md section 4.2 (both spellings of the classes; `status` alone does not decide) and
facts/reliability.md section 4 (SendGrid's classes).
"""

import re

from domain import bounces
from domain.bounces import AWAY, BLOCKED, CONTENT, GONE, THROTTLED, TRANSIENT, UNKNOWN, Verdict
from domain.delivery import BounceClass, Fault
from domain.suppression import Reason

# `bounce_classification`; the webhook's spelling and the suppression API's. "Unclassified" says nothing.
CLASSIFICATIONS = {
    "invalid address": GONE,
    "mailbox unavailable": AWAY,
    "technical": TRANSIENT,
    "technical failure": TRANSIENT,
    "content": CONTENT,
    "reputation": BLOCKED,
    "frequency volume": THROTTLED,
    "frequency or volume too high": THROTTLED,
}

# `type`: asked only where nothing else spoke. Both others than "bounce" also forbid a hard verdict.
TYPES = {"bounce": UNKNOWN, "blocked": BLOCKED, "expired": TRANSIENT}
_NEVER_HARD = frozenset({"blocked", "expired"})


# `reason` of a dropped event: SendGrid took the message and refuses to hand it on. Addresses on SendGrid's own lists
# belong on ours; a drop for a complaint or an unsubscription is no bounce.
DROPS = {
    "bounced address": GONE,
    "invalid": Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
    "invalid address": Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
    "spam reporting address": Verdict(None, Fault.RECIPIENT, Reason.COMPLAINT),
    "unsubscribed address": Verdict(None, Fault.RECIPIENT, Reason.UNSUBSCRIBE),
    "spam content": CONTENT,
    "invalid smtpapi header": BLOCKED,
    "recipient list over package quota": BLOCKED,
}
_UNKNOWN_DROP = Verdict(BounceClass.UNDETERMINED, Fault.UNKNOWN)

_NO_WORD = re.compile(r"[^a-z0-9]+")


def classify(*, event_type: str, classification: str, status: str, text: str) -> Verdict:
    """Judge a bounce event by all that SendGrid says of it; empty strings say nothing."""
    spoken = (CLASSIFICATIONS.get(_normalised(classification)), *bounces.speakers(status=status, text=text))
    verdict, kind = bounces.agreed(spoken), _normalised(event_type)
    if verdict is None:
        return TYPES.get(kind, UNKNOWN)
    return AWAY if verdict == GONE and kind in _NEVER_HARD else verdict


def dropped(reason: str) -> Verdict:
    """Judge a dropped event by its reason."""
    return DROPS.get(_normalised(reason), _UNKNOWN_DROP)


def _normalised(words: str) -> str:
    return _NO_WORD.sub(" ", words.casefold()).strip()
