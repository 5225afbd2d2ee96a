"""SendGrid's statistics by day, counted from the sandbox's own record: of the account, and by category.

Shapes: the OpenAPI document's GET /v3/stats and GET /v3/categories/stats. A day is one of the account's own zone. Every
event counts once, on the day that it happened; a unique open or click counts on the day of the message's first.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

METRICS = (
    *("blocks", "bounce_drops", "bounces", "clicks", "deferred", "delivered", "invalid_emails", "opens", "processed"),
    *("requests", "spam_report_drops", "spam_reports", "unique_clicks", "unique_opens", "unsubscribe_drops"),
    "unsubscribes",
)
_OF_KIND = {
    "processed": ("processed",),
    "deferred": ("deferred",),
    "delivered": ("delivered",),
    "open": ("opens",),
    "machine_open": ("opens",),
    "click": ("clicks",),
    "spamreport": ("spam_reports",),
    "unsubscribe": ("unsubscribes",),
}
_DROPS = {
    "Bounced Address": "bounce_drops",
    "Spam Reporting Address": "spam_report_drops",
    "Unsubscribed Address": "unsubscribe_drops",
    "Invalid": "invalid_emails",
}
_DAY = "date({at}, 'unixepoch', :zone)"
_OF_CATEGORY = "EXISTS (SELECT 1 FROM json_each(q.common, '$.category') c WHERE c.value = :category)"
_WENT_AT = "MAX(q.accepted_at, COALESCE(s.send_at, 0))"
_SENT = "recipients r JOIN requests q ON q.id = r.request_id LEFT JOIN scheduled s ON s.x_message_id = q.x_message_id"
_HAPPENED = (
    "events e JOIN recipients r ON r.id = e.recipient_id JOIN requests q ON q.id = r.request_id"
    " WHERE e.repeat = 0 AND e.occurred_at <= :now"
)


def by_day(
    connection: sqlite3.Connection, first: date, last: date, *, category: str | None, hours: float, now: float
) -> Iterator[tuple[str, dict[str, int]]]:
    """Each day from first to last with its figures. `hours`: how far the account's zone is ahead of UTC."""
    given = {
        "category": category,
        "zone": f"{round(hours * 60):+d} minutes",
        "now": now,
        "first": first.isoformat(),
        "last": last.isoformat(),
    }
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(METRICS, 0))
    of_category = "1" if category is None else _OF_CATEGORY
    for day, metric, count in [*_requests(connection, of_category, given), *_events(connection, of_category, given)]:
        found[day][metric] += count
    for number in range((last - first).days + 1):
        day = (first + timedelta(days=number)).isoformat()
        yield day, found[day]


def _requests(
    connection: sqlite3.Connection, of_category: str, given: dict[str, Any]
) -> Iterator[tuple[str, str, int]]:
    day = _DAY.format(at=_WENT_AT)
    rows = connection.execute(
        f"SELECT {day} AS day, COUNT(*) FROM {_SENT} WHERE {of_category} AND {_WENT_AT} <= :now"  # noqa: S608 - texts of ours
        f" AND {day} BETWEEN :first AND :last GROUP BY 1",
        given,
    )
    for row in rows:
        yield row[0], "requests", row[1]


def _events(connection: sqlite3.Connection, of_category: str, given: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    day = _DAY.format(at="e.occurred_at")
    rows = connection.execute(
        f"SELECT {day} AS day, e.kind, r.fate, r.dropped_because, COUNT(*) FROM {_HAPPENED} AND {of_category}"  # noqa: S608 - as above
        f" AND {day} BETWEEN :first AND :last GROUP BY 1, 2, 3, 4",
        given,
    )
    for row in rows:
        yield from ((row[0], metric, row[4]) for metric in _metrics(row))
    first = _DAY.format(at="MIN(e.occurred_at)")
    for metric, kinds in (("unique_opens", "'open', 'machine_open'"), ("unique_clicks", "'click'")):
        rows = connection.execute(
            f"SELECT day, COUNT(*) FROM (SELECT {first} AS day FROM {_HAPPENED} AND {of_category}"  # noqa: S608 - as above
            f" AND e.kind IN ({kinds}) GROUP BY r.id) WHERE day BETWEEN :first AND :last GROUP BY 1",
            given,
        )
        yield from ((row[0], metric, row[1]) for row in rows)


def _metrics(row: sqlite3.Row) -> Sequence[str]:
    if row["kind"] == "bounce":
        return ("bounces",) if row["fate"] == "hard" else ("blocks",)
    if row["kind"] == "dropped":
        return (_DROPS[row["dropped_because"]],)
    return _OF_KIND[row["kind"]]
