"""Suppression: a standing refusal to mail an address, and which streams it stops."""

from enum import StrEnum


class Stream(StrEnum):
    """What kind of mail: one the shop wants to send, or one the customer waits for."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class Reason(StrEnum):
    """Why an address is not mailed."""

    HARD_BOUNCE = "hard_bounce"
    INVALID = "invalid"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    SOFT_LIMIT = "soft_limit"
    MANUAL = "manual"
    ERASED = "erased"


class Scope(StrEnum):
    """How far a suppression reaches."""

    ALL = "all"
    MARKETING = "marketing"


# facts/reliability.md section 4, "scoped stream matrix". A complaint blocks all mail by default.
SCOPE_OF = {
    Reason.HARD_BOUNCE: Scope.ALL,
    Reason.INVALID: Scope.ALL,
    Reason.COMPLAINT: Scope.ALL,
    Reason.UNSUBSCRIBE: Scope.MARKETING,
    Reason.SOFT_LIMIT: Scope.MARKETING,
    Reason.MANUAL: Scope.MARKETING,
    Reason.ERASED: Scope.ALL,
}
# Strongest first: which one is named when an address has several.
STRENGTH = (
    Reason.ERASED,
    Reason.COMPLAINT,
    Reason.HARD_BOUNCE,
    Reason.INVALID,
    Reason.UNSUBSCRIBE,
    Reason.MANUAL,
    Reason.SOFT_LIMIT,
)


def blocks(scope: Scope, stream: Stream) -> bool:
    """Say whether a suppression of this scope stops mail of this stream."""
    return scope is Scope.ALL or stream is Stream.MARKETING


def scopes_blocking(stream: Stream) -> tuple[Scope, ...]:
    """All scopes that stop this stream."""
    return tuple(scope for scope in Scope if blocks(scope, stream))
