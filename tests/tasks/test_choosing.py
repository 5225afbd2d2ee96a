"""Whom a run means: its segment, refined, less what it excludes; or the members of an earlier run."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import audience, database, runs, tables
from data.orders import Source, take_in
from domain.campaigns import Refinement, RunPlan
from domain.orders import Customer
from segments import registry
from tasks import choosing, previews, wiring
from tests.conftest import PEPPER
from tests.data import frozen
from tests.data.living_shop import Shop, order, shop

pytestmark = pytest.mark.usefixtures("account_id")


@pytest.fixture
def here(engine: sa.Engine) -> Shop:
    """Three customers; the first two ordered twice."""
    found = shop(engine)
    found.take_in(*(order(n, found.now - timedelta(days=n), customer=n) for n in range(1, 4)))
    found.take_in(*(order(10 + n, found.now - timedelta(days=60), customer=n) for n in range(1, 3)))
    found.refresh()
    return found


def plan(here: Shop, segment: str, **refined: object) -> RunPlan:
    return previews.plan_of(here.account_id, segment, Refinement(**refined))  # type: ignore[arg-type]


def freeze(here: Shop, planned: RunPlan) -> str:
    choice = choosing.choose(here.engine, planned)
    with database.write(here.engine) as connection:
        run = audience.freeze(
            connection,
            runs.create(connection, planned, flow_run_id=None, now=here.now),
            choice.members.party_ids.tolist(),
            excluded=choice.excluded.tolist(),
            definition_hash=choice.members.definition_hash,
            code_version=choosing.code_version(),
            template_hash="",
            feature_watermark=choice.members.as_of,
            policy=frozen.POLICY,
            batch_size=1000,
            now=here.now,
        )
    return run.id


def test_who_is_in_an_excluded_segment_is_told_apart(here: Shop) -> None:
    choice = choosing.choose(here.engine, plan(here, "all-customers", exclude=("repeat-customers", "one-time-buyers")))
    assert len(choice.members.party_ids) == 3
    assert choice.excluded.tolist() == choice.members.party_ids.tolist()
    choice = choosing.choose(here.engine, plan(here, "all-customers", exclude=("one-time-buyers",)))
    assert choice.excluded.tolist() == choice.members.party_ids[2:].tolist()


def test_members_of_an_earlier_run_are_taken_as_they_were(here: Shop) -> None:
    run_id = freeze(here, plan(here, "repeat-customers"))
    here.take_in(order(50, here.now, customer=3))
    here.refresh()
    assert len(choosing.choose(here.engine, plan(here, "repeat-customers")).members.party_ids) == 3
    borrowed = choosing.choose(here.engine, plan(here, "repeat-customers", members_of=run_id)).members
    with database.read(here.engine) as connection:
        run = runs.get(connection, run_id)
    assert len(borrowed.party_ids) == 2
    assert (borrowed.definition_hash, borrowed.as_of) == (run.definition_hash, run.feature_watermark)


def test_who_became_one_with_an_excluded_person_is_excluded_too(here: Shop) -> None:
    """The borrowed members are numbers of then, the excluded segment has persons of now."""
    run_id = freeze(here, plan(here, "one-time-buyers"))
    with database.write(here.engine) as connection:
        source = Source(account_id=here.account_id, channel="app", numbering="app", pepper=PEPPER)
        who = Customer("a3", "c3@example.com", country="DE")
        take_in(
            connection,
            [replace(one, customer=who) for one in (order(60, here.now), order(61, here.now))],
            source,
            now=here.now,
        )
    here.refresh()
    choice = choosing.choose(
        here.engine, plan(here, "one-time-buyers", members_of=run_id, exclude=("repeat-customers",))
    )
    assert len(choice.members.party_ids) == 1
    assert choice.excluded.tolist() == choice.members.party_ids.tolist()


def test_another_accounts_members_are_nobodys_business(here: Shop, engine: sa.Engine) -> None:
    run_id = freeze(here, plan(here, "repeat-customers"))
    other = shop(engine)
    other.take_in(order(1, other.now))
    other.refresh()
    with pytest.raises(wiring.CannotStart, match="must be of this account"):
        choosing.choose(engine, plan(other, "repeat-customers", members_of=run_id))


def test_the_library_is_measured_and_a_broken_segment_takes_no_other_with_it(
    here: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(registry.get("vip"))
    whole = kind._members

    def broken(self, population, values):
        if self.name == "vip":
            raise choosing.EvaluationError("segment 'vip' is broken")
        return whole(self, population, values)

    monkeypatch.setattr(kind, "_members", broken)
    sizes, faults = choosing.measure_library(here.engine, here.account_id)
    assert (sizes["all-customers"], sizes["repeat-customers"]) == (3, 2)
    assert "vip" not in sizes
    assert any("segment 'vip' is broken" in fault for fault in faults)
    with database.read(here.engine) as connection:
        kept = dict(connection.execute(sa.select(tables.segment_sizes.c.segment, tables.segment_sizes.c.members)).all())
    assert kept["repeat-customers"] == 2


def test_the_version_of_the_code_is_told_by_release_and_content() -> None:
    assert choosing.code_version() == choosing.code_version()
    release, _, content = choosing.code_version().partition("+")
    assert release
    assert len(content) == 12
