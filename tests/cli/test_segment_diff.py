"""`segments diff`, and what status and report say of a snapshot."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, runs, tables
from domain.campaigns import Run
from tests.cli.conftest import Campaigns
from tests.data.living_shop import START, Shop, order
from tests.tasks.test_diffs import freeze


@pytest.fixture
def two(shop: sa.Engine) -> tuple[Run, Run]:
    """Five customers lapse between two runs; one of them ordered again."""
    here = Shop(shop, "shop")
    here.take_in(*(order(n, START - timedelta(days=89), customer=n) for n in range(1, 6)))
    here.refresh()
    before = freeze(here)
    here.now += timedelta(days=2)
    here.take_in(order(1001, here.now, customer=3))
    here.refresh()
    return before, freeze(here)


def test_who_entered_and_because_of_what(campaigns: Campaigns, two: tuple[Run, Run]) -> None:
    told = campaigns("segments", "diff", two[0].id, two[1].id, "--limit", 1)
    assert told.status == 0
    assert "0 members + 4 entered - 0 left = 4 members" in told.lines
    assert "only time passed        4     0" in told.lines
    assert "and 3 more: --limit tells of them" in told.lines
    assert (
        "web/c1    entered: only time passed – days since the latest counted order: 89 → 91, must be more than 90"
    ) in told.lines
    found = campaigns("segments", "diff", two[0].id, two[1].id, "--json").json
    assert (found["entered"], found["left"], len(found["people"])) == (4, 0, 4)
    assert found["causes"] == [{"cause": "time", "words": "only time passed", "entered": 4, "left": 0}]
    assert "@" not in told.out


def test_the_audit_log_knows_who_compared(shop: sa.Engine, campaigns: Campaigns, two: tuple[Run, Run]) -> None:
    campaigns("segments", "diff", two[0].id, two[1].id)
    with database.read(shop) as connection:
        log = connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "read")).one()
    assert (log.subject, log.detail) == (f"run:{two[1].id}", {"compared_with": two[0].id, "people": 4})


def test_nothing_changed_and_what_cannot_be_compared(campaigns: Campaigns, two: tuple[Run, Run]) -> None:
    same = campaigns("segments", "diff", two[0].id, two[0].id)
    assert same.lines[0] == "Nothing changed: both audiences have the same members, to the last one."
    assert "name the older run first" in campaigns("segments", "diff", two[1].id, two[0].id).mistake
    assert campaigns("segments", "diff", two[0].id, "bogus").mistake.startswith("there is no run 'bogus'")


def test_status_and_report_show_what_makes_a_snapshot_reproducible(
    shop: sa.Engine, campaigns: Campaigns, two: tuple[Run, Run]
) -> None:
    run = two[1]
    with database.write(shop) as connection:
        runs.note_validation(connection, run, {"features": {"gate": "features", "passed": True, "checks": []}})
    for command in ("status", "report"):
        found = campaigns(command, run.id, "--json").json
        assert (found["definition_hash"], found["members_hash"]) == (run.definition_hash, run.members_hash)
        assert (found["code_version"], found["seed"]) == (run.code_version, 1)
        assert found["feature_watermark"] == "2026-06-03T12:00:00+00:00"
        assert found["gate"] == {"features": True}
        assert found["refinement"]["arguments"] == {"days": "90"}
        text = campaigns(command, run.id).out
        for says in (run.definition_hash, run.members_hash):
            assert says is not None
            assert says[:12] in text
        for says in (run.code_version, "2026-06-03 12:00 UTC", "features passed"):
            assert str(says) in text
