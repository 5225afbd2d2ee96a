from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from data.channels.connections import Connections
from data.expectations import freshness
from domain.validation import Check
from tests.conftest import NOW
from tests.data import judged
from tests.data.test_expectations_orders import add, party_id

pytestmark = pytest.mark.usefixtures("account_id")
__all__ = ["party_id"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def heard(engine: sa.Engine, channel: str, *, every: timedelta, until: datetime, weeks: int = 6) -> None:
    rows, at = [], until - weeks * 7 * DAY
    counts = {"verdict": "passed", "records": 1, "orders": 1, "fired": {}}
    while at <= until:
        times = dict.fromkeys(("drained_at", "first_received_at", "last_received_at"), at)
        rows.append({"account_id": "shop", "channel": channel, **times, **counts})
        at += every
    with database.write(engine) as connection:
        connection.execute(tables.intake_batches.insert(), rows)


def checks(engine: sa.Engine, *, patience: timedelta = DAY, **limits: float) -> dict[str, Check]:
    connections = Connections.model_validate(
        {
            "connections": [
                {"account": "shop", "channel": name, "silent_after_hours": hours} for name, hours in limits.items()
            ]
        }
    )
    with database.read(engine) as connection:
        channels = freshness.rules(connection, connections, account_id="shop", now=NOW, patience=patience)
    found = judged.of_orders(engine, account_id="shop", now=NOW, newest_within_days=14, channels=channels)
    return {one.sentence: one for one in found.checks if "channel" in one.sentence}


@pytest.fixture(autouse=True)
def _a_recent_order(engine: sa.Engine, party_id: int) -> None:
    """So that the bound over all channels is kept."""
    add(engine, party_id, placed_at=NOW - DAY)


def test_a_silent_channel_is_named_though_others_bring_orders(engine: sa.Engine) -> None:
    heard(engine, "web", every=3 * HOUR, until=NOW - HOUR)
    heard(engine, "till", every=3 * HOUR, until=NOW - 3 * DAY)
    found = checks(engine)
    assert found["Orders of the channel web still arrive"].passed
    silent = found["Orders of the channel till still arrive"]
    assert not silent.passed
    assert silent.observed.startswith("silent for 3 days, and at this time of the week never longer than ")


def test_a_channel_that_speaks_once_a_week_may_be_silent_for_a_week(engine: sa.Engine) -> None:
    heard(engine, "weekly", every=7 * DAY, until=NOW - 6 * DAY)
    assert checks(engine)["Orders of the channel weekly still arrive"].passed


def test_nothing_is_said_of_the_rhythm_of_one_that_spoke_once(engine: sa.Engine) -> None:
    heard(engine, "history", every=DAY, until=NOW - 40 * DAY, weeks=0)
    assert checks(engine)["Orders of the channel history still arrive"].passed


def test_a_campaign_is_more_patient_than_the_alarm(engine: sa.Engine) -> None:
    heard(engine, "web", every=HOUR, until=NOW - 20 * HOUR)
    name = "Orders of the channel web still arrive"
    assert checks(engine)[name].passed
    assert not checks(engine, patience=19 * HOUR)[name].passed


@pytest.mark.parametrize(("hours", "passes"), [(0, True), (71, False), (73, True)])
def test_a_limit_of_its_own_stands_above_the_rhythm(engine: sa.Engine, hours: float, passes: bool) -> None:
    heard(engine, "till", every=HOUR, until=NOW - 3 * DAY)
    found = checks(engine, till=hours)["Orders of the channel till still arrive"]
    assert found.passed is passes
    assert found.observed == "silent for 3 days" + ("" if passes else ": more than the 71 h of channels.yaml")


def test_a_channel_that_is_declared_and_never_spoke_is_not_waited_for(engine: sa.Engine) -> None:
    assert checks(engine, planned=24) == {}
