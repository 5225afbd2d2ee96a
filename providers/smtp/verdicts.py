"""What a relay's answer means for a mail: the table of facts/reliability.md section 2, for SMTP.

| answer | outcome |
|---|---|
| no connection, no TLS, no log in; nothing heard before the mail's text is sent | not sent |
| 4yz, wherever it comes | not sent: another time |
| 5yz to MAIL | not sent, and the relay is stopped: our sender is at fault (but of a mail too large: rejected) |
| 5yz to RCPT, to DATA or after the final dot | rejected |
| the same that blames our credentials or sender domain, by a relay that took nothing lately | not sent, stopped |
| nothing, or nonsense, after the final dot | unknown (RFC 1047) |

A 5yz after the dot says that the relay took no responsibility (RFC 5321 section 4.2.5), as sure as one before it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from domain import bounces
from domain.bounces import Cause, Verdict
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import Outcome, OutcomeKind
from domain.masking import masked
from providers.smtp.line import Reply
from providers.smtp.returns import PROVIDER

# Greylists let one in after five minutes; a relay that counts our mails counts them by the minute or longer.
_LATER = timedelta(minutes=5)
_RETRY_LATER = frozenset({Cause.GREYLISTED, Cause.RATE})
# Of a relay "relaying denied" means that it does not know us.
_OUR_SETTINGS = frozenset({Cause.AUTHENTICATION, Cause.CONFIGURATION, Cause.RELAYING})
# The mail itself, not its sender: RFC 1870's size, RFC 6531's addresses.
_THIS_MAIL = ("5.3.4", "5.6.7")
_TOO_LARGE = 552


class Stage(StrEnum):
    """What a reply answers."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "the mail"


def accepted(reply: Reply) -> Outcome:
    """The relay answers for the mail now; its words name it in its log."""
    return Outcome(OutcomeKind.ACCEPTED, status=reply.code, provider_reference=masked(reply.text) or str(reply.code))


def refused(stage: Stage, reply: Reply, address: str) -> Outcome:
    """What a reply of 4yz or 5yz means, or one that is none at this place. `detail` begins with the relay's words."""
    said = told(reply, address)
    detail = f"{said} (to {stage})"
    if stage is Stage.DOT and not reply.is_not_now and not reply.is_never:
        return Outcome(OutcomeKind.UNKNOWN, detail, reply.code)
    if not reply.is_never:
        wait = _LATER if judged(reply.code, said).cause in _RETRY_LATER else None
        return Outcome(OutcomeKind.NOT_SENT, detail, reply.code, retry_after=wait)
    if stage is Stage.MAIL and not (reply.code == _TOO_LARGE or any(code in said for code in _THIS_MAIL)):
        return Outcome(OutcomeKind.NOT_SENT, detail, reply.code, stop_provider=True)
    return Outcome(OutcomeKind.REJECTED, detail, reply.code)


def blames_us(outcome: Outcome) -> bool:
    """Whether a refusal is of our credentials or our sender domain, as far as its words say."""
    refused_one = outcome.kind is OutcomeKind.REJECTED and not outcome.local
    return refused_one and judged(outcome.status or 0, outcome.detail).cause in _OUR_SETTINGS


def bounce(outcome: Outcome, message_id: str, attempt_id: str, at: datetime) -> DeliveryEvent | None:
    """A refusal as the bounce that it would have been, had the relay asked later; None of any other outcome."""
    if outcome.kind is not OutcomeKind.REJECTED or outcome.local:
        return None
    verdict = judged(outcome.status or 0, outcome.detail)
    return DeliveryEvent(
        provider=PROVIDER,
        kind=EventKind.BOUNCED,
        occurred_at=at,
        message_id=message_id,
        attempt_id=attempt_id,
        bounce_class=verdict.bounce_class,
        fault=verdict.fault,
        detail=outcome.detail,
        suppresses=verdict.suppresses,
        cause=verdict.cause,
    )


def told(reply: Reply, *addresses: str) -> str:
    """The reply in one line, without addresses."""
    return masked(f"{reply.code} {reply.text}", _spellings(addresses))


def judged(code: int, said: str) -> Verdict:
    """What domain/bounces makes of it."""
    return bounces.judge(status=str(code), text=said)


def not_sent(detail: str, *, stop: bool = False, local: bool = False, status: int | None = None) -> Outcome:
    """Certainly nothing was taken."""
    return Outcome(OutcomeKind.NOT_SENT, detail, status, stop_provider=stop, local=local)


def _spellings(addresses: Collection[str]) -> list[str]:
    return [spelled for one in addresses if one for spelled in (one, one.lower())]
