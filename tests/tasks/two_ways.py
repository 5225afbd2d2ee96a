"""The shop with two ways out, of which the first does what a test says, and a clock that can be set forward."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks import wiring
from tests.providers import loopback
from tests.providers.loopback import Answer
from tests.providers.sandbox.conftest import Esp, esp, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop

__all__ = ["esp", "start"]

FIRST = "{name: a, stream: transactional, provider: first, pool: a, domain: a.shop.example.com}"
SECOND = "{name: b, stream: transactional, provider: second, pool: b, domain: b.shop.example.com, priority: 2}"
ROUTES = """
providers:
  first: {{kind: sandbox, base_url: "{first}"}}
  second: {{kind: sandbox, base_url: "{second}"{more}}}
accounts:
  shop:
    - {a}
    - {b}
{tail}
"""
TAKEN = Answer(202, headers={"X-Message-Id": "reference"})


@dataclass
class Town(LaneShop):
    """The shop with two ESPs: `first` says what `now` says, `second` is the sandbox."""

    now: Answer = TAKEN
    first: loopback.Server = field(default_factory=lambda: loopback.Server("", []))

    def routes(
        self, *, first: str | None = None, a: str = FIRST, b: str = SECOND, more: str = "", tail: str = ""
    ) -> None:
        text = ROUTES.format(first=first or self.first.url, second=self.esp.url, a=a, b=b, more=more, tail=tail)
        Path("routes.yaml").write_text(text)

    def went(self, message_id: str) -> list[tuple[str, str]]:
        """By whom it was tried, and what came of that."""
        return [(one.provider, one.outcome) for one in self.attempts(message_id)]


@pytest.fixture
def town(
    engine: sa.Engine, account_id: str, database_url: str, esp: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Town]:
    monkeypatch.chdir(tmp_path)
    for name, value in lane.environment(esp, database_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMS_SENDGRID_READ_TIMEOUT_SECONDS", "0.3")
    lane.reset()
    town = Town(engine, esp)
    with loopback.answering(lambda _: town.now) as town.first:
        town.routes()
        yield town
    lane.reset()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Let time pass."""

    def pass_(time: timedelta) -> None:
        at = wiring.clock() + time
        monkeypatch.setattr(wiring, "clock", lambda: at)

    return pass_
