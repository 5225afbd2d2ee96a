"""Why did she not get it: a sentence for every way in which a member of the segment ends without the mail."""

from collections.abc import Iterator

from domain.audience import SENTENCE, SkipReason
from domain.delivery import BounceClass
from domain.reports import RunReport, Step

# Names for a chart, where a sentence is too long.
_SHORT = {
    SkipReason.SUPPRESSED_ERASED: "erased",
    SkipReason.RELAY_ADDRESS: "marketplace address",
    SkipReason.NO_ADDRESS: "no address",
    SkipReason.INVALID_ADDRESS: "impossible address",
    SkipReason.ROLE_ADDRESS: "role address",
    SkipReason.NO_CONSENT: "never agreed",
    SkipReason.CONSENT_WITHDRAWN: "agreement withdrawn",
    SkipReason.SUPPRESSED_COMPLAINT: "complained before",
    SkipReason.SUPPRESSED_HARD_BOUNCE: "mailbox gone",
    SkipReason.SUPPRESSED_INVALID: "refused as invalid",
    SkipReason.SUPPRESSED_UNSUBSCRIBE: "unsubscribed",
    SkipReason.SUPPRESSED_MANUAL: "suppressed by hand",
    SkipReason.SUPPRESSED_SOFT_LIMIT: "did not get through",
    SkipReason.TOPIC_REFUSED: "refused this topic",
    SkipReason.EXCLUDED_SEGMENT: "excluded segment",
    SkipReason.MISSING_VALUE: "lacks a value",
    SkipReason.FREQUENCY_CAP: "enough mail lately",
    SkipReason.HIGHER_PRIORITY: "other campaign first",
    SkipReason.DUPLICATE_ADDRESS: "shared mailbox",
    SkipReason.HOLDOUT: "held out",
    SkipReason.OVER_LIMIT: "over the limit",
    SkipReason.ADDRESS_CHANGED: "address changed",
    "suppressed": "suppressed since",
    "rejected": "mail refused",
    "expired": "too late",
    "cancelled": "cancelled",
    "held": "possibly sent",
    "open": "not sent yet",
}
# What became of a planned message that the ESP did not accept.
_STATE_SENTENCE = {
    "suppressed": "unsubscribed, complained, was suppressed or changed the address after the audience was fixed",
    "rejected": "the sending service refused to take the mail",
    "expired": "the mail could not go out before its time was over",
    "cancelled": "somebody cancelled the campaign before the mail went out",
    "held": "may have got it: nobody can tell, so it is not sent again",
    "open": "the mail has not gone out yet",
}
STATE_WORD = {"held": "held as possibly sent", "open": "not sent yet"}
_BOUNCE_SENTENCE = {
    BounceClass.HARD: "the mail came back: the mailbox does not exist (hard bounce), so it is not mailed again",
    BounceClass.SOFT: "the mail came back: the mailbox could not take it this time, being full perhaps (soft bounce)",
    BounceClass.BLOCK: "the mail came back: the mailbox provider refused the sender or the content (block)",
    BounceClass.UNDETERMINED: "the mail came back without a reason that can be read",
}
_DROPPED = "is on the sending service's own list of people not to mail"
_NO_ANSWER = "the mailbox provider has not said yet whether it took the mail"


def is_loss(code: str) -> bool:
    """Whether a step of the waterfall takes people away; the others are totals."""
    return code in _STATE_SENTENCE or code in set(SkipReason)


def label(step: Step) -> str:
    """Name a step of the waterfall."""
    return _SHORT.get(step.code, step.label)


def missed(report: RunReport) -> Iterator[tuple[int, str]]:
    """How many, and what is true of each of them; the segment's members less those with a delivered mail."""
    total = report.total
    for step in report.waterfall:
        if is_loss(step.code) and step.count:
            yield step.count, _sentence(step)
    for bounce_class, number in total.bounced.items():
        if number:
            yield number, _BOUNCE_SENTENCE[BounceClass(bounce_class)]
    if total.dropped:
        yield total.dropped, _DROPPED
    silent = total.accepted - total.delivered - sum(total.bounced.values()) - total.dropped
    if silent > 0:
        yield silent, _NO_ANSWER


def _sentence(step: Step) -> str:
    if step.code in _STATE_SENTENCE:
        return _STATE_SENTENCE[step.code]
    return SENTENCE[SkipReason(step.code)]
