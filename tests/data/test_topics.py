"""Who refused a topic gets no mail about it, and who chose less gets less: at the freeze, and again at the claim."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, frequencies, ledger, previews, runs, tables, topics
from domain.audience import SkipReason
from domain.campaigns import Run, RunStatus
from domain.preferences import Frequency, InvalidTopic, Topic
from domain.suppression import Reason
from tests.data import frozen, ledger_rows
from tests.data.frozen import Clock
from tests.data.ledger_rows import NOW, BatchRow, hash_of
from tests.data.refusals import keep, new

DAY = timedelta(days=1)
SAID = {"source": "preferences", "evidence": "message r1.0", "now": NOW}


@pytest.fixture
def people(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return frozen.consenting_parties(connection, 6)


def refuse(engine: sa.Engine, number: int, *names: str, account_id: str = "shop") -> None:
    with database.write(engine) as connection:
        topics.refuse(connection, account_id, hash_of(number), names, **SAID)


def choose(engine: sa.Engine, number: int, frequency: Frequency | None, account_id: str = "shop") -> None:
    with database.write(engine) as connection:
        frequencies.choose(connection, account_id, hash_of(number), frequency, **SAID)


def left_out(engine: sa.Engine, people: list[int], **facts: object) -> dict[int, str]:
    """By number, of a new run."""
    with database.write(engine) as connection:
        run = frozen.freeze(connection, people, **facts)
        assert runs.get(connection, run.id).plan.topic == facts.get("topic")
        member = tables.audience.c
        query = sa.select(member.party_id, member.skip_reason).where(member.run_id == run.id)
        return {people.index(one): why for one, why in connection.execute(query) if why is not None}


def mailed(engine: sa.Engine, people: list[int], days_ago: int, *, run_id: str = "") -> None:
    """One mail to each."""
    at = NOW - days_ago * DAY
    batch = BatchRow(0, len(people) - 1, finished_at=at)
    with database.write(engine) as connection:
        run_id = run_id or f"run{days_ago}"
        ledger_rows.add_run(connection, "shop", people, [batch], run_id=run_id, dispatch_started_at=at)


def test_who_refused_the_topic_is_left_out_of_it_and_of_nothing_else(engine: sa.Engine, people: list[int]) -> None:
    refuse(engine, 1, "offers", "tips")
    refuse(engine, 2, "tips")
    assert left_out(engine, people, topic="offers") == {1: SkipReason.TOPIC_REFUSED}
    assert left_out(engine, people, topic="new") == {}
    assert left_out(engine, people) == {}
    with database.write(engine) as connection:
        topics.accept(connection, "shop", hash_of(1), ["offers"], now=NOW)
    assert left_out(engine, people, topic="offers") == {}
    assert left_out(engine, people, topic="tips") == {1: SkipReason.TOPIC_REFUSED, 2: SkipReason.TOPIC_REFUSED}


def test_a_stronger_reason_is_named_first(engine: sa.Engine, people: list[int]) -> None:
    refuse(engine, 1, "offers")
    keep(engine, new(Reason.UNSUBSCRIBE, hash_of(1)))
    assert left_out(engine, people, topic="offers") == {1: SkipReason.SUPPRESSED_UNSUBSCRIBE}


def test_what_is_said_to_one_account_is_not_said_to_another(engine: sa.Engine, people: list[int]) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        topics.add(connection, "other", Topic("offers", {"en": "Offers"}), now=NOW)
        assert topics.listing(connection, "shop") == []
    mailed(engine, people, 20)
    refuse(engine, 1, "offers", account_id="other")
    choose(engine, 2, Frequency.MONTHLY, account_id="other")
    assert left_out(engine, people, topic="offers") == {}


def test_the_preview_names_it_as_the_freeze_would(engine: sa.Engine, people: list[int]) -> None:
    refuse(engine, 3, "offers")
    plan = frozen.plan(topic="offers")
    with engine.connect() as connection:
        verdict = previews.waterfall(connection, plan, people, excluded=(), policy=frozen.POLICY, now=NOW)
    assert verdict.skipped == {"topic_refused": 1}


def _about(engine: sa.Engine, people: list[int], topic: str) -> Run:
    with database.write(engine) as connection:
        run = runs.advance(connection, frozen.freeze(connection, people, topic=topic), RunStatus.APPROVED)
        return runs.advance(connection, run, RunStatus.DISPATCHING, dispatch_started_at=NOW, expires_at=NOW + DAY)


def _claimed(engine: sa.Engine, run: Run) -> tuple[int, set[str]]:
    """Messages of the next batch, and why others are not in it."""
    batch = frozen.book(engine, run, Clock()).claim(run.id, worker="w")
    with database.read(engine) as connection:
        reasons = set(connection.scalars(sa.select(tables.message_exceptions.c.reason)))
    return len(batch) if batch is not None else 0, reasons


def test_a_refusal_after_the_freeze_holds_at_the_claim(engine: sa.Engine, people: list[int]) -> None:
    run = _about(engine, people, "offers")
    refuse(engine, 4, "offers")
    refuse(engine, 5, "tips")
    assert _claimed(engine, run) == (5, {"topic_refused"})


def test_a_choice_of_less_after_the_freeze_holds_at_the_claim(engine: sa.Engine, people: list[int]) -> None:
    mailed(engine, people, 20)
    run = _about(engine, people, "offers")
    choose(engine, 0, Frequency.MONTHLY)
    choose(engine, 1, Frequency.WEEKLY)
    assert _claimed(engine, run) == (5, {"frequency_cap"})


@pytest.mark.parametrize(
    ("chosen", "days_ago", "left"),
    [
        (Frequency.WEEKLY, 1, True),
        (Frequency.WEEKLY, 6, True),
        (Frequency.WEEKLY, 8, False),
        (Frequency.MONTHLY, 8, True),
        (Frequency.MONTHLY, 29, True),
        (Frequency.MONTHLY, 31, False),
        (None, 1, False),
    ],
)
def test_one_mail_is_enough_for_so_long(
    engine: sa.Engine, people: list[int], chosen: Frequency | None, days_ago: int, left: bool
) -> None:
    mailed(engine, people, days_ago)
    choose(engine, 2, Frequency.WEEKLY)  # a choice is given up and changed
    choose(engine, 2, chosen)
    assert left_out(engine, people) == ({2: SkipReason.FREQUENCY_CAP} if left else {})


def test_the_stricter_of_shop_and_customer_counts(engine: sa.Engine, people: list[int]) -> None:
    """Two mails in seven days are the shop's cap: who chose one a month has it all the same."""
    choose(engine, 0, Frequency.MONTHLY)
    mailed(engine, people[:3], 5)
    mailed(engine, people[:2], 6)
    assert left_out(engine, people) == {0: SkipReason.FREQUENCY_CAP, 1: SkipReason.FREQUENCY_CAP}


