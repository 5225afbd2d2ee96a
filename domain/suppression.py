"""Suppression: a standing refusal to mail an address, and which streams it stops."""

from collections.abc import Iterable
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
    """How far a suppression reaches.

    `all` and `account` stop both streams of the account whose row it is. `all` is true of the mailbox, whoever writes to
    it, so it may go on a list of an ESP that other accounts' mail is checked against too; `account` and `marketing` are
    between the person and this shop, and stay with it.
    """

    ALL = "all"
    ACCOUNT = "account"
    MARKETING = "marketing"


# From narrow to wide: of one reason that was stated twice the wider scope stands.
BY_REACH = (Scope.MARKETING, Scope.ACCOUNT, Scope.ALL)


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
    return scope is not Scope.MARKETING or stream is Stream.MARKETING


def scopes_blocking(stream: Stream) -> tuple[Scope, ...]:
    """All scopes that stop this stream."""
    return tuple(scope for scope in Scope if blocks(scope, stream))


def is_ours_alone(scope: Scope) -> bool:
    """Say whether the refusal holds for one account only, whatever other accounts share its ESP."""
    return scope is not Scope.ALL


class TooNarrow(ValueError):
    """The scope would let mail through that the reason must stop; the message says what to say instead."""


_WHY_ALL = {
    Reason.HARD_BOUNCE: "the mailbox is not there, for any mail",
    Reason.INVALID: "no mail can be sent to that address",
    Reason.COMPLAINT: "who reports mail as spam reports the next one too, whatever it is about",
}


def check_scope(reason: Reason, scope: Scope) -> None:
    """Refuse a scope that stops fewer streams than the reason does by itself. Raises TooNarrow."""
    through = [one for one in Stream if blocks(SCOPE_OF[reason], one) and not blocks(scope, one)]
    if through:
        raise TooNarrow(
            f"the scope {scope} is too narrow for {reason}: {' and '.join(through)} mail would go on, though"
            f" {_WHY_ALL.get(reason, 'that reason stops it')}. Leave --scope out ({reason} stops {SCOPE_OF[reason]} mail), or"
            f" give the reason {Reason.MANUAL} if she only wants no {scope} mail"
        )


def narrower(reason: Reason, scope: Scope) -> str:
    """What is worth knowing of a scope that stops the same mail here and reaches less far; empty where it does not."""
    if blocks(scope, Stream.TRANSACTIONAL) and BY_REACH.index(scope) < BY_REACH.index(SCOPE_OF[reason]):
        return (
            f"It stays with this account: by itself {reason} reaches {SCOPE_OF[reason]}, so that an ESP whom accounts share"
            " is told as well."
        )
    return ""


class NotLifted(ValueError):
    """The suppression stands, and nothing was changed; the message says why."""


def check_lift(reasons: Iterable[Reason], *, asked_for: bool) -> None:
    """Refuse what must not be lifted. `asked_for`: the person herself asked to be mailed again. Raises NotLifted."""
    lifted = set(reasons)
    if Reason.ERASED in lifted:
        raise NotLifted(
            "the person behind that address was erased, and its hash is kept so that nobody mails it again: it cannot be"
            " lifted"
        )
    if Reason.COMPLAINT in lifted and not asked_for:
        raise NotLifted(
            "that address reported our mail as spam: a complaint is lifted only where the person herself asked for mail"
            " again. If she did, say so (--yes-they-asked) and where (--reason)"
        )
