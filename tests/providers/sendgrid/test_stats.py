"""SendGrid's figures by day, in our measures."""

from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest

from domain.esp_record import Measure, NotBought, SourceFailed
from providers.sendgrid.stats import SendGridStats
from tests.providers import loopback
from tests.providers.loopback import Answer, Received

NAMES = (
    *("blocks", "bounce_drops", "bounces", "clicks", "deferred", "delivered", "invalid_emails", "opens", "processed"),
    *("requests", "spam_report_drops", "spam_reports", "unique_clicks", "unique_opens", "unsubscribe_drops"),
    "unsubscribes",
)
METRICS = {name: 2**number for number, name in enumerate(NAMES)}
FIRST, LAST = date(2026, 11, 19), date(2026, 11, 20)


def _by_day(answer: Any, labels: list[str], status: int = 200) -> tuple[list[Any], list[Received]]:
    def reply(asked: Received) -> Answer:
        return Answer(status, orjson.dumps(answer(asked) if callable(answer) else answer))

    with loopback.answering(reply) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        return SendGridStats(client).by_day(labels, FIRST, LAST), server.requests


def test_ten_categories_at_once() -> None:
    def reply(asked: Received) -> list[dict[str, Any]]:
        names: list[str | None] = list(parse_qs(urlsplit(asked.target).query).get("categories", [])) or [None]
        stats = [{"metrics": METRICS} if name is None else {"name": name, "metrics": METRICS} for name in names]
        return [{"date": "2026-11-19", "stats": stats}]

    found, requests = _by_day(reply, [f"c{number}" for number in range(23)])
    assert [urlsplit(one.target).path for one in requests] == ["/v3/stats", *["/v3/categories/stats"] * 3]
    assert all("aggregated_by=day" in one.target and "start_date=2026-11-19" in one.target for one in requests)
    assert {one.label for one in found} == {None, *(f"c{number}" for number in range(23))}
    counts = found[0].counts
    assert counts[Measure.REFUSED] == METRICS["bounces"] + METRICS["blocks"]
    assert counts[Measure.OPENED] == METRICS["unique_opens"]
    drops = ("bounce_drops", "spam_report_drops", "unsubscribe_drops", "invalid_emails")
    assert counts[Measure.DROPPED] == sum(METRICS[name] for name in drops)


@pytest.mark.parametrize("answer", [None, {"a": 1}, [{"date": "yesterday", "stats": []}], [{"date": "2026-11-19"}]])
def test_an_answer_that_is_not_as_documented_is_said(answer: Any) -> None:
    if answer == [{"date": "yesterday", "stats": []}]:
        answer = [{"date": "yesterday", "stats": [{"metrics": METRICS}]}]
    with pytest.raises(SourceFailed, match="not as documented"):
        _by_day(answer, [])


def test_a_key_that_may_not_read_them() -> None:
    with pytest.raises(NotBought, match=r"stats\.read"):
        _by_day({"errors": []}, [], 403)


def test_the_label_is_the_category_of_the_mail() -> None:
    with httpx.Client() as client:
        assert SendGridStats(client).label("Frühling") == "Fruhling"