def test_mail_to_another_number_of_the_person_counts(engine: sa.Engine, people: list[int]) -> None:
    with database.write(engine) as connection:
        party = tables.parties
        connection.execute(party.update().where(party.c.id == people[1]).values(person_id=people[0]))
    mailed(engine, people[1:2], 10)
    choose(engine, 0, Frequency.MONTHLY)
    assert left_out(engine, people[:1]) == {0: SkipReason.FREQUENCY_CAP}


def test_without_choices_the_question_is_as_short_as_before(engine: sa.Engine, people: list[int]) -> None:
    run = _about(engine, people, "offers")
    book = frozen.book(engine, replace(run, plan=replace(run.plan, topic=None)), Clock())
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert isinstance(book, ledger.SqlLedger)
    assert book.claim(run.id, worker="w") is not None
    assert not any("topic_refusals" in one for one in asked)
    assert sum("mail_frequencies" in one for one in asked) == 1  # whether anybody chose


def test_refusing_twice_keeps_the_first_date_and_again_after_a_change_of_mind_the_new_one(
    engine: sa.Engine, account_id: str
) -> None:
    def since(at: object) -> tuple[object, object]:
        with database.write(engine) as connection:
            topics.refuse(connection, "shop", "h", ["offers"], source="t", evidence="e", now=at)
            row = connection.execute(sa.select(tables.topic_refusals)).one()
            return row.created_at, row.lifted_at

    assert since(NOW) == since(NOW + DAY) == (NOW, None)
    with database.write(engine) as connection:
        topics.accept(connection, "shop", "h", ["offers", "tips"], now=NOW + DAY)
        assert topics.refused(connection, "shop", "h") == frozenset()
    assert since(NOW + 2 * DAY) == (NOW + 2 * DAY, None)


def test_topics_are_added_changed_and_removed_and_refusals_outlive_them(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        topics.add(connection, "shop", Topic("offers", {"en": "Offers"}, 2), now=NOW)
        topics.add(connection, "shop", Topic("tips", {"en": "Tips", "de": "Tipps"}, 1), now=NOW)
        topics.add(connection, "shop", Topic("offers", {"en": "Bargains"}, 0), now=NOW)
        found = topics.listing(connection, "shop")
        assert [(one.name, one.titles) for one in found] == [
            ("offers", {"en": "Bargains"}),
            ("tips", {"en": "Tips", "de": "Tipps"}),
        ]
        topics.refuse(connection, "shop", "h", ["tips"], source="t", evidence="e", now=NOW)
        topics.remove(connection, "shop", "tips")
        assert topics.refusals(connection, "shop") == {"tips": 1}
        with pytest.raises(topics.UnknownTopic, match="its topics: offers"):
            topics.check(connection, "shop", "tips")
        with pytest.raises(topics.UnknownTopic):
            topics.remove(connection, "shop", "tips")


@pytest.mark.parametrize(
    ("name", "titles", "words"),
    [
        ("Offers", {"en": "x"}, "lower-case"),
        ("", {"en": "x"}, "lower-case"),
        ("x" * 41, {"en": "x"}, "lower-case"),
        ("offers", {}, "one language at least"),
        ("offers", {"english": "x"}, "two letters"),
        ("offers", {"en": " "}, "title in en"),
        ("offers", {"de": "a\nb"}, "title in de"),
        ("offers", {"de": "x" * 61}, "title in de"),
    ],
)
def test_what_is_no_topic_is_said(name: str, titles: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidTopic, match=words):
        Topic(name, titles)


def test_a_title_is_in_the_first_language_that_it_has() -> None:
    topic = Topic("tips", {"de": "Tipps", "en": "Tips", "fr": "Conseils"})
    assert [topic.title(*one) for one in (("fr", "de"), ("it", "de"), ("it",))] == ["Conseils", "Tipps", "Tips"]
    assert Topic("tips", {"fr": "Conseils", "de": "Tipps"}).title("it") == "Tipps"
