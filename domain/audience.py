"""The audience: every member of the segment, planned or left out with exactly one reason."""

from enum import StrEnum


class SkipReason(StrEnum):
    """Why a member of the segment gets no mail; the first that applies, in this order, is the one named."""

    SUPPRESSED_ERASED = "suppressed_erased"
    RELAY_ADDRESS = "relay_address"
    NO_ADDRESS = "no_address"
    INVALID_ADDRESS = "invalid_address"
    ROLE_ADDRESS = "role_address"
    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    SUPPRESSED_COMPLAINT = "suppressed_complaint"
    SUPPRESSED_HARD_BOUNCE = "suppressed_hard_bounce"
    SUPPRESSED_INVALID = "suppressed_invalid"
    SUPPRESSED_UNSUBSCRIBE = "suppressed_unsubscribe"
    SUPPRESSED_MANUAL = "suppressed_manual"
    SUPPRESSED_SOFT_LIMIT = "suppressed_soft_limit"
    TOPIC_REFUSED = "topic_refused"
    EXCLUDED_SEGMENT = "excluded_segment"
    MISSING_VALUE = "missing_value"
    FREQUENCY_CAP = "frequency_cap"
    HIGHER_PRIORITY = "higher_priority"
    DUPLICATE_ADDRESS = "duplicate_address"
    HOLDOUT = "holdout"
    OVER_LIMIT = "over_limit"
    ADDRESS_CHANGED = "address_changed"  # since the freeze: found at the claim only


SENTENCE = {
    SkipReason.SUPPRESSED_ERASED: "asked to be erased",
    SkipReason.RELAY_ADDRESS: "bought where the marketplace keeps the address to itself",
    SkipReason.NO_ADDRESS: "has no e-mail address",
    SkipReason.INVALID_ADDRESS: "the address cannot exist",
    SkipReason.ROLE_ADDRESS: "the address is that of a function, such as postmaster@, and not of a person",
    SkipReason.NO_CONSENT: "never agreed to marketing mail",
    SkipReason.CONSENT_WITHDRAWN: "withdrew the agreement to marketing mail",
    SkipReason.SUPPRESSED_COMPLAINT: "reported an earlier mail as spam",
    SkipReason.SUPPRESSED_HARD_BOUNCE: "the mailbox does not exist any more",
    SkipReason.SUPPRESSED_INVALID: "an ESP refused the address as invalid",
    SkipReason.SUPPRESSED_UNSUBSCRIBE: "unsubscribed",
    SkipReason.SUPPRESSED_MANUAL: "was suppressed by hand",
    SkipReason.SUPPRESSED_SOFT_LIMIT: "too many mails in a row did not get through",
    SkipReason.TOPIC_REFUSED: "wants no mail about this campaign's topic",
    SkipReason.EXCLUDED_SEGMENT: "belongs to a segment that this run leaves out",
    SkipReason.MISSING_VALUE: "has no value for something that the template says",
    SkipReason.FREQUENCY_CAP: "got enough marketing mail lately",
    SkipReason.HIGHER_PRIORITY: "is about to get the mail of a campaign that goes first",
    SkipReason.DUPLICATE_ADDRESS: "shares the mailbox with another customer in this audience",
    SkipReason.HOLDOUT: "is held out, so that the effect can be measured",
    SkipReason.OVER_LIMIT: "the limit of this run was reached first",
    SkipReason.ADDRESS_CHANGED: "has another address than when the audience was fixed",
}
