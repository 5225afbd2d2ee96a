import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from data import database, tables, topics
from data.expectations import audience, gate
from domain import addresses
from domain.audience import SkipReason
from domain.suppression import Reason, Scope
from domain.validation import Check, Validation

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RUN = "r1"
COLUMNS = {
    "first_name": tables.parties.c.first_name,
    "order_count": tables.customer_features.c.orders,
    "shop_name": tables.accounts.c.name,
}


@pytest.fixture
def run_id(engine: sa.Engine, account_id: str) -> str:
    with database.write(engine) as connection:
        campaign = connection.execute(
            tables.campaigns.insert().values(account_id=account_id, name="spring", created_at=NOW)
        ).inserted_primary_key[0]
        connection.execute(
            tables.campaign_runs.insert().values(
                id=RUN,
                account_id=account_id,
                campaign_id=campaign,
                status="frozen",
                live=True,
                segment="all-customers",
                template="hello",
                provider="sandbox",
                sender_email="news@shop.example.com",
                sender_name="The Shop",
                holdout_percent=0,
                seed=1,
                created_at=NOW,
            )
        )
    return RUN


class Audience:
    """Writes members as the freeze would, sound or not."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.count = 0

    def add(self, *, skip_reason: SkipReason | None = None, **values: Any) -> str:
        self.count += 1
        party = {
            "account_id": "shop",
            "external_id": f"c{self.count}",
            "email": f"c{self.count}@example.com",
            "address_hash": f"hash {self.count}",
            "first_name": "Ada",
            "created_at": NOW,
            "updated_at": NOW,
        }
        with database.write(self.engine) as connection:
            party_id = connection.execute(tables.parties.insert().values(party | values)).inserted_primary_key[0]
            member = {"run_id": RUN, "party_id": party_id, "skip_reason": skip_reason}
            ordinal = None if skip_reason else self.count
            connection.execute(tables.audience.insert().values(member | {"ordinal": ordinal}))
        return str(party_id)

    def suppress(self, address_hash: str, **values: Any) -> None:
        row = {
            "account_id": "shop",
            "address_hash": address_hash,
            "reason": Reason.UNSUBSCRIBE,
            "scope": Scope.MARKETING,
            "source": "page",
            "evidence": "",
            "created_at": NOW,
        }
        with database.write(self.engine) as connection:
            connection.execute(tables.suppressions.insert().values(row | values))

    def check(self, *required: str, previous: int | None = None, shrink: int = 50) -> Validation:
        return gate.check_audience(
            self.engine,
            RUN,
            required_variables=required,
            variable_columns=COLUMNS,
            previous_planned=previous,
            shrink_percent=shrink,
            now=NOW,
        )

    def only_failure(self, *required: str, **arguments: Any) -> Check:
        (failure,) = self.check(*required, **arguments).failures()
        return failure


@pytest.fixture
def people(engine: sa.Engine, run_id: str) -> Audience:
    made = Audience(engine)
    made.add()
    made.add(email="Zoë.O'Neill+news@bücher.example")
    return made


def test_a_sound_audience_passes(people: Audience) -> None:
    validation = people.check("first_name", "shop_name")
    assert validation.passed, validation.failures()
    assert validation.gate == "audience"
    assert validation.checks[0].observed == "2 people"


def test_nobody_planned_stops_the_run(engine: sa.Engine, run_id: str) -> None:
    people = Audience(engine)
    people.add(skip_reason=SkipReason.NO_CONSENT)
    failure = people.only_failure()
    assert (failure.sentence, failure.observed) == ("There is somebody to mail", "0 people")


@pytest.mark.parametrize("email", [None, "", "ada", "ada@", "ada@localhost", "a@@example.com", "ada@exa mple.com"])
def test_an_address_that_cannot_be_mailed_is_found(people: Audience, email: str | None) -> None:
    faulty = people.add(email=email)
    failure = people.only_failure()
    assert failure.sentence == "Every planned address can be mailed"
    assert failure.observed == "1 of 3 people fail"
    assert failure.failing_ids == (faulty,)


def test_an_address_without_hash_could_not_be_suppressed_and_is_found(people: Audience) -> None:
    assert people.add(address_hash=None) in people.only_failure().failing_ids


def test_one_mailbox_planned_twice_is_found(people: Audience) -> None:
    twice = (people.add(address_hash="same"), people.add(address_hash="same"))
    failure = people.only_failure()
    assert failure.sentence == "Nobody gets the mail twice: every mailbox is planned once"
    assert failure.failing_ids == twice


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"reason": Reason.COMPLAINT, "scope": Scope.ALL},
        {"expires_at": NOW + timedelta(seconds=1)},
    ],
)
def test_a_suppressed_address_is_found(people: Audience, values: dict[str, Any]) -> None:
    people.suppress("hash 2", **values)
    failure = people.only_failure()
    assert failure.sentence == "Nobody who unsubscribed, complained or bounced is planned"
    assert failure.failing_count == 1


def test_a_refusal_of_the_runs_topic_is_found_and_no_other(people: Audience) -> None:
    with database.write(people.engine) as connection:
        for name in ("offers", "tips"):
            topics.refuse(connection, "shop", "hash 2", [name], source="t", evidence="e", now=NOW)
    assert people.check().passed  # the run has no topic
    with database.write(people.engine) as connection:
        connection.execute(tables.campaign_runs.update().values(topic="offers"))
    failure = people.only_failure()
    assert failure.sentence == "Nobody who refused the campaign's topic is planned"
    assert failure.failing_count == 1
    with database.write(people.engine) as connection:
        topics.accept(connection, "shop", "hash 2", ["offers"], now=NOW)
    assert people.check().passed


def test_an_address_suppressed_twice_is_counted_once(people: Audience) -> None:
    people.suppress("hash 2")
    people.suppress("hash 2", reason=Reason.MANUAL)
    assert people.only_failure().failing_count == 1


@pytest.mark.parametrize("values", [{"lifted_at": NOW}, {"expires_at": NOW}])
def test_a_suppression_that_is_over_stops_nobody(people: Audience, values: dict[str, Any]) -> None:
    people.suppress("hash 2", **values)
    assert people.check().passed


def test_a_suppression_of_another_account_stops_nobody_here(people: Audience) -> None:
    with database.write(people.engine) as connection:
        row = dict(connection.execute(sa.select(tables.accounts)).mappings().one())
        connection.execute(tables.accounts.insert().values(row | {"id": "other"}))
    people.suppress("hash 2", account_id="other")
    assert people.check().passed


def test_a_suppression_is_looked_up_by_the_address_and_not_the_whole_list_for_each(people: Audience) -> None:
    """Reading the list for each person took 45 s for 2,000 people and 150,000 suppressions."""
    sent: list[tuple[str, Any]] = []
    engine = people.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *call: sent.append(call[2:4]))
    with database.read(engine) as connection:
        audience.facts(engine, RUN, variables={}, now=NOW)
        statement, values = next(one for one in sent if "suppressions" in one[0])
        if engine.dialect.name == "postgresql":  # of two rows it would read all
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        verb = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = [str(row[-1]) for row in connection.exec_driver_sql(f"{verb} {statement}", values)]
    first = next(place for place, step in enumerate(plan) if " suppressions" in step)
    looked_up = re.compile(r"account_id ?= ?\S+ AND \(?address_hash ?=")
    assert any(map(looked_up.search, plan[first : first + 2])), plan


def test_people_left_out_are_not_judged(people: Audience) -> None:
    people.add(email=None, first_name=None, skip_reason=SkipReason.NO_ADDRESS)
    people.add(address_hash="hash 1", skip_reason=SkipReason.DUPLICATE_ADDRESS)
    people.suppress("hash 5")
    people.add(address_hash="hash 5", skip_reason=SkipReason.SUPPRESSED_UNSUBSCRIBE)
    assert people.check("first_name").passed


@pytest.mark.parametrize(
    ("previous", "shrink", "passes"),
    [(4, 50, True), (5, 50, False), (2, 0, True), (1, 50, False), (1, 100, True), (None, 0, True), (0, 10, True)],
)
def test_the_size_stays_near_the_last_run(people: Audience, previous: int | None, shrink: int, passes: bool) -> None:
    failures = people.check(previous=previous, shrink=shrink).failures()
    words = f"The audience is within {shrink} % of the {previous} people of the last run"
    assert [failure.sentence for failure in failures] == ([] if passes else [words])
    assert [failure.observed for failure in failures] == ([] if passes else ["2 people"])


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_person_without_a_value_that_the_template_needs_is_found(people: Audience, value: str | None) -> None:
    nameless = people.add(first_name=value)
    failure = people.only_failure("first_name")
    assert failure.sentence == "Everybody planned has a value for {{ first_name }}"
    assert failure.failing_ids == (nameless,)
    assert people.check("shop_name").passed


def test_a_person_without_features_lacks_their_values(people: Audience) -> None:
    failure = people.only_failure("order_count")
    assert failure.sentence == "Everybody planned has a value for {{ order_count }}"
    assert failure.failing_count == 2


def test_a_variable_that_nobody_knows_is_named(people: Audience) -> None:
    failure = people.only_failure("first_name", "shoe_size", "pet")
    assert failure.sentence == "The template asks for nothing that we do not know of customers"
    assert failure.observed == "no source for shoe_size, pet"


def test_no_address_is_told(people: Audience) -> None:
    people.add(email="not-an-address")
    people.add(address_hash="hash 1")
    people.suppress("hash 2")
    told = str(people.check("order_count").as_json())
    assert "@" not in told
    assert "not-an-address" not in told
    assert "hash" not in told


@given(
    st.from_regex(
        audience._PLAIN_ADDRESS.removesuffix("$") + r"\Z", fullmatch=True, alphabet=st.characters(codec="ascii")
    )
)
def test_what_is_taken_as_plain_is_valid_by_the_domain(address: str) -> None:
    assert len(address.partition("@")[0]) > 64 or addresses.is_valid(address)
