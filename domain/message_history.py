"""What is known of one transactional message, from the asking to its last event, and that in plain sentences.

The sentences are meant to be read out on the phone: they hold no address and no value of the message.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from zoneinfo import ZoneInfo

from domain.delivery import DeliveryState, Seen, Severity
from domain.ledger import BatchState, OutcomeKind
from domain.suppression import Reason
from domain.transactional import Urgency

Say = Callable[[datetime], str]  # who writes an instant for the reader, in the shop's zone

RESENT = "it may have gone out twice: the first answer was lost, so it was sent once more"

# A reason for which an address gets no mail: what is told, and what to do.
_REFUSED = {
    Reason.HARD_BOUNCE: ("the address hard-bounced{since}", "Ask the customer for another one."),
    Reason.INVALID: ("no mail can be sent to the address{since}", "Ask the customer for another one."),
    Reason.COMPLAINT: (
        "the customer reported mail as spam{since}",
        "If mail is wanted again: `campaigns suppressions remove`.",
    ),
    Reason.ERASED: ("the customer was erased{since}", "Nothing is sent to an erased address."),
    Reason.MANUAL: (
        "somebody of the shop stopped all mail to the address{since}",
        "`campaigns suppressions show` says who, and why.",
    ),
}
_NO_ADDRESS = "not sent: the order has no address that mail could go to (none was given, or the channel keeps it)"
_OUTCOME = {
    OutcomeKind.ACCEPTED: "accepted by {provider}",
    OutcomeKind.REJECTED: "refused by {provider}",
    OutcomeKind.NOT_SENT: "not sent by {provider}",
    OutcomeKind.UNKNOWN: "{provider} gave no answer: it may have gone out",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to an ESP. `outcome` None: it is under way."""

    number: int
    provider: str
    route: str
    claimed_at: datetime
    finished_at: datetime | None = None
    outcome: OutcomeKind | None = None
    status: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """How it was found out what became of an attempt."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHistory:
    """One message. `to` is masked; `order` is the order's number as people know it.

    `refused_since`: since when the address is not mailed, of a message that was not sent for that. `again`: messages
    that people had sent in this one's place.
    """

    id: str
    account_id: str
    template: str
    urgency: Urgency
    asked_by: str
    state: BatchState
    asked_at: datetime
    expires_at: datetime
    not_before: datetime
    order_id: int | None = None
    order: str | None = None
    step: str | None = None
    reference: str | None = None
    to: str | None = None
    address_hash: str | None = None
    why: str | None = None
    refused_since: datetime | None = None
    resent: bool = False
    again_of: str | None = None
    again: tuple[str, ...] = ()
    finished_at: datetime | None = None
    accepted_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    proofs: tuple[Proof, ...] = ()
    delivery: DeliveryState | None = None


def sentence(one: MessageHistory, say: Say, *, stuck: str | None = None) -> str:
    """What became of it. `stuck`: why nothing can go now, where that is known."""
    if one.state is BatchState.PLANNED:
        return _waits(one, say, stuck)
    if one.state is BatchState.ACCEPTED:
        return _accepted(one, say)
    if one.state is BatchState.SUPPRESSED:
        return _suppressed(one, say)
    return {
        BatchState.REJECTED: f"not sent: {one.why or 'it was refused'}",
        BatchState.EXPIRED: f"not sent: it was of use until {say(one.expires_at)}, and could not go before then",
        BatchState.CANCELLED: f"not sent: {one.why or 'it was cancelled'}",
        BatchState.HELD: "possibly sent: the ESP's answer never came, and it is not sent again by itself",
        BatchState.UNKNOWN: f"possibly sent: {_by(one)} gave no answer; where nothing is heard it is sent once more",
        BatchState.INFLIGHT: f"is being handed to {_by(one)} now",
    }[one.state]


def _accepted(one: MessageHistory, say: Say) -> str:
    accepted = say(one.accepted_at) if one.accepted_at else ""
    at = f" at {accepted}" if accepted else ""
    told = [what if when is None else f"{what} {_since(accepted, say(when))}" for when, what in heard(one)]
    twice = f"; {RESENT}" if one.resent else ""
    return f"accepted by {_by(one)}{at}, {', '.join(told) or 'which told nothing of it yet'}{twice}"


def _since(before: str, at: str) -> str:
    """Of the same day the time is enough, and the zone was said."""
    day, comma, time = at.partition(", ")
    return time.rpartition(" ")[0] if comma and before.startswith(f"{day}, ") else at


def _suppressed(one: MessageHistory, say: Say) -> str:
    if one.why == "no_address":
        return _NO_ADDRESS
    if one.why not in set(_REFUSED):
        return f"not sent: {one.why or 'the address is not mailed'}"
    since = f" on {say(one.refused_since)}" if one.refused_since else ""
    told, then = _REFUSED[Reason(one.why)]
    return f"not sent: {told.format(since=since)}. {then}"


def _waits(one: MessageHistory, say: Say, stuck: str | None) -> str:
    until = f"; it is of use until {say(one.expires_at)}"
    if stuck is not None:
        return f"waits: {stuck}{until}"
    if not one.attempts:
        return f"waits for its turn since {say(one.asked_at)}{until}"
    last = one.attempts[-1]
    why = "it goes once more, as nobody knows whether it went out" if one.resent else last.detail or "it was not taken"
    tries = f"{len(one.attempts)} tries, the last" if len(one.attempts) > 1 else "a try"
    return f"waits to be tried again after {tries} by {last.provider}: {why}{until}"


def _by(one: MessageHistory) -> str:
    return one.attempts[-1].provider if one.attempts else "the ESP"


def heard(one: MessageHistory) -> Iterator[tuple[datetime | None, str]]:
    """What the ESP told of the mail, in the order of time; None where only the fact is kept."""
    state = one.delivery
    if state is None:
        return
    if Seen.DEFERRED in state.seen and state.delivered_at is None:
        yield None, "put off by the mailbox provider"
    reason = f" ({state.severity.name.lower()})" if state.severity is not Severity.NONE else ""
    bounced = "bounced" if Seen.BOUNCED in state.seen else "dropped by the ESP"
    by_person = state.human_opened_at is not None
    happened = (
        (state.delivered_at, "delivered"),
        (state.bounced_at, f"{bounced}{reason}"),
        (state.human_opened_at or state.opened_at, "opened" if by_person else "opened, by a machine at least"),
        (state.clicked_at, "clicked"),
        (state.complained_at, "reported as spam"),
        (state.unsubscribed_at, "unsubscribed"),
    )
    yield from sorted(((at, what) for at, what in happened if at is not None), key=itemgetter(0))


_ASKED = {
    "order": "asked for by the order{step}",
    "api": "asked for by the shop's own software",
    "resend": "asked for once more by a person",
    "synthetic": "asked for by ourselves, to see that the lane works",
}
_PROOF = {
    "event": "an event of the ESP showed that it had gone out",
    "answer": "the ESP's answer came late: it had gone out",
    "look_up": "the ESP was asked, and knows it: it had gone out",
    "look_up_absent": "the ESP was asked, and does not know it: it may go again",
    "never_begun": "its worker says that it sent nothing: it may go again",
}


def story(one: MessageHistory) -> list[tuple[datetime | None, str]]:
    """Everything that happened to it, in the order of time."""
    step = f" ({one.step}{f' {one.reference}' if one.reference else ''})" if one.step else ""
    found: list[tuple[datetime, str]] = [(one.asked_at, _ASKED.get(one.asked_by, one.asked_by).format(step=step))]
    for each in one.attempts:
        if each.outcome is None:
            found.append((each.claimed_at, f"try {each.number}: being handed to {each.provider} by {each.route}"))
            continue
        told = _OUTCOME[each.outcome].format(provider=each.provider)
        answer = f"HTTP {each.status}" if each.status else ""
        words = ", ".join(filter(None, (answer, each.detail if each.outcome is not OutcomeKind.ACCEPTED else "")))
        what = f"try {each.number} by {each.route}: {told}{f' ({words})' if words else ''}"
        found.append((each.finished_at or each.claimed_at, what))
    found += [(each.at, _PROOF.get(each.kind, each.kind)) for each in one.proofs]
    if one.state not in {BatchState.ACCEPTED, *_MOVING} and one.finished_at is not None:
        why = f": {one.why.replace('_', ' ')}" if one.why else ""
        found.append((one.finished_at, f"{one.state}{why}"))
    told_of = list(heard(one))
    found += [(at, what) for at, what in told_of if at is not None]
    return [*sorted(found, key=itemgetter(0)), *((None, what) for at, what in told_of if at is None)]


_MOVING = frozenset({BatchState.PLANNED, BatchState.INFLIGHT, BatchState.UNKNOWN})


def in_zone(zone: ZoneInfo) -> Say:
    """Write instants as the clock on the shop's wall shows them, zone and all."""

    def say(at: datetime) -> str:
        local = at.astimezone(zone)
        return f"{local.day} {local:%b %Y, %H:%M:%S %Z}"

    return say
