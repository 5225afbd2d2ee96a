"""What a bounce means for the address, and whose fault it is.

Sources: facts/reliability.md section 4 (the codes and SendGrid's classes), facts/esp-contracts.md section 4.2 (both
spellings of the classes; `status` alone does not decide), facts/sender-rules.md (which codes the mailbox providers use).

Four things may speak: SendGrid's class, the enhanced status code, the reply's prose, and last the event's type. A
hard bounce stops all mail to a person for ever, so it takes unanimity: one that says otherwise is believed. Of those
the most severe wins, and of equals the one named first.
"""

import re
from dataclasses import dataclass

from domain.delivery import SEVERITY, BounceClass, Fault
from domain.suppression import Reason
from providers.sendgrid.masking import masked


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an event says about the address in our words; `suppresses` where it ends mail to it."""

    bounce_class: BounceClass | None = None
    fault: Fault | None = None
    suppresses: Reason | None = None


_GONE = Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.HARD_BOUNCE)
_AWAY = Verdict(BounceClass.SOFT, Fault.RECIPIENT)  # full, disabled, domain not found this time
_TRANSIENT = Verdict(BounceClass.SOFT, Fault.PROVIDER)
_THROTTLED = Verdict(BounceClass.SOFT, Fault.SENDER)
_BLOCKED = Verdict(BounceClass.BLOCK, Fault.SENDER)
_CONTENT = Verdict(BounceClass.BLOCK, Fault.CONTENT)
_UNKNOWN = Verdict(BounceClass.SOFT, Fault.UNKNOWN)

# `bounce_classification`; the webhook's spelling and the suppression API's. "Unclassified" says nothing.
CLASSIFICATIONS = {
    "invalid address": _GONE,
    "mailbox unavailable": _AWAY,
    "technical": _TRANSIENT,
    "technical failure": _TRANSIENT,
    "content": _CONTENT,
    "reputation": _BLOCKED,
    "frequency volume": _THROTTLED,
    "frequency or volume too high": _THROTTLED,
}

# Enhanced codes of RFC 3463: the whole code first, then its first two numbers, then its first.
STATUSES = {
    "5.1.1": _GONE,
    "5.1.3": _GONE,
    "5.1.6": _GONE,
    "5.1.10": _GONE,  # null MX
    "5.1.2": _AWAY,  # host unknown: hard only after a second look at the DNS
    "5.2.1": _AWAY,  # disabled: hard only the second time within a week
    "5.2.2": _AWAY,  # full
    "5.2.3": _CONTENT,  # size
    "5.3.4": _CONTENT,  # size
    "5.4.7": _TRANSIENT,  # given up after 72 hours of deferrals
    "5.6": _CONTENT,
    "5.7": _BLOCKED,  # policy, blocklists, authentication (5.7.23, 5.7.25, 5.7.26, 5.7.515)
    "4.2.2": _AWAY,
    "4.3": _TRANSIENT,
    "4.4": _TRANSIENT,
    "4.7": _THROTTLED,
    "4": _UNKNOWN,
}
# Basic codes of RFC 5321, asked only where no enhanced code was given. 550, 553 and 554 say nothing by themselves.
REPLIES = {
    "421": _TRANSIENT,
    "450": _TRANSIENT,
    "451": _TRANSIENT,
    "452": _AWAY,
    "552": _AWAY,
    "4": _UNKNOWN,
}

# Prose, most telling first; what speaks for the recipient stands above all that speaks against him.
PROSE: tuple[tuple[re.Pattern[str], Verdict], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), verdict)
    for pattern, verdict in (
        (r"\[TS\d\d\]|unusual rate|rate limit|too many (messages|connections|recipients)|throttl", _THROTTLED),
        (r"\b(spf|dkim|dmarc)\b|unauthenticated|not authenticated|authentication (required|fail)", _BLOCKED),
        (r"\bspam\b|\bpolicy\b|block ?list|black ?list|\bblocked\b|spamhaus|spamcop|barracuda|reputation", _BLOCKED),
        (r"message (size|too (large|big))|size exceed|too large", _CONTENT),
        (r"mailbox (is )?full|inbox is full|over ?quota|quota exceeded|out of storage|insufficient storage", _AWAY),
        (r"\btimed? ?out\b|connection (refused|reset)|try again later|temporar", _TRANSIENT),
        (r"host unknown|unknown host|domain (name )?not found|nxdomain|no mx", _AWAY),
        (
            r"(user|recipient|mailbox|account) (is )?(unknown|not found)|(unknown|no such) (user|recipient|mailbox)",
            _GONE,
        ),
        (r"(user|recipient|mailbox|address|account|to reach) does ?n[o']t exist|null mx", _GONE),
    )
)

# `type`: asked only where nothing else spoke. Both others than "bounce" also forbid a hard verdict.
TYPES = {"bounce": _UNKNOWN, "blocked": _BLOCKED, "expired": _TRANSIENT}
_NEVER_HARD = frozenset({"blocked", "expired"})


# `reason` of a dropped event: SendGrid took the message and refuses to hand it on. Addresses on SendGrid's own lists
# belong on ours; a drop for a complaint or an unsubscription is no bounce.
DROPS = {
    "bounced address": _GONE,
    "invalid": Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
    "invalid address": Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
    "spam reporting address": Verdict(None, Fault.RECIPIENT, Reason.COMPLAINT),
    "unsubscribed address": Verdict(None, Fault.RECIPIENT, Reason.UNSUBSCRIBE),
    "spam content": _CONTENT,
    "invalid smtpapi header": _BLOCKED,
    "recipient list over package quota": _BLOCKED,
}
_UNKNOWN_DROP = Verdict(BounceClass.UNDETERMINED, Fault.UNKNOWN)

# At the beginning only: further on stand IP addresses and versions of mail servers.
_START = r"^\W*(?:smtp;)?\s*"
_ENHANCED = re.compile(_START + r"(?:[245]\d\d)?[\s\-#(]*([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)", re.IGNORECASE)
_BASIC = re.compile(_START + r"([245]\d\d)\b", re.IGNORECASE)
_NO_WORD = re.compile(r"[^a-z0-9]+")


def classify(*, event_type: str, classification: str, status: str, text: str) -> Verdict:
    """Judge a bounce event by all that SendGrid says of it; empty strings say nothing."""
    prose = masked(text)  # an address such as joe@spam.example.com is no evidence of spam
    speakers = (
        CLASSIFICATIONS.get(_normalised(classification)),
        _by_status(status, prose),
        next((verdict for pattern, verdict in PROSE if pattern.search(prose)), None),
    )
    spoken = [verdict for verdict in speakers if verdict is not None]
    kind = _normalised(event_type)
    if not spoken:
        return TYPES.get(kind, _UNKNOWN)
    others = [verdict for verdict in spoken if verdict is not _GONE]
    if others:
        return max(others, key=lambda verdict: SEVERITY[verdict.bounce_class])
    return _AWAY if kind in _NEVER_HARD else _GONE


def dropped(reason: str) -> Verdict:
    """Judge a dropped event by its reason."""
    return DROPS.get(_normalised(reason), _UNKNOWN_DROP)


def _by_status(status: str, prose: str) -> Verdict | None:
    found = _ENHANCED.search(status) or _ENHANCED.search(prose)
    if found:
        first, second, _ = found[1].split(".")
        keys = (found[1], f"{first}.{second}", first)
        return next((STATUSES[key] for key in keys if key in STATUSES), None)
    basic = _BASIC.search(status) or _BASIC.search(prose)
    return REPLIES.get(basic[1], REPLIES.get(basic[1][0])) if basic else None


def _normalised(words: str) -> str:
    return _NO_WORD.sub(" ", words.casefold()).strip()
