"""Who has no value for a variable: counted of everybody, and left out at the freeze where the run says so."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import audience, database, missing_values, runs, tables
from domain.audience import SkipReason
from domain.campaigns import Run
from tests.data import frozen

NAMES = ("first_name", "last_name", "favourite_category")


@pytest.fixture
def people(engine: sa.Engine, account_id: str) -> list[int]:
    """Ten who have all, of whom three have no first name, one a blank one, two no favourite, four no last name."""
    with database.write(engine) as connection:
        ids = frozen.consenting_parties(connection, 10)
        connection.execute(tables.parties.update().values(first_name="Ada", last_name="Lovelace"))
        update(connection, ids[:3], first_name=None)
        update(connection, ids[3:4], first_name="  ")
        update(connection, ids[6:], last_name=None)
        features = tables.customer_features
        connection.execute(features.update().values(favourite_category="toys"))
        connection.execute(features.delete().where(features.c.party_id == ids[2]))  # never bought, so has no features
        connection.execute(features.update().where(features.c.party_id == ids[3]).values(favourite_category=None))
    return ids


def update(connection: sa.Connection, ids: list[int], **values: object) -> None:
    connection.execute(tables.parties.update().where(tables.parties.c.id.in_(ids)).values(**values))


def freeze(connection: sa.Connection, ids: list[int], *needed: str) -> Run:
    run = runs.create(connection, frozen.plan(leave_out_missing=bool(needed)), flow_run_id=None, now=frozen.NOW)
    return audience.freeze(
        connection,
        run,
        ids,
        definition_hash="d",
        template_hash="t",
        feature_watermark=frozen.NOW,
        code_version="test",
        policy=frozen.POLICY,
        batch_size=10,
        now=frozen.NOW,
        needed=needed,
    )


def test_everybody_is_looked_at_and_nobody_named(engine: sa.Engine, people: list[int]) -> None:
    with database.write(engine) as connection:
        run = freeze(connection, people)
        found = missing_values.of_run(connection, run, NAMES, {"last_name": "friend"})
    assert (found.people, found.without) == (10, 4)  # two lack both, so six gaps are of four people
    told = {one.name: (one.people, one.instead) for one in found.gaps}
    assert told == {"first_name": (4, None), "last_name": (4, "friend"), "favourite_category": (2, None)}
    assert [one.name for one in found.lacking] == ["first_name", "favourite_category", "last_name"]
    assert all("***@" in address for one in found.gaps for address in one.sample)
    assert [len(one.sample) for one in found.gaps] == [3, 3, 2]


def test_who_lacks_what_is_needed_is_left_out_with_that_reason(engine: sa.Engine, people: list[int]) -> None:
    with database.write(engine) as connection:
        run = freeze(connection, people, "first_name", "favourite_category")
        found = missing_values.of_run(connection, run, NAMES, {"last_name": "friend"})
        reasons = dict(connection.execute(sa.select(tables.audience.c.party_id, tables.audience.c.skip_reason)).all())
    assert (run.planned, run.skipped) == (6, {"missing_value": 4})
    assert {one for one, reason in reasons.items() if reason == SkipReason.MISSING_VALUE} == set(people[:4])
    assert (found.people, found.without) == (10, 4)  # those left out are told of


def test_a_limit_is_filled_with_people_who_have_all(engine: sa.Engine, people: list[int]) -> None:
    with database.write(engine) as connection:
        run = runs.create(connection, frozen.plan(limit=6), flow_run_id=None, now=frozen.NOW)
        verdicts, _ = audience.judge(
            connection,
            run.id,
            run.plan,
            people,
            excluded=(),
            policy=frozen.POLICY,
            now=frozen.NOW,
            needed=("first_name",),
        )
    assert verdicts.counts() == {None: 6, "missing_value": 4}


def test_members_of_no_run_are_counted_and_nothing_is_kept(engine: sa.Engine, people: list[int]) -> None:
    with engine.connect() as connection:
        found = missing_values.of_members(connection, people[:5], NAMES, {})
        again = missing_values.of_members(connection, people[:5], NAMES, {})
    assert found == again
    assert (found.people, found.without) == (5, 4)


def test_without_variables_nobody_lacks_any(engine: sa.Engine, people: list[int]) -> None:
    with database.write(engine) as connection:
        found = missing_values.of_run(connection, freeze(connection, people), ("unsubscribe_url",), {})
    assert (found.people, found.without, found.gaps) == (10, 0, ())


_value = st.sampled_from(["Ada", None, "", " ", "\t ", "0"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(_value, _value), min_size=1, max_size=10), fallback=st.booleans())
def test_the_counts_are_those_of_a_loop_over_people(
    engine: sa.Engine, people: list[int], rows: list[tuple[str | None, str | None]], fallback: bool
) -> None:
    with database.write(engine) as connection:
        for one, (first, last) in zip(people, rows, strict=False):
            update(connection, [one], first_name=first, last_name=last)
        fallbacks = {"last_name": "x"} if fallback else {}
        found = missing_values.of_members(connection, people[: len(rows)], NAMES[:2], fallbacks)

    def gap(value: str | None) -> bool:
        return value is None or not value.strip(" ")  # as SQL trims

    assert [one.people for one in found.gaps] == [sum(gap(row[place]) for row in rows) for place in (0, 1)]
    assert found.without == sum(gap(first) or (gap(last) and not fallback) for first, last in rows)
