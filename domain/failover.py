"""Failover: whether a batch may go by another way than the one that it was tried by, and by which it never may.

Only what was certainly not sent moves, and only to where it would have been allowed from the start: the decision table
of facts/reliability.md D35 and D36, as data. Routing refuses routes by the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from domain.ledger import OutcomeKind
from domain.routes import Route
from domain.suppression import Stream
from domain.vetting import Standing

# What an ESP says of the request itself, and would say again elsewhere: its content, its size, its form.
CONTENT_REFUSED = frozenset({400, 413, 422})
_NO_LEAVE = frozenset({401, 403})
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Needs:
    """What a mail asks of the route that carries it.

    `template_at`: the connection whose ESP keeps its template; None where the content travels with it. `residency`:
    where the account demands that data stay; None: anywhere.
    """

    account_id: str
    stream: Stream
    standing: Standing = Standing.NEW
    template_at: str | None = None
    residency: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Whether it may go by the other route, and why or why not."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Case:
    """A mail, a way it might go, and what came of the way it went."""

    to: Route
    mail: Needs
    kind: OutcomeKind = OutcomeKind.NOT_SENT
    status: int | None = None
    tried_by: str | None = None
    suppressed: bool = False
    braked: bool = False
    room: int | None = None

    @property
    def same_provider(self) -> bool:
        return self.tried_by == self.to.provider


@dataclass(frozen=True, slots=True)
class _Row:
    applies: Callable[[_Case], bool]
    reason: str
    allowed: bool = False


_WHATEVER_THE_WAY = (
    _Row(lambda it: it.kind is OutcomeKind.ACCEPTED, "the ESP accepted it"),
    _Row(lambda it: it.kind is OutcomeKind.UNKNOWN, "it may have been sent"),
    _Row(
        lambda it: it.kind is OutcomeKind.REJECTED and it.status in CONTENT_REFUSED,
        "the ESP refused the content, and so would another",
    ),
    _Row(lambda it: it.kind is OutcomeKind.REJECTED, "the ESP refused this very mail or its recipient"),
    _Row(lambda it: it.suppressed, "the recipient is suppressed, whoever sends"),
    _Row(lambda it: it.braked, "a brake holds this mail back, whoever sends"),
)
_THIS_WAY = (
    _Row(lambda it: it.to.account_id != it.mail.account_id, "it is another account's"),
    _Row(lambda it: it.to.stream is not it.mail.stream, "its pool is of the other stream"),
    _Row(lambda it: not it.to.authenticated, "its sending domain is not authenticated"),
    _Row(lambda it: it.mail.template_at not in {None, it.to.provider}, "the template is kept by another ESP"),
    _Row(
        lambda it: it.mail.residency not in {None, it.to.residency},
        "its ESP keeps data elsewhere than the account demands",
    ),
    _Row(
        lambda it: it.to.shared_pool and it.mail.standing is not Standing.GOOD,
        "its pool is shared, and the account's record is not good",
    ),
)
_NOW = (
    _Row(lambda it: it.room is not None and it.room < 1, "its pool is cold, and warm-up leaves no room"),
    _Row(lambda it: it.status == _TOO_MANY and it.same_provider, "the ESP asks to wait, whatever the route"),
    _Row(lambda it: it.status in _NO_LEAVE and it.same_provider, "the ESP refuses the key, whatever the route"),
)
_MAY = (
    _Row(lambda it: it.status == _TOO_MANY, "only the ESP that was asked first asks to wait", allowed=True),
    _Row(lambda it: it.status in _NO_LEAVE, "the key was refused before anything was taken", allowed=True),
    _Row(lambda it: it.kind is OutcomeKind.NOT_SENT, "it was certainly not sent", allowed=True),
)
# The first row that applies decides.
_TABLE = (*_WHATEVER_THE_WAY, *_THIS_WAY, *_NOW, *_MAY)


def refused(route: Route, mail: Needs) -> str | None:
    """Why this route may never carry this mail; None if it may."""
    case = _Case(route, mail)
    return next((row.reason for row in _THIS_WAY if row.applies(case)), None)


def may_move(
    kind: OutcomeKind,
    *,
    status: int | None,
    tried_by: str,
    to: Route,
    mail: Needs,
    room: int | None = None,
    suppressed: bool = False,
    braked: bool = False,
) -> Move:
    """Whether a mail may go by `to` after a request to the connection `tried_by` came to `kind` and HTTP `status`.

    `room`: messages that the target's warm-up still allows this hour; None: no limit. `suppressed`: the recipient is,
    since. `braked`: complaints, bounces or a person stopped this mail for its mailbox group.
    """
    case = _Case(to, mail, kind, status, tried_by, suppressed, braked, room)
    row = next(row for row in _TABLE if row.applies(case))
    return Move(row.allowed, row.reason)
