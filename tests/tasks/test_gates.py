"""The gates as steps of a run, as Prefect runs them: what stops it, what it is offered, and what everybody may read."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

import settings
from data import database, runs, segment_sizes, tables
from data.features import refresh
from domain.campaigns import Refinement, Run, RunStatus
from tasks import gates, verdicts, wiring
from tests.conftest import LINK_KEY, PEPPER
from tests.data import frozen
from tests.data.test_expectations_orders import add

pytestmark = pytest.mark.slow
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
def shop(
    engine: sa.Engine, account_id: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> Iterator[sa.Engine]:
    """Five customers with an order each, and their features."""
    monkeypatch.chdir(tmp_path)
    names = {"ACCOUNT": account_id, "DATABASE_URL": database_url, "GATE_LEAST_MEMBERS": "4"}
    for name, value in (names | {"PRIVACY_PEPPER": PEPPER, "PRIVACY_LINK_KEY": LINK_KEY}).items():
        monkeypatch.setenv(f"OMS_{name}", value)
    settings.load.cache_clear()
    now = wiring.clock()
    with database.write(engine) as connection:
        ids = frozen.consenting_parties(connection, 5)
        connection.execute(tables.customer_features.delete())
    for one in ids:
        add(engine, one, external_id=f"o{one}|x", placed_at=now - HOUR)
    refresh.refresh(engine, account_id="shop", as_of=now, now=now)
    yield engine
    settings.load.cache_clear()


def new_run(engine: sa.Engine, **facts: object) -> Run:
    with database.write(engine) as connection:
        return runs.create(
            connection, frozen.plan(segment="repeat-customers", **facts), flow_run_id=None, now=wiring.clock()
        )


def frozen_run(engine: sa.Engine, **facts: object) -> Run:
    with database.write(engine) as connection:
        ids = list(connection.scalars(sa.select(tables.parties.c.id)))
        run = frozen.freeze(connection, ids, segment="repeat-customers", **facts)
        connection.execute(tables.campaign_runs.update().values(created_at=wiring.clock() - HOUR))
    return run


def again(engine: sa.Engine, run: Run) -> Run:
    with database.read(engine) as connection:
        return runs.get(connection, run.id)


def judged(step, run: Run) -> None:
    @flow
    def one_step() -> None:
        step(run.id)

    one_step()


def artifact(run: Run, gate: str) -> str:
    async def read() -> str:
        async with get_client() as client:
            found = [one for one in await client.read_artifacts() if one.key == f"validation-{gate}-{run.id}"]
            return str(found[-1].data)

    return asyncio.run(read())


def spoil(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.orders.update().values(refunded=Decimal(99)))


def test_sound_data_passes_and_the_verdicts_are_kept(shop: sa.Engine) -> None:
    run = new_run(shop)
    judged(gates.check_data, run)
    kept = again(shop, run)
    assert kept.status is RunStatus.CREATED
    assert {gate: one["passed"] for gate, one in (kept.validation or {}).items()} == {
        "orders": True,
        "features": True,
        "drift": True,
    }


def test_a_failure_stops_the_run_and_offers_the_last_good_snapshot(shop: sa.Engine) -> None:
    good = frozen_run(shop)
    judged(gates.check_audience, good)
    spoil(shop)
    run = new_run(shop)
    with pytest.raises(gates.GateFailed) as stopped:
        judged(gates.check_data, run)
    offer = f"fill in 'Use the members of run' with {good.id}, or `campaigns run news … --members-of {good.id}`"
    assert offer in str(stopped.value)
    assert "5 members" in str(stopped.value)
    kept = again(shop, run)
    assert kept.status is RunStatus.STOPPED
    assert offer in (kept.stop_reason or "")
    page = artifact(run, "orders")
    assert offer in page
    rows = [line for line in page.splitlines() if line.startswith(("| ❌", "| ✅"))]
    assert rows[0].startswith("| ❌ | No more was refunded on an order than was paid | 5 of 5 orders fail | csv o")
    assert "\\|x" in rows[0], "an order's number must not break the table"
    assert "| ❌" not in "".join(rows[1:])
    assert offer not in artifact(run, "features"), "only where something failed"
    assert "@" not in page


def test_without_an_earlier_run_nothing_is_offered(shop: sa.Engine) -> None:
    spoil(shop)
    with pytest.raises(gates.GateFailed, match=r"names the rows\.$"):
        judged(gates.check_data, new_run(shop))


def test_a_run_that_takes_members_is_told_and_goes_on(shop: sa.Engine) -> None:
    spoil(shop)
    run = new_run(shop, refinement=Refinement(members_of="rabcdefghjkm"))
    judged(gates.check_data, run)
    kept = again(shop, run)
    assert kept.status is RunStatus.CREATED
    assert kept.validation is not None
    assert kept.validation["orders"]["passed"] is False
    assert "Told and not heeded: the members are those of run rabcdefghjkm." in artifact(run, "orders")


def test_the_audience_stops_a_run_that_takes_members_too(shop: sa.Engine) -> None:
    run = frozen_run(shop, refinement=Refinement(members_of="rabcdefghjkm"))
    with database.write(shop) as connection:
        connection.execute(tables.parties.update().values(email="broken"))
    with pytest.raises(gates.GateFailed, match="Every planned address can be mailed"):
        judged(gates.check_audience, run)
    assert again(shop, run).status is RunStatus.STOPPED


@pytest.mark.parametrize(("members_of", "stops"), [(None, True), ("rabcdefghjkm", False)])
def test_a_segment_far_from_its_usual_size_stops_the_run(shop: sa.Engine, members_of: str | None, stops: bool) -> None:
    run = frozen_run(shop, refinement=Refinement(members_of=members_of))
    sizes = {"segment": "repeat-customers", "definition_hash": "d", "customers": 99, "net_revenue": Decimal(1)}
    with database.write(shop) as connection:
        # That of the run's own instant is what is judged, not what it is judged by.
        for hours, members in ((0, 5), (1, 20), (2, 20), (3, 5)):
            at = frozen.NOW - hours * HOUR
            segment_sizes.note(connection, account_id="shop", as_of=at, members=members, **sizes)  # type: ignore[arg-type]
    if not stops:
        judged(gates.check_audience, run)
        return
    with pytest.raises(gates.GateFailed, match="The segment has within 50 % of its usual 20 members"):
        judged(gates.check_audience, run)


def test_only_what_segment_template_and_exclusions_need_is_judged() -> None:
    needed = verdicts.needed("lapsed-vip", Refinement(), ["first_name", "favourite_category", "unsubscribe_url"])
    assert "favourite_category" in needed
    assert "net_revenue" in needed
    assert "first_name" not in needed
    assert "refund_rate" not in needed
    assert "refund_rate" in verdicts.needed("lapsed-vip", Refinement(exclude=("high-refunders",)))
    assert "last_order_at" in verdicts.needed("vip and not high-refunders", Refinement(), ["days_since_last_order"])
