"""The fixture of tests of the transactional lane: a LaneShop over a real store and a real sandbox ESP."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, suppressions, tables
from domain import addresses
from domain.ledger import Outcome, OutcomeKind
from domain.suppression import Reason
from tasks import wiring
from tests.conftest import PEPPER
from tests.providers.sandbox.conftest import Esp, esp, start
from tests.tasks import lane
from tests.tasks.lane import LaneShop

__all__ = ["esp", "shop", "start"]


@pytest.fixture
def shop(
    engine: sa.Engine,
    account_id: str,
    database_url: str,
    esp: Esp,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[LaneShop]:
    monkeypatch.chdir(tmp_path)
    for name, value in lane.environment(esp, database_url).items():
        monkeypatch.setenv(name, value)
    lane.reset()
    yield LaneShop(engine, esp)
    lane.reset()


def suppress(engine: sa.Engine, reason: Reason, email: str = "johanna@delivered.test") -> None:
    with database.write(engine) as connection:
        suppressions.add(
            connection,
            account_id="shop",
            address_hash=addresses.address_hash(email, PEPPER),
            reason=reason,
            source="test",
            evidence="test",
            now=wiring.clock() - timedelta(minutes=1),
        )


def delivered(engine: sa.Engine, message_id: str, at: datetime) -> None:
    """As the ESP's event would tell."""
    with database.write(engine) as connection:
        connection.execute(
            tables.transactional_delivery.insert().values(message_id=message_id, seen=4, severity=0, delivered_at=at)
        )


def change(engine: sa.Engine, message_id: str, **values: Any) -> None:
    """Falsify a message's row."""
    table = tables.transactional_messages
    with database.write(engine) as connection:
        connection.execute(table.update().where(table.c.id == message_id).values(**values))


def lose_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the ESP takes every mail, and its answer is lost."""
    from tasks.dispatcher import Dispatcher

    sent = Dispatcher._sent

    def lost(self: Dispatcher, batch: Any, way: Any) -> Outcome:
        sent(self, batch, way)
        return Outcome(OutcomeKind.UNKNOWN, detail="the answer was lost")

    monkeypatch.setattr(Dispatcher, "_sent", lost)
