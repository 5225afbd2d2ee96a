"""How the commands about transactional mail write what they found."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.output import table
from domain import message_history
from domain.kpi_counters import span
from domain.ledger import BatchState
from domain.message_history import MessageHistory, Say

if TYPE_CHECKING:
    from data.lane_figures import Failure, LaneFigures
    from data.transactional_audit import LaneAudit

_STATES = (BatchState.ACCEPTED, BatchState.REJECTED, BatchState.SUPPRESSED, BatchState.EXPIRED, BatchState.HELD)
_CLASS_HEADS = ("class", "open", "oldest", "asked", *_STATES, "sent again", "p50", "p95", "p99")


def messages(found: Sequence[MessageHistory], say: Say, stuck: str | None) -> str:
    """Each message: in one sentence what became of it, and below all that happened."""
    return "\n\n".join("\n".join(_message(one, say, stuck)) for one in found)


def _message(one: MessageHistory, say: Say, stuck: str | None) -> Iterator[str]:
    to = f" to {one.to}" if one.to else ""
    about = f", about order {one.order}" if one.order else ""
    yield f"{one.template} ({one.urgency.name.lower()}){about}{to}: {message_history.sentence(one, say, stuck=stuck)}."
    for at, what in message_history.story(one):
        yield f"  {say(at) if at else '':<24}  {what}"
    if one.again_of:
        yield f"  It was sent in the place of {one.again_of}."
    if one.again:
        yield f"  It was asked for once more: {', '.join(one.again)}."
    yield f"  Its id: {one.id}"


def seconds(value: float | None) -> str:
    """A latency for people."""
    return "–" if value is None else f"{value:.2f} s"


def health(found: "LaneFigures", alive: Sequence[str], alarms: Sequence[str], now: datetime) -> str:
    """The whole lane on one screen."""
    parts = [table("", _CLASS_HEADS, [_class_row(one, now) for one in found.classes])]
    if found.providers:
        heads = ("ESP", "requests", "accepted", "refused", "not taken", "no answer", "failures")
        parts.append(table("", heads, [_provider_row(one) for one in found.providers]))
    who = f"{len(alive)} dispatcher(s) at work: {', '.join(alive)}." if alive else "No dispatcher is at work."
    parts.append("\n".join([who, *(f"ALARM: {one}" for one in alarms)] if alarms else [who, "No alarm."]))
    return "\n\n".join(parts)


def _class_row(one: Any, now: datetime) -> tuple[Any, ...]:
    oldest = span(now - one.backlog.oldest_due) if one.backlog.oldest_due else "–"
    states = (one.states.get(state, 0) for state in _STATES)
    took = one.latency
    return (
        *(one.urgency.name.lower(), one.backlog.open, oldest, one.asked, *states, one.resent),
        *(seconds(each) for each in (took.p50, took.p95, took.p99)),
    )


def _provider_row(one: Any) -> tuple[Any, ...]:
    outcomes = (one.outcomes.get(kind, 0) for kind in ("accepted", "rejected", "not_sent", "unknown"))
    return one.provider, one.attempts, *outcomes, f"{100 * one.failed / one.attempts:.1f} %"


def health_payload(found: "LaneFigures", alive: Sequence[str], alarms: Sequence[str]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "since": found.since,
        "until": found.until,
        "dispatchers": list(alive),
        "alarms": list(alarms),
        "classes": [
            {
                "class": one.urgency.name.lower(),
                "backlog": one.backlog,
                "asked": one.asked,
                "states": dict(one.states),
                "resent": one.resent,
                "latency": one.latency,
            }
            for one in found.classes
        ],
        "providers": [
            {"provider": one.provider, "attempts": one.attempts, "failed": one.failed, "outcomes": dict(one.outcomes)}
            for one in found.providers
        ],
    }


def failures(found: Sequence["Failure"]) -> str:
    """Dead letters, the most first."""
    rows = [(one.count, one.account_id, one.template, one.state, one.latest_at, one.latest, one.why) for one in found]
    told = table("", ("messages", "account", "template", "state", "latest (UTC)", "one of them", "why"), rows)
    return (
        f"{told}\n\n`campaigns messages show MESSAGE` tells its story; `campaigns messages resend` sends one once more."
    )


def audit(found: "LaneAudit") -> str:
    """The sentence, the states, and what is wrong."""
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items())) or "none"
    lines = [f"{found.asked:,} messages were asked for: {states}; {found.resent:,} were knowingly sent once more."]
    if found.twice is None:
        lines.append("The ESPs have no record that could be asked.")
    else:
        lines.append(
            f"By the ESP's own record {found.twice:,} went out twice, {found.flagged:,} of these flagged so;"
            f" {found.missing:,} are missing."
        )
    return "\n".join(
        [*lines, *(f"WRONG: {one}" for one in found.complaints), *([] if found.complaints else ["It balances."])]
    )
