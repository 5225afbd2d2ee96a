"""SendGrid's endpoints of statistics."""

import time
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from providers.sandbox import stats
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import Running, Sandbox, require_key

router = APIRouter(dependencies=[Depends(require_key)])
_MOST_CATEGORIES = 10
By = Annotated[Literal["day"], Query()]  # weeks and months are SendGrid's too; nobody asks for them here


@router.get("/v3/stats")
def of_account(
    sandbox: Running,
    start_date: date,
    end_date: date | None = None,
    aggregated_by: By = "day",  # noqa: ARG001 - checked by its type
) -> list[dict[str, Any]]:
    return [
        {"date": day, "stats": [{"metrics": figures}]} for day, figures in _by_day(sandbox, start_date, end_date, None)
    ]


@router.get("/v3/categories/stats")
def of_categories(
    sandbox: Running,
    start_date: date,
    categories: Annotated[list[str], Query()],
    end_date: date | None = None,
    aggregated_by: By = "day",  # noqa: ARG001 - checked by its type
) -> list[dict[str, Any]]:
    if len(categories) > _MOST_CATEGORIES:
        raise Refused(400, Violation("you may include up to 10 different categories", "categories"))
    found = {category: _by_day(sandbox, start_date, end_date, category) for category in categories}
    days = next(iter(found.values()), [])
    return [
        {
            "date": day,
            "stats": [
                {"type": "category", "name": category, "metrics": figures[number][1]}
                for category, figures in found.items()
            ],
        }
        for number, (day, _) in enumerate(days)
    ]


def _by_day(sandbox: Sandbox, first: date, last: date | None, category: str | None) -> list[tuple[str, dict[str, int]]]:
    knobs = sandbox.dial.faults
    now = time.time()
    until = last or datetime.fromtimestamp(now, UTC).date()
    with sandbox.store.read() as connection:
        hours, at = knobs.stats_hours_ahead, now - knobs.stats_behind_seconds
        return list(stats.by_day(connection, first, until, category=category, hours=hours, now=at))
