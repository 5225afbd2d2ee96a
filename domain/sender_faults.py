"""Sender's and content faults: what is wrong with us, and what is held back for it until it is mended.

Nobody is suppressed for these. What is slowed or paused is one provider at one mailbox group: another provider may carry
the group meanwhile. Figures: facts/reliability.md E43 and E45, facts/sender-rules.md.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from domain import mailbox_groups, proportions, refusal_causes
from domain.bounce_causes import Cause
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.guardrails import LEAST_HEARD, RECENT, Guard, GuardAction
from domain.routes import MIXED


class Trouble(StrEnum):
    """What is wrong with us, by what it takes to mend it."""

    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC, reverse DNS, TLS, our addresses: a setting
    RATE = "rate"  # too much at once
    REPUTATION = "reputation"  # blocklists, policy, spam: our name
    CONTENT = "content"  # this very mail: its words, its size, what is attached


_SETTINGS = frozenset({Cause.AUTHENTICATION, Cause.CONFIGURATION})
# Of these a mailbox provider says itself how long it takes: senders.yahooinc.com/smtp-error-codes, and Gmail's answer
# 81126: "stop for at least ten minutes".
_LASTS = (
    (re.compile(r"\[TSS?\d\d\]", re.IGNORECASE), timedelta(hours=2)),
    (re.compile(r"\b[45]\.7\.28\b|unusual rate", re.IGNORECASE), timedelta(minutes=10)),
)
# Whoever says nothing of how long: KumoMTA's rules suspend for half an hour.
_SLOW_FOR = timedelta(minutes=30)
# One refusal may be one sick server, two a coincidence.
LEAST_MESSAGES = 3
_BAD_SHARE = 0.10
_LEAST_BAD = 8
# Behind these stand many servers that know nothing of each other: one that forwards breaks SPF for its own people only.
_MANY = frozenset({mailbox_groups.OTHER, MIXED})


def trouble_of(event: DeliveryEvent) -> Trouble | None:
    """What an event says against us; None where it says nothing, or that somebody else is to blame."""
    if event.kind not in {EventKind.BOUNCED, EventKind.DEFERRED, EventKind.DROPPED}:
        return None
    told = refusal_causes.refusal(event)
    if told.fault is Fault.CONTENT:
        return Trouble.CONTENT
    if told.fault is not Fault.SENDER:
        return None
    if told.cause in _SETTINGS:
        return Trouble.AUTHENTICATION
    throttled = told.bounce_class is BounceClass.SOFT or told.cause is Cause.RATE
    return Trouble.RATE if throttled else Trouble.REPUTATION


@dataclass(frozen=True, slots=True)
class Refused:
    """Messages of one provider and mailbox group that were refused for one trouble. `heard`: of all that went there."""

    messages: int
    heard: int
    text: str

    @property
    def least_share(self) -> float:
        """The lower bound of its Wilson interval."""
        return proportions.bounds(self.messages, max(self.heard, self.messages))[0]


def pair_guard(group: str, trouble: Trouble, recent: Refused) -> Guard:
    """What becomes of a provider at a mailbox group, by what went there within RECENT.

    Authentication pauses from three messages until a person lifts it: a setting does not mend itself. A rate pauses from
    three for as long as the mailbox provider says; where it says nothing, 10 % slow to half for half an hour, as a few
    per cent are put off on any day and come on the second try. Reputation pauses from 10 % of 500 until a person has
    looked. Where many servers stand behind a group, all of it needs the 10 %.
    """
    if recent.messages < LEAST_MESSAGES or (group in _MANY and recent.least_share < _BAD_SHARE):
        return Guard(GuardAction.NONE)
    action, lasts = GuardAction.PAUSE, None
    if trouble is Trouble.RATE:
        lasts = next((long for pattern, long in _LASTS if pattern.search(recent.text)), None)
        if lasts is None:
            if not _by_rate(recent, _LEAST_BAD):
                return Guard(GuardAction.NONE)
            action, lasts = GuardAction.SLOW, _SLOW_FOR
    elif trouble is not Trouble.AUTHENTICATION and not _by_rate(recent, LEAST_HEARD):
        return Guard(GuardAction.NONE)
    return Guard(action, _reason(trouble, recent), _figures(trouble, recent), lasts)


def content_guard(refused: Refused) -> Guard:
    """Whether a run's content is refused so often that the run waits for a person: 10 % of it, and at least 8."""
    if not _by_rate(refused, _LEAST_BAD):
        return Guard(GuardAction.NONE)
    return Guard(GuardAction.PAUSE, _reason(Trouble.CONTENT, refused), _figures(Trouble.CONTENT, refused))


def _by_rate(refused: Refused, least_heard: int) -> bool:
    heard = max(refused.heard, refused.messages)
    return heard >= least_heard and refused.messages >= _LEAST_BAD and refused.least_share >= _BAD_SHARE


def _reason(trouble: Trouble, refused: Refused) -> str:
    heard = max(refused.heard, refused.messages)
    return (
        f"{trouble}: {refused.messages:,} of {heard:,} messages refused or put off, most of them with: {refused.text}"
    )


def _figures(trouble: Trouble, refused: Refused) -> dict[str, object]:
    return {
        "trouble": trouble.value,
        "messages": refused.messages,
        "heard": refused.heard,
        "lower_bound": round(refused.least_share, 5),
        "text": refused.text,
        "within_minutes": RECENT.total_seconds() / 60,
    }


TO_DO = {
    Trouble.AUTHENTICATION: "mend the sending domain's records (SPF, DKIM, DMARC, reverse DNS), then lift it",
    Trouble.RATE: "nothing: it ends by itself; if it comes again, give the route a pace for this group",
    Trouble.REPUTATION: "look the pool up on the named blocklist, and at the mailbox provider's postmaster page; then"
    " lift it",
    Trouble.CONTENT: "change what the text complains of (links, attachments, size) in a new run, or let this one go on",
}
