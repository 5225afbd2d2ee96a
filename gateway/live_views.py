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
        "behind": _behind(found, now),
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
    return f"Last event {kpi_counters.span(now - found.last_event_at)} ago ({moment(found.last_event_at)})."


def _behind(found: Live, now: datetime) -> str:
    oldest = found.oldest_waiting_at
    return kpi_counters.behind(
        bodies=found.bodies_waiting,
        oldest=None if oldest is None else now - oldest,
        batches=found.batches_left,
        events=found.events_waiting,
    )
