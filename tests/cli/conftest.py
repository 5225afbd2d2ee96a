"""The `campaigns` command, run in this process as its console script runs it, over a real store."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import settings
from cli import main
from tests.cli.fakes import FakeServer
from tests.conftest import LINK_KEY, PEPPER

ORDERS = Path(__file__).parent.parent / "payloads" / "orders"


@dataclass(frozen=True)
class Told:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def mistake(self) -> str:
        """The one line of a mistake."""
        assert (self.status, self.out) == (2, "")
        (line,) = self.err.splitlines()
        assert line.startswith("campaigns: ")
        return line.removeprefix("campaigns: ")


Campaigns = Callable[..., Told]


@pytest.fixture
def campaigns(capsys: pytest.CaptureFixture[str]) -> Campaigns:
    def run(*arguments: object) -> Told:
        capsys.readouterr()
        status = main.run([str(one) for one in arguments])
        return Told(status, *capsys.readouterr())

    return run


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake: FakeServer) -> Iterator[pytest.MonkeyPatch]:
    """Settings of a machine on which nothing runs but the fake, in the place of every service."""
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_ACCOUNT": "shop",
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SANDBOX_PORT": str(fake.port),
        "OMS_GATEWAY_PORT": str(fake.port),
        "OMS_PREFECT_PORT": str(fake.port),
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    yield monkeypatch
    settings.load.cache_clear()


@pytest.fixture
def shop(environment: pytest.MonkeyPatch, engine: sa.Engine, account_id: str, database_url: str) -> sa.Engine:
    """A migrated store with one account and nothing else."""
    environment.setenv("OMS_DATABASE_URL", database_url)
    settings.load.cache_clear()
    return engine
