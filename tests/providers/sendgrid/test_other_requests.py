"""Every request to SendGrid besides the mail itself, as it came over a real wire, against its published document."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from openapi_core.exceptions import OpenAPIError
from pydantic import SecretStr

from domain import ports
from providers.sendgrid import access, activity, inquiry, schedule, stats
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.management import Management
from providers.sendgrid.suppressions import LISTS, SendGridSuppressions
from tests.providers import loopback
from tests.providers.contract import SECRET
from tests.providers.vendor_api import VendorApi, sendgrid

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BATCH = "YmF0Y2hfaWQ-1"
ANSWERS: dict[str, Any] = {
    "/v3/mail/batch": {"batch_id": BATCH},
    "/v3/scopes": {"scopes": ["mail.send"]},
    "/v3/messages": {"messages": []},
    "/v3/messages/m1": {"events": []},
    "/v3/user/scheduled_sends": {"batch_id": BATCH, "status": "cancel"},
}


@pytest.fixture(scope="module")
def api() -> VendorApi:
    return sendgrid()


@pytest.fixture
def server() -> Iterator[loopback.Server]:
    """Answers each question with as little as is an answer."""

    def answer(received: loopback.Received) -> loopback.Answer:
        path = received.target.partition("?")[0]
        if received.method == "DELETE":
            return loopback.Answer(204)
        return loopback.Answer(200, orjson.dumps(ANSWERS.get(path, [])), {"Content-Type": "application/json"})

    with loopback.answering(answer) as server:
        yield server


def listing(config: SendGridConfig) -> None:
    lists = SendGridSuppressions(Management(config))
    list(lists.suppressions(NOW - timedelta(days=1), NOW))
    lists.put("groups/7", ["ann@example.com"])
    lists.put("unsubscribes", ["ann@example.com"])
    for name in (*LISTS, "groups/7"):
        lists.take_off(name, "ann+news@example.com")


def scheduling(config: SendGridConfig) -> None:
    with closing(schedule.open_scheduler(config)) as schedules:
        schedules.new_schedule()
        schedules.cancel(BATCH)


def inquiring(config: SendGridConfig) -> None:
    attempt = ports.UnknownAttempt("a1", "run1", NOW, None, None, "a2")
    with closing(inquiry.open_inquirer(config)) as inquirer:
        inquirer.inquire(attempt, now=NOW + timedelta(hours=1))


def watching(config: SendGridConfig) -> None:
    source = activity.open_activity(config)
    assert source is not None
    with closing(source):
        source.glimpses("a1")
        source.story("m1")


def counting(config: SendGridConfig) -> None:
    with closing(stats.open_stats(config)) as source:
        source.by_day(["spring", "summer"], date(2026, 11, 1), date(2026, 11, 22))


def knowing(config: SendGridConfig) -> None:
    access.access(Management(config))


@pytest.mark.parametrize(
    ("use", "requests"),
    [(listing, 15), (scheduling, 4), (inquiring, 2), (watching, 2), (counting, 2), (knowing, 3)],
)
def test_each_request_is_as_the_vendor_wrote(
    api: VendorApi, server: loopback.Server, use: Callable[[SendGridConfig], None], requests: int
) -> None:
    use(SendGridConfig(api_key=SecretStr(SECRET), base_url=server.url, activity_lookup=True, asm_group_id=7))
    assert len(server.requests) == requests
    for received in server.requests:
        api.judge(received)


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/v3/stats?start_date=2026-11-01&aggregated=day", None),  # a parameter that there is not
        ("GET", "/v3/stats", None),  # one that must be there
        ("POST", "/v3/user/scheduled_sends", {"batch_id": BATCH, "status": "forget"}),
        ("POST", "/v3/asm/suppressions/global", {"emails": ["ann@example.com"]}),
        ("PUT", "/v3/mail/batch", {}),
    ],
)
def test_the_judge_bites(api: VendorApi, method: str, target: str, body: Any) -> None:
    content = b"" if body is None else orjson.dumps(body)
    received = loopback.Received(method, target, {"Content-Type": "application/json"}, content)
    with pytest.raises(OpenAPIError):
        api.judge(received)
