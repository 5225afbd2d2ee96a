"""A process that dies at any boundary of a hosted run: one campaign, one send, everybody once, on both databases."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from tasks import esps, wiring
from tasks import hosted as hosted_work
from tests.kills import hosted, shop
from tests.kills.hosted import lived
from tests.kills.processes import SharedClock
from tests.tasks import hosted_run
from tests.tasks.hosted_run import HostedRun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
_LEASE_SECONDS = 120


@dataclass
class Shop:
    engine: sa.Engine
    url: str
    folder: Path
    clock: SharedClock

    def begin(self) -> HostedRun:
        with database.write(self.engine) as connection:
            connection.execute(tables.host_steps.delete())  # the runs before are another host's, in another file
        return hosted.hosted(self.engine, self.folder, self.clock, shop.open_run(self.engine, self.clock()).id)

    def lived(self, run: HostedRun, *, at: int | None, told: Path | None = None) -> bool:
        return lived(self.url, self.folder, self.clock, run.id, at=at, told=told)


@pytest.fixture
def killed(engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shop]:
    with hosted_run.set_up(monkeypatch, tmp_path, database_url, OMS_SENDING_LEASE_SECONDS=str(_LEASE_SECONDS)):
        monkeypatch.setattr(wiring, "clock", wiring.clock)  # put back afterwards
        monkeypatch.setattr(esps, "campaign_host", esps.campaign_host)
        monkeypatch.setattr(esps, "is_host", esps.is_host)
        monkeypatch.setattr(shop, "PEOPLE", 20)
        monkeypatch.setattr(hosted_work, "_MOST_THREADS", 1)  # of several nobody knows which boundary is next
        shop.fill(engine)
        yield Shop(engine, database_url, tmp_path, SharedClock())


def test_whoever_dies_wherever_everybody_gets_it_once(killed: Shop) -> None:
    told = killed.folder / "boundaries.txt"
    run = killed.begin()
    assert killed.lived(run, at=None, told=told)
    _once(run)
    boundaries = told.read_text().splitlines()
    assert {"before schedule", "after schedule", "before campaign", "after clear"} <= {
        one.partition(" in ")[0] for one in boundaries
    }
    for at in _chosen(boundaries, killed.engine):
        run = killed.begin()
        assert not killed.lived(run, at=at), f"boundary {at} was never reached"
        killed.clock.forward(seconds=_LEASE_SECONDS + 1)
        assert killed.lived(run, at=None)
        _once(run, f"killed {boundaries[at - 1]} ({at} of {len(boundaries)})")


def _chosen(boundaries: list[str], engine: sa.Engine) -> list[int]:
    """The first boundary of each kind, 86 of them: each second, on PostgreSQL each sixth, as a death takes two seconds.

    All that there are when others are to be explored, which takes a quarter of an hour.
    """
    if os.environ.get("OMS_HYPOTHESIS") == "explore":
        return list(range(1, len(boundaries) + 1))
    kinds = [boundaries.index(kind) + 1 for kind in dict.fromkeys(boundaries)]
    return kinds[::2] if engine.dialect.name == "sqlite" else kinds[1::6]


def _once(run: HostedRun, told: str = "") -> None:
    mailed = run.host.mailed()
    assert (len(mailed), len(set(mailed))) == (20, 20), told
    assert run.host.asked("SELECT count(*) FROM sends") == [(1,)], told
    assert run.campaigns() == ["sent"], told
    assert run.status == "settled", told
    audit = run.audit()
    assert audit.balanced, (told, audit.complaints)
    assert audit.states["accepted"] == 20, told
    assert run.host.asked("SELECT count(*) FROM segment") == [(0,)], told
