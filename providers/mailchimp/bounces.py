"""What Mailchimp Transactional says of a refusal, in our words. What codes and prose mean is domain/bounces.py's to say.

Sources: facts/esp-contracts.md section 4.4; bounce descriptions and reject reasons as the vendor's own examples name
them (docs "Webhook Format", rejects/list).
"""

from dataclasses import replace

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


def told(reason: str, text: str) -> Verdict:
    """Judge a reject, or a change of the denylist, as a webhook tells it: of a hard bounce it suppresses nobody.

    The bounce's own event and the denylist's row do, which tell its time. These come minutes or days after it, and
    would be the second bounce of somebody who is to be asked once more.
    """
    verdict = refused(reason, text)
    return replace(verdict, suppresses=None) if verdict.suppresses is Reason.HARD_BOUNCE else verdict


def refused(reason: str, text: str) -> Verdict:
    """Judge an entry of the denylist by its reason; that of a hard bounce by its text too."""
    word = reason.casefold()
    if word == "hard-bounce":
        return bounces.agreed((GONE, *bounces.speakers(status="", text=text))) or UNKNOWN
    return REJECTS.get(word, _UNKNOWN_REJECT)
