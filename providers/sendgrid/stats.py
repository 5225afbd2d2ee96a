"""SendGrid's statistics by day: of the account, and by category. A mail's category is its campaign (payload.py).

Its days are those of the account's own zone. Sources: the OpenAPI document's GET /v3/stats and GET /v3/categories/stats
(at most ten categories at once); facts/esp-contracts.md section 4.1.
"""

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

import httpx

from domain.esp_record import DayFigures, Measure, NotBought, SourceFailed
from providers.sendgrid import calls, payload
from providers.sendgrid.config import SendGridConfig

_CATEGORIES_AT_ONCE = 10
# Ours → SendGrid's. Requests are all recipients asked for, those that were dropped among them.
METRICS = {
    Measure.REQUESTED: ("requests",),
    Measure.DELIVERED: ("delivered",),
    Measure.REFUSED: ("bounces", "blocks"),
    Measure.DROPPED: ("bounce_drops", "spam_report_drops", "unsubscribe_drops", "invalid_emails"),
    Measure.COMPLAINED: ("spam_reports",),
    Measure.UNSUBSCRIBED: ("unsubscribes",),
    Measure.OPENED: ("unique_opens",),
    Measure.CLICKED: ("unique_clicks",),
}


class SendGridStats:
    """A StatsSource."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def label(self, campaign: str) -> str:
        """The category that the campaign's mail carries."""
        return payload.category(campaign)

    def by_day(self, labels: Collection[str], first: date, last: date) -> list[DayFigures]:
        """The account's figures of these days, and those of each category. Raises SourceFailed, NotBought."""
        window = {"start_date": first.isoformat(), "end_date": last.isoformat(), "aggregated_by": "day"}
        found = list(_figures("/v3/stats", self._ask("/v3/stats", **window)))
        wanted = sorted(labels)
        for start in range(0, len(wanted), _CATEGORIES_AT_ONCE):
            some = wanted[start : start + _CATEGORIES_AT_ONCE]
            path = "/v3/categories/stats"
            found += _figures(path, self._ask(path, **window, categories=some))
        return found

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()

    def _ask(self, path: str, **params: Any) -> Any:
        try:
            return calls.call(self._client, "GET", path, **params)
        except calls.CallFailed as error:
            if error.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                raise NotBought(f"{error}: the API key needs the scopes stats.read and categories.stats.read") from None
            raise SourceFailed(str(error)) from None


def _figures(path: str, days: Any) -> Iterator[DayFigures]:
    """Read an answer, or fail aloud: a figure that is skipped looks like a difference."""
    try:
        for day in days:
            for one in day["stats"]:
                metrics = one["metrics"]
                counts = {measure: sum(int(metrics[name]) for name in names) for measure, names in METRICS.items()}
                yield DayFigures(date.fromisoformat(day["date"][:10]), one.get("name"), counts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceFailed(f"SendGrid's answer to {path} is not as documented ({type(error).__name__})") from None


def open_stats(config: SendGridConfig) -> SendGridStats:
    """With a pool of its own; close it. Raises SendGridNotConfigured without a usable API key."""
    return SendGridStats(calls.open_client(config))
