"""Which earlier run a campaign's size is compared with."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, runs, tables
from tests.data import frozen
from tests.data.frozen import NOW

pytestmark = pytest.mark.usefixtures("account_id")


def _sent(connection: sa.Connection, planned: int, hours: int, **facts: object) -> None:
    run = runs.create(connection, frozen.plan(**facts), flow_run_id=None, now=NOW + timedelta(hours=hours))
    table = tables.campaign_runs
    connection.execute(table.update().where(table.c.id == run.id).values(planned=planned, dispatched_at=NOW))


@pytest.mark.parametrize(
    "trial",
    [
        {"limit": 5},
        {"provider": "sandbox"},
        {"live": False},
        {"segment": "others"},
        {"campaign": "another"},
    ],
    ids=str,
)
def test_a_trial_is_not_what_the_campaign_is_compared_with(engine: sa.Engine, trial: dict[str, object]) -> None:
    with database.write(engine) as connection:
        this = runs.create(connection, frozen.plan(), flow_run_id=None, now=NOW + timedelta(days=1))
        _sent(connection, 5, 3, **trial)
        assert runs.previous_planned(connection, this) is None
        _sent(connection, 900, 1)
        _sent(connection, 1000, 2)
        assert runs.previous_planned(connection, this) == 1000
