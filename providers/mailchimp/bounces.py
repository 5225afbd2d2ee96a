"""What Mailchimp Transactional says of a refusal, in our words. What codes and prose mean is domain/bounces.py's to say.

Sources: facts/esp-contracts.md section 4.4; bounce descriptions and reject reasons as the vendor's own examples name
them (docs "Webhook Format", rejects/list).
"""

from domain import bounces
from domain.bounces import AWAY, BLOCKED, CONTENT, GONE, THROTTLED, TRANSIENT, UNKNOWN, Verdict
from domain.delivery import BounceClass, Fault
from domain.suppression import Reason

# `bounce_description`: one speaker more. "general" and what is not here says nothing.
DESCRIPTIONS = {
    "bad_mailbox": GONE,
    "invalid_domain": AWAY,  # hard only after a second look at the DNS
    "mailbox_full": AWAY,
    "inactive_mailbox": AWAY,
    "dns_failure": TRANSIENT,
    "timeout": TRANSIENT,
    "message_too_large": CONTENT,
    "spam": BLOCKED,
    "blocked": BLOCKED,
    "policy": BLOCKED,
    "relay_denied": BLOCKED,
    "challenge": BLOCKED,
}

# Why Transactional refused to send (`reject`), or keeps an address on its denylist (`sync`).
REJECTS = {
    "invalid": Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
    "spam": Verdict(None, Fault.RECIPIENT, Reason.COMPLAINT),
    "unsub": Verdict(None, Fault.RECIPIENT, Reason.UNSUBSCRIBE),
    "custom": Verdict(None, Fault.UNKNOWN, Reason.MANUAL),
    "soft-bounce": AWAY,
    "test-mode-limit": THROTTLED,
    "invalid-sender": BLOCKED,
    "unsigned": BLOCKED,
    "rule": BLOCKED,
}
# For what it keeps an address on its denylist that is to stand with us.
STANDING = frozenset({Reason.HARD_BOUNCE, *(one.suppresses for one in REJECTS.values() if one.suppresses is not None)})
_UNKNOWN_REJECT = Verdict(BounceClass.UNDETERMINED, Fault.UNKNOWN)


def classify(*, hard: bool, description: str, text: str) -> Verdict:
    """Judge a bounce by all that is said of it; empty strings say nothing. What Transactional calls soft is not hard."""
    spoken = (DESCRIPTIONS.get(description.casefold()), *bounces.speakers(status="", text=text))
    verdict = bounces.agreed(spoken) or UNKNOWN
    return AWAY if verdict == GONE and not hard else verdict


def refused(reason: str, text: str) -> Verdict:
    """Judge a reject, or an entry of the denylist, by its reason; that of a hard bounce by its text too."""
    word = reason.casefold()
    if word == "hard-bounce":
        return bounces.agreed((GONE, *bounces.speakers(status="", text=text))) or UNKNOWN
    return REJECTS.get(word, _UNKNOWN_REJECT)
