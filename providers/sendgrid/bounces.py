"""What SendGrid says of a bounce, in our words. What codes and prose mean is domain/bounces.py's to say.

Sources: facts/esp-contracts.md section 4.2 (both spellings of the classes; `status` alone does not decide) and
facts/reliability.md section 4 (SendGrid's classes).
"""

import re

from domain import bounces
from domain.bounce_causes import Cause, Verdict, verdict_of
from domain.delivery import BounceClass, Fault
from domain.suppression import Reason

# `bounce_classification`; the webhook's spelling and the suppression API's. "Unclassified" says nothing.
CLASSIFICATIONS = {
    "invalid address": verdict_of(Cause.UNKNOWN_MAILBOX, rule="sendgrid-class"),
    "mailbox unavailable": verdict_of(Cause.DISABLED_MAILBOX, rule="sendgrid-class"),
    "technical": verdict_of(Cause.SYSTEM, rule="sendgrid-class"),
    "technical failure": verdict_of(Cause.SYSTEM, rule="sendgrid-class"),
    "content": verdict_of(Cause.CONTENT, rule="sendgrid-class"),
    "reputation": verdict_of(Cause.REPUTATION, rule="sendgrid-class"),
    "frequency volume": verdict_of(Cause.RATE, rule="sendgrid-class"),
    "frequency or volume too high": verdict_of(Cause.RATE, rule="sendgrid-class"),
}

# `type`, of others than "bounce": asked where nothing else spoke, and where all the rest would end mail to a person
# whom SendGrid itself goes on mailing. Words that no row knows blame nobody: "blocked" alone is no proof against us.
TYPES = {
    "blocked": verdict_of(Cause.POLICY, rule="sendgrid-type"),
    "expired": verdict_of(Cause.EXPIRED, rule="sendgrid-type"),
}

KNOWN_TYPES = frozenset({"bounce", *TYPES})
KNOWN_CLASSIFICATIONS = frozenset({"unclassified", *CLASSIFICATIONS})

# `reason` of a dropped event: SendGrid took the message and refuses to hand it on. Addresses on SendGrid's own lists
# belong on ours; a drop for a complaint or an unsubscription is no bounce. A bounced address is there for whatever
# SendGrid called a bounce, the sender's fault too: the bounce itself and the list's row say which, so a drop says nothing.
_INVALID = Verdict(BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID, Cause.INVALID_ADDRESS, "sendgrid-drop")
DROPS = {
    "bounced address": Verdict(BounceClass.UNDETERMINED, Fault.UNKNOWN, rule="sendgrid-drop"),
    "invalid": _INVALID,
    "invalid address": _INVALID,
    "spam reporting address": Verdict(None, Fault.RECIPIENT, Reason.COMPLAINT, rule="sendgrid-drop"),
    "unsubscribed address": Verdict(None, Fault.RECIPIENT, Reason.UNSUBSCRIBE, rule="sendgrid-drop"),
    "spam content": verdict_of(Cause.CONTENT, rule="sendgrid-drop"),
    "invalid smtpapi header": verdict_of(Cause.CONFIGURATION, rule="sendgrid-drop"),
    "recipient list over package quota": verdict_of(Cause.CONFIGURATION, rule="sendgrid-drop"),
}
_UNKNOWN_DROP = Verdict(BounceClass.UNDETERMINED, Fault.UNKNOWN, None, Cause.UNKNOWN)

_NO_WORD = re.compile(r"[^a-z0-9]+")


def classify(*, event_type: str, classification: str, status: str, text: str) -> Verdict:
    """Judge a bounce event by all that SendGrid says of it; empty strings say nothing."""
    verdict = bounces.judge(status=status, text=text, also=CLASSIFICATIONS.get(_normalised(classification)))
    told = TYPES.get(_normalised(event_type), verdict)
    if verdict.suppresses:
        return told
    unheard = verdict.cause is Cause.UNKNOWN and (told.fault is not Fault.SENDER or not text.strip())
    return told if unheard else verdict


def is_one_of(word: str, known: frozenset[str]) -> bool:
    """Whether a type or class of SendGrid's is known to us, in any spelling of it."""
    return _normalised(word) in known


def listed(*, status: str, text: str) -> Verdict:
    """Judge a row of the bounces list as the event was that put it there.

    A row without status and words, as one that was put there by hand, is SendGrid's own word for a hard bounce.
    """
    if not status.strip() and not text.strip():
        return verdict_of(Cause.UNKNOWN_MAILBOX, rule="sendgrid-list")
    return classify(event_type="bounce", classification="", status=status, text=text)


def dropped(reason: str) -> Verdict:
    """Judge a dropped event by its reason."""
    return DROPS.get(_normalised(reason), _UNKNOWN_DROP)


def _normalised(words: str) -> str:
    return _NO_WORD.sub(" ", words.casefold()).strip()
