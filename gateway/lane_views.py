"""How the transactional lane does, as plain text and small plots for a template. No message and no person is named."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from data.lane_figures import ClassFigures, LaneFigures, Latency, ProviderFigures
from domain.kpi_counters import span
from domain.lane_alarms import PATIENCE
from domain.ledger import BatchState, OutcomeKind
from domain.reports import percent
from gateway import sparklines
from gateway.figures import count, moment

CLASS_HEADS = (
    "Class",
    "Waits now",
    "Oldest",
    "Asked",
    "Accepted",
    "Not sent",
    "Held",
    "Sent again",
    "Half within",
    "99 % within",
)
PROVIDER_HEADS = ("Sending service", "Requests", "Accepted", "Refused", "Not taken", "No answer", "Failed")
_NOT_SENT = (BatchState.REJECTED, BatchState.SUPPRESSED, BatchState.EXPIRED, BatchState.CANCELLED)


def page(
    found: LaneFigures, slices: Sequence[tuple[int, Latency]], alive: int, alarms: Sequence[str], now: datetime
) -> dict[str, Any]:
    """Everything on the page."""
    asked = [float(each) for each, _ in slices]
    slowest = [took.p99 or 0.0 for _, took in slices]
    return {
        "as_of": moment(now),
        "alarms": [one.replace("`", "") for one in alarms],
        "who": f"{alive} dispatcher{'' if alive == 1 else 's'} at work" if alive else "No dispatcher is at work",
        "class_heads": CLASS_HEADS,
        "classes": [_class(one, now) for one in found.classes],
        "provider_heads": PROVIDER_HEADS,
        "providers": [_provider(one) for one in found.providers],
        "plots": [
            {
                "title": "Asked for in each half hour",
                "note": f"{count(int(sum(asked)))} in 24 hours, {count(int(max(asked, default=0)))} in the busiest half hour",
                "drawn": sparklines.plain(asked, label="Messages asked for in each half hour of the last day"),
            },
            {
                "title": "99 % accepted within",
                "note": f"at worst {seconds(max(slowest, default=None) or None)} in a half hour",
                "drawn": sparklines.plain(slowest, label="Seconds to the acceptance, by half hour of the last day"),
            },
        ],
    }


def seconds(value: float | None) -> str:
    """A latency for people."""
    return "–" if value is None else f"{value:.2f} s"


def _class(one: ClassFigures, now: datetime) -> dict[str, Any]:
    age = now - one.backlog.oldest_due if one.backlog.oldest_due else None
    lost = sum(one.states.get(state, 0) for state in _NOT_SENT)
    cells = [
        one.urgency.name.lower(),
        count(one.backlog.open),
        span(age) if age is not None else "–",
        count(one.asked),
        count(one.states.get(BatchState.ACCEPTED, 0)),
        count(lost),
        count(one.states.get(BatchState.HELD, 0)),
        count(one.resent),
        seconds(one.latency.p50),
        seconds(one.latency.p99),
    ]
    return {"cells": cells, "late": age is not None and age > PATIENCE[one.urgency]}


def _provider(one: ProviderFigures) -> list[str]:
    kinds = (OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.NOT_SENT, OutcomeKind.UNKNOWN)
    outcomes = (count(one.outcomes.get(kind, 0)) for kind in kinds)
    return [one.provider, count(one.attempts), *outcomes, percent(one.failed / one.attempts if one.attempts else None)]
