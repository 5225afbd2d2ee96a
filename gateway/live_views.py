"""A run's live counters as plain text for a template, and how often its page is to be renewed."""

from datetime import datetime, timedelta
from typing import Any

from data.live import Live
from domain import kpi_counters
from domain.campaigns import RunStatus
from domain.rates import Verdict
from gateway.figures import count, moment

TONE = {Verdict.GOOD: "good", Verdict.WARN: "warn", Verdict.BAD: "bad", Verdict.UNSURE: "", Verdict.NONE: ""}
_OFTEN_SECONDS, _SELDOM_SECONDS = 5, 60
_FRESH, _OVER = timedelta(hours=1), timedelta(days=2)
_OPEN = (RunStatus.APPROVED, RunStatus.DISPATCHING, RunStatus.PAUSED, RunStatus.DISPATCHED)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def page(found: Live, now: datetime) -> dict[str, Any]:
    """Everything on the live page of a run."""
    return {
        "id": found.run.id,
        "name": found.run.plan.campaign,
        "groups": [
            {
                "name": name,
                "rows": [
                    {
                        "label": one.label,
                        "count": count(one.count),
                        "share": one.share,
                        "tone": TONE[one.verdict],
                        "meaning": one.meaning,
                    }
                    for one in some
                ],
            }
            for name, some in kpi_counters.counters(found.figures).items()
        ],
        "last_event": _last_event(found, now),
        "behind": behind(found, now),
        "is_behind": bool(found.bodies_waiting or found.batches_left),
        "as_of": f"{now:%H:%M:%S} UTC",
        "every": every(found, now),
    }


def every(found: Live, now: datetime) -> int | None:
    """After how many seconds the counters are worth another look; None where nothing more is to be expected soon."""
    if not found.run.plan.live or found.run.dispatch_started_at is None:
        return None
    quiet = now - (found.last_event_at or found.run.dispatch_started_at)
    if found.run.status is RunStatus.DISPATCHING or quiet < _FRESH:
        return _OFTEN_SECONDS
    return _SELDOM_SECONDS if found.run.status in _OPEN or quiet < _OVER else None


def _last_event(found: Live, now: datetime) -> str:
    if found.last_event_at is None:
        return "No event yet."
    ago = max(0, round((now - found.last_event_at).total_seconds()))
    return f"Last event {_span(ago)} ago ({moment(found.last_event_at)})."


def behind(found: Live, now: datetime) -> str:
    """How far the counters are behind what the sending services told."""
    parts = []
    if found.bodies_waiting and found.oldest_waiting_at is not None:
        waits = max(0, round((now - found.oldest_waiting_at).total_seconds()))
        noun = "webhook waits" if found.bodies_waiting == 1 else "webhooks wait"
        parts.append(f"{count(found.bodies_waiting)} {noun} to be read, the oldest for {_span(waits)}.")
    else:
        parts.append("Every webhook that came was read.")
    if found.batches_left:
        parts.append(f"What came of {count(found.batches_left)} batches is counted within minutes.")
    if found.events_waiting:
        noun = "event waits until its message is" if found.events_waiting == 1 else "events wait until their message is"
        parts.append(f"{count(found.events_waiting)} {noun} known.")
    return " ".join(parts)


def _span(seconds: int) -> str:
    """A length of time in one unit."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
