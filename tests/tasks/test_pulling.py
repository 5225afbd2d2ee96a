"""What an ESP says of lost mail, asked over a real wire: one question that fails costs only itself."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

import settings
from data import database, reconciliation_reading, tables
from domain.delivery import EventKind
from tasks import esps, pulling
from tasks.pulling import Pulled
from tests.conftest import LINK_KEY, PEPPER
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.providers import loopback
from tests.providers.loopback import Answer, Received

pytestmark = pytest.mark.usefixtures("account_id")
PEOPLE = 12
STORIES = "/v3/messages/"
Ask = Callable[[Callable[[Received], Answer]], Pulled]


def row(number: int, **facts: Any) -> dict[str, Any]:
    """The glance at one message: it arrived, and nobody read it."""
    told = {"to_email": ledger_rows.address(number), "msg_id": f"m{number}", "status": "delivered"}
    return told | {"opens_count": 0, "clicks_count": 0, "last_event_time": "2026-11-22T09:05:00Z"} | facts


def story(name: str) -> Answer:
    event = {"event_name": name, "processed": "2026-11-22T09:01:00Z", "reason": "550 5.1.1 no such user"}
    return Answer(200, orjson.dumps({"events": [event | {"bounce_type": "bounce"}]}))


def glances(request: Received, **facts: Any) -> Answer:
    """Of attempt aN the messages 2N and 2N+1."""
    number = int(request.target.partition("attempt_id%27%5D%3D%22a")[2].partition("%22")[0])
    return Answer(200, orjson.dumps({"messages": [row(2 * number, **facts), row(2 * number + 1, **facts)]}))


@pytest.fixture
def asked(engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ask]:
    """Ask an ESP that answers so about six attempts of two messages each, of which nobody told anything."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, "shop", PEOPLE)
        batches = [BatchRow(2 * n, 2 * n + 1, attempt=f"a{n}") for n in range(PEOPLE // 2)]
        ledger_rows.add_run(connection, "shop", ids, batches)
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_DATABASE_URL": database_url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SENDGRID_API_KEY": "SG.key",
        "OMS_SENDGRID_ACTIVITY_LOOKUP": "true",
        "OMS_SENDGRID_ACTIVITY_A_MINUTE": "1000",
    }.items():
        monkeypatch.setenv(name, value)

    def ask(answer: Callable[[Received], Answer]) -> Pulled:
        with database.read(engine) as connection:
            attempts = reconciliation_reading.accepted(connection, NOW)
        with _esp(answer, monkeypatch):
            return pulling.pull("sendgrid", attempts, minutes=1, alive=lambda: None)

    yield ask
    settings.load.cache_clear()


@contextmanager
def _esp(answer: Callable[[Received], Answer], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with loopback.answering(answer) as server:
        monkeypatch.setenv("OMS_SENDGRID_BASE_URL", server.url)
        settings.load.cache_clear()
        yield


def told(engine: sa.Engine) -> Counter[str]:
    """The kinds of events that lie in the stored bodies, as their reader understands them."""
    with database.read(engine) as connection:
        bodies = connection.scalars(sa.select(tables.webhook_inbox.c.body)).all()
    reader = esps.event_readers()["sendgrid"]
    return Counter(getattr(one, "kind", "unreadable") for body in bodies for one in reader.parse(body))


def test_an_attempt_that_the_esp_cannot_show_costs_only_itself(engine: sa.Engine, asked: Ask) -> None:
    def answer(request: Received) -> Answer:
        return Answer(500) if "a0" in request.target else glances(request)

    pulled = asked(answer)
    assert (pulled.questions, pulled.attempts_left, pulled.bodies) == (6, 1, 5)
    assert "500" in pulled.trouble
    assert told(engine) == {EventKind.DELIVERED: PEOPLE - 2}


def test_an_esp_that_is_down_is_left_alone(engine: sa.Engine, asked: Ask) -> None:
    pulled = asked(lambda _: Answer(503))
    assert (pulled.questions, pulled.attempts_left, pulled.bodies) == (3, 6, 0)


def test_who_may_not_ask_asks_once(engine: sa.Engine, asked: Ask) -> None:
    pulled = asked(lambda _: Answer(403))
    assert (pulled.questions, pulled.attempts_left, pulled.bought) == (1, 6, False)


def test_failures_between_answers_are_none_of_the_esp(engine: sa.Engine, asked: Ask) -> None:
    def answer(request: Received) -> Answer:
        return Answer(500) if any(f"a{n}%" in request.target for n in (0, 2, 3, 5)) else glances(request)

    pulled = asked(answer)
    assert (pulled.questions, pulled.attempts_left) == (6, 4)
    assert told(engine) == {EventKind.DELIVERED: 4}


def test_a_story_that_is_not_as_documented_costs_only_itself(engine: sa.Engine, asked: Ask) -> None:
    def answer(request: Received) -> Answer:
        if not request.target.startswith(STORIES):
            return glances(request, status="not_delivered")
        if request.target == f"{STORIES}m3":
            return Answer(200, orjson.dumps({"events": [{"event_name": "bounced"}]}))
        return story("bounced")

    pulled = asked(answer)
    assert (pulled.questions, pulled.stories_left, pulled.attempts_left) == (6 + PEOPLE, 1, 0)
    assert "not as documented" in pulled.trouble
    assert told(engine) == {EventKind.BOUNCED: PEOPLE - 1}


def test_who_read_it_has_it_though_the_story_is_lost(engine: sa.Engine, asked: Ask) -> None:
    def answer(request: Received) -> Answer:
        if not request.target.startswith(STORIES):
            return glances(request, opens_count=1)
        return Answer(404) if request.target == f"{STORIES}m3" else story("delivered")

    pulled = asked(answer)
    assert (pulled.questions, pulled.stories_left) == (6 + PEOPLE, 1)
    assert told(engine) == {EventKind.DELIVERED: PEOPLE, EventKind.OPENED: 1}


def test_a_glance_that_is_not_as_documented_costs_only_itself(engine: sa.Engine, asked: Ask) -> None:
    def answer(request: Received) -> Answer:
        good = orjson.loads(glances(request).body)["messages"]
        return Answer(200, orjson.dumps({"messages": [good[0], good[1] | {"last_event_time": "yesterday"}]}))

    pulled = asked(answer)
    assert (pulled.questions, pulled.attempts_left) == (6, 0)
    assert "not as documented" in pulled.trouble
    assert told(engine) == {EventKind.DELIVERED: PEOPLE // 2}
