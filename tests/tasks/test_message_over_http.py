"""From POST /messages to the ESP and back: the shop's program asks, the dispatcher sends, GET tells it."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

import settings
from gateway.app import create_app
from tests.gateway.conftest import serve
from tests.gateway.message_api import Program, new_key
from tests.providers.sandbox.conftest import Esp, esp, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop

__all__ = ["esp", "serve", "start"]


@pytest.fixture
def shop(
    engine: sa.Engine, account_id: str, database_url: str, esp: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> Iterator[LaneShop]:
    monkeypatch.chdir(tmp_path)
    for name, value in lane.environment(esp, database_url).items():
        monkeypatch.setenv(name, value)
    lane.reset()
    yield LaneShop(engine, esp)
    lane.reset()


def test_what_is_asked_for_over_http_is_sent_once_and_told(shop: LaneShop, engine: sa.Engine, serve) -> None:
    program = Program(serve(create_app(settings.load())), engine, new_key(engine))
    to = {"email": "johanna@delivered.test"}
    asked = program.ask(recipient=to)
    message_id = asked.json()["id"]
    lane.dispatch()
    assert program.ask(recipient=to).content == asked.content
    lane.dispatch()
    assert shop.mailed(message_id) == 1
    found = program.show(message_id).json()
    assert found["state"] == "accepted"
    assert [(one["number"], one["provider"], one["outcome"]) for one in found["attempts"]] == [
        (1, "sandbox", "accepted")
    ]
    (row,) = program.messages()
    assert (row.email, row.variables) == (None, None)
