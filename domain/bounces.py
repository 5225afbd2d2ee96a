"""What a refusal means for the address, and whose fault it is: one table for all ESPs, relays and returned mail.

Sources: facts/reliability.md section 4 (the codes), facts/sender-rules.md (which codes the mailbox providers use), RFC
3463 (enhanced codes), RFC 5321 section 4.2 (basic codes).

A hard bounce stops all mail to a person for ever, so it takes unanimity of whatever speaks (the code, the prose, an
ESP's own class): one that says otherwise is believed. Of those the most severe wins, and of equals the one named first.
"""

import re
from collections.abc import Sequence

from domain.bounce_causes import Cause, Verdict, verdict_of
from domain.delivery import SEVERITY
from domain.masking import masked


__all__ = ["Cause", "Verdict", "agreed", "judge", "speakers"]

GONE = verdict_of(Cause.UNKNOWN_MAILBOX)
AWAY = verdict_of(Cause.DISABLED_MAILBOX)
TRANSIENT = verdict_of(Cause.SYSTEM)
THROTTLED = verdict_of(Cause.RATE)
BLOCKED = verdict_of(Cause.POLICY)
CONTENT = verdict_of(Cause.CONTENT)
UNKNOWN = verdict_of(Cause.UNKNOWN)

# Enhanced codes of RFC 3463: the whole code first, then its first two numbers, then its first.
STATUSES = {
    "5.1.1": GONE,
    "5.1.3": GONE,
    "5.1.6": GONE,
    "5.1.10": GONE,  # null MX
    "5.1.2": AWAY,  # host unknown: hard only after a second look at the DNS
    "5.2.1": AWAY,  # disabled: hard only the second time within a week
    "5.2.2": AWAY,  # full
    "5.2.3": CONTENT,  # size
    "5.3.4": CONTENT,  # size
    "5.4.7": TRANSIENT,  # given up after 72 hours of deferrals
    "5.6": CONTENT,
    "5.7": BLOCKED,  # policy, blocklists, authentication (5.7.23, 5.7.25, 5.7.26, 5.7.515)
    "4.2.2": AWAY,
    "4.3": TRANSIENT,
    "4.4": TRANSIENT,
    "4.7": THROTTLED,
    "4": UNKNOWN,
}
# Basic codes of RFC 5321, asked only where no enhanced code was given. 550, 553 and 554 say nothing by themselves.
REPLIES = {
    "421": TRANSIENT,
    "450": TRANSIENT,
    "451": TRANSIENT,
    "452": AWAY,
    "552": AWAY,
    "4": UNKNOWN,
}

# Prose, most telling first; what speaks for the recipient stands above all that speaks against him.
PROSE: tuple[tuple[re.Pattern[str], Verdict], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), verdict)
    for pattern, verdict in (
        (r"\[TS\d\d\]|unusual rate|rate limit|too many (messages|connections|recipients)|throttl", THROTTLED),
        (r"\b(spf|dkim|dmarc)\b|unauthenticated|not authenticated|authentication (required|fail)", BLOCKED),
        (r"\bspam\b|\bpolicy\b|block ?list|black ?list|\bblocked\b|spamhaus|spamcop|barracuda|reputation", BLOCKED),
        (r"message (size|too (large|big))|size exceed|too large", CONTENT),
        (r"mailbox (is )?full|inbox is full|over ?quota|quota exceeded|out of storage|insufficient storage", AWAY),
        (r"\btimed? ?out\b|connection (refused|reset)|try again later|temporar", TRANSIENT),
        (r"host unknown|unknown host|domain (name )?not found|nxdomain|no mx", AWAY),
        (
            r"(user|recipient|mailbox|account) (is )?(unknown|not found)|(unknown|no such) (user|recipient|mailbox)",
            GONE,
        ),
        (r"(user|recipient|mailbox|address|account|to reach) does ?n[o']t exist|null mx", GONE),
    )
)

# At the beginning only: further on stand IP addresses and versions of mail servers.
_START = r"^\W*(?:smtp;)?\s*"
_ENHANCED = re.compile(_START + r"(?:[245]\d\d)?[\s\-#(]*([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)", re.IGNORECASE)
_BASIC = re.compile(_START + r"([245]\d\d)\b", re.IGNORECASE)


def judge(*, status: str, text: str) -> Verdict:
    """Judge a refusal by its code (enhanced or basic, or a text that begins with one) and its prose; "" says nothing."""
    return agreed(speakers(status=status, text=text)) or UNKNOWN


def speakers(*, status: str, text: str) -> tuple[Verdict | None, Verdict | None]:
    """What the code says, and what the prose says; None of one that says nothing."""
    prose = masked(text)  # an address such as joe@spam.example.com is no evidence of spam
    return by_status(status, prose), next((verdict for pattern, verdict in PROSE if pattern.search(prose)), None)


def agreed(spoken: Sequence[Verdict | None]) -> Verdict | None:
    """What all that spoke come to; None when nothing did."""
    heard = [verdict for verdict in spoken if verdict is not None]
    others = [verdict for verdict in heard if verdict != GONE]
    if others:
        return max(others, key=lambda verdict: SEVERITY[verdict.bounce_class])
    return heard[0] if heard else None


def by_status(status: str, prose: str) -> Verdict | None:
    """What the code alone says: that of `status`, or else the one that the prose begins with."""
    found = _ENHANCED.search(status) or _ENHANCED.search(prose)
    if found:
        first, second, _ = found[1].split(".")
        keys = (found[1], f"{first}.{second}", first)
        return next((STATUSES[key] for key in keys if key in STATUSES), None)
    basic = _BASIC.search(status) or _BASIC.search(prose)
    return REPLIES.get(basic[1], REPLIES.get(basic[1][0])) if basic else None
