"""Unknown batches: whom to ask what, and what an answer may change."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, ledger_sweep, resolution, tables
from domain.campaigns import RunStatus
from domain.ledger import BatchState, OutcomeKind, ProofKind
from domain.ports import PUT_OFF, Answer, Batch, Finding, UnknownAttempt
from tests.data.frozen import Clock
from tests.data.unknowns import ABSENT, CANCELLED, CANNOT_TELL, FOUND, NOW, Book

MINUTE = timedelta(minutes=1)


@pytest.fixture
def book(engine: sa.Engine, account_id: str) -> Book:
    assert account_id == "shop"
    return Book(engine, Clock())


def test_what_is_found_was_accepted(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    assert book.apply(batch, FOUND) is BatchState.ACCEPTED
    assert book.proofs() == [(batch.attempt_id, "look_up", '{"msg_id":"x"}')]
    assert book.asked() == []
    assert book.complaints() == ()


@pytest.mark.parametrize("answer", [CANCELLED, ABSENT])
def test_what_was_proved_not_to_be_sent_goes_again_at_once(book: Book, answer: Answer) -> None:
    first = book.send(OutcomeKind.UNKNOWN)
    assert book.apply(first, answer) is BatchState.PLANNED
    assert book.proofs() == [(first.attempt_id, answer.kind, answer.raw)]
    assert book.complaints() == ()
    second = book.send(OutcomeKind.ACCEPTED)
    assert (second.batch_id, second.message_ids) == (first.batch_id, first.message_ids)
    assert second.attempt_id != first.attempt_id
    assert book.complaints() == ()


def test_who_cannot_tell_changes_nothing_and_is_asked_later(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    asked = []
    for minute in range(120):
        if book.asked():
            asked.append(minute)
            assert book.apply(batch, CANNOT_TELL) is None
        book.clock.forward(minutes=1)
    assert asked == [0, 1, 2, 4, 8, 16, 31, 46, 61, 76, 91, 106]
    assert book.state(batch) == BatchState.UNKNOWN
    assert book.proofs() == []


def test_while_mail_can_be_called_back_every_minute_counts(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    book.route(batch, send_at=NOW + 15 * MINUTE)
    asked = []
    for minute in range(40):
        if book.asked():
            asked.append(minute)
            book.apply(batch, CANNOT_TELL)
        book.clock.forward(minutes=1)
    assert asked == [*range(16), 30]


def test_who_was_put_off_was_not_asked(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    assert book.apply(batch, Answer(Finding.CANNOT_TELL, PUT_OFF, "6 a minute")) is None
    assert len(book.asked()) == 1


def test_the_question_names_what_the_esp_can_be_asked_by(book: Book) -> None:
    unknown = book.send(OutcomeKind.UNKNOWN)
    book.clock.forward(minutes=1)
    later = book.send(OutcomeKind.ACCEPTED)
    (question,) = book.asked()
    assert question == resolution.Question(
        unknown.batch_id,
        "sendgrid",
        UnknownAttempt(unknown.attempt_id, book.run.id, NOW, None, None, later.attempt_id),
    )


def test_an_attempt_that_went_before_is_no_control(book: Book) -> None:
    book.send(OutcomeKind.ACCEPTED)
    book.clock.forward(minutes=1)
    book.send(OutcomeKind.UNKNOWN)
    assert [one.attempt.known_attempt_id for one in book.asked()] == [None]


@pytest.mark.parametrize(("provider", "same"), [("sendgrid", True), ("elsewhere", False)])
def test_the_control_went_through_the_same_esp(book: Book, provider: str, same: bool) -> None:
    unknown = book.send(OutcomeKind.UNKNOWN)
    later = book.send(OutcomeKind.ACCEPTED)
    book.route(unknown)
    book.route(later, provider=provider)
    (question,) = book.asked()
    assert question.attempt.known_attempt_id == (later.attempt_id if same else None)


def test_the_control_of_a_scheduled_attempt_went_after_it_would_have_gone(book: Book) -> None:
    unknown = book.send(OutcomeKind.UNKNOWN)
    early, late = book.send(OutcomeKind.ACCEPTED), book.send(OutcomeKind.ACCEPTED)
    book.route(unknown, send_at=NOW + 15 * MINUTE)
    book.route(early, send_at=NOW + 14 * MINUTE)
    book.route(late, send_at=NOW + 16 * MINUTE)
    (question,) = book.asked()
    assert question.attempt.known_attempt_id == late.attempt_id


def test_the_route_says_who_is_asked_and_the_soonest_deadline_goes_first(book: Book) -> None:
    plain, late, soon = (book.send(OutcomeKind.UNKNOWN) for _ in range(3))
    book.route(late, provider="b", send_at=NOW + 20 * MINUTE)
    book.route(soon, provider="a", send_at=NOW + 15 * MINUTE)
    questions = book.asked()
    assert [(one.provider, one.attempt.attempt_id) for one in questions] == [
        ("a", soon.attempt_id),
        ("b", late.attempt_id),
        ("sendgrid", plain.attempt_id),
    ]
    assert questions[0].attempt.schedule_id == "schedule"
    assert resolution.providers(questions) == ["a", "b", "sendgrid"]


def _held(book: Book, _batch: Batch) -> None:
    book.clock.forward(minutes=31)
    book.sweep()


TOO_LATE: dict[str, tuple[Callable[[Book, Batch], None], BatchState]] = {
    "an event was faster": (lambda book, batch: book.event(batch), BatchState.ACCEPTED),
    "it was held": (_held, BatchState.HELD),
    "it was released": (lambda book, batch: book.apply(batch, CANCELLED), BatchState.PLANNED),
    "it was found": (lambda book, batch: book.apply(batch, FOUND), BatchState.ACCEPTED),
}


@pytest.mark.parametrize("answer", [FOUND, CANCELLED, ABSENT, CANNOT_TELL])
@pytest.mark.parametrize("before", TOO_LATE)
def test_an_answer_that_comes_too_late_changes_nothing(book: Book, before: str, answer: Answer) -> None:
    happen, state = TOO_LATE[before]
    batch = book.send(OutcomeKind.UNKNOWN)
    happen(book, batch)
    kept = book.proofs()
    assert book.apply(batch, answer) is None
    assert book.state(batch) == state
    assert book.proofs() == kept
    assert book.complaints() == ()


@pytest.mark.parametrize("answer", [FOUND, CANCELLED, ABSENT])
def test_an_answer_about_an_earlier_attempt_says_nothing_of_the_next_one(book: Book, answer: Answer) -> None:
    first = book.send(OutcomeKind.UNKNOWN)
    book.apply(first, CANCELLED)
    second = book.send(OutcomeKind.UNKNOWN)
    assert second.batch_id == first.batch_id
    assert book.apply(first, answer) is None
    assert book.state(second) == BatchState.UNKNOWN


def test_an_event_outweighs_an_answer_also_before_the_sweep_saw_it(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    book.event(batch, confirmed=False)
    assert book.apply(batch, CANCELLED) is None
    book.sweep()
    assert book.state(batch) == BatchState.ACCEPTED


@pytest.mark.parametrize("kind", [ProofKind.CANCELLED, ProofKind.LOOK_UP_ABSENT, "rumour"])
def test_only_some_kinds_prove_acceptance(book: Book, kind: str) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    with pytest.raises(ValueError, match="does not prove accepted"):
        book.apply(batch, Answer(Finding.ACCEPTED, kind, ""))
    assert book.state(batch) == BatchState.UNKNOWN


@pytest.mark.parametrize("kind", [ProofKind.EVENT, ProofKind.LOOK_UP, "silence"])
def test_only_some_kinds_release(book: Book, kind: str) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    with pytest.raises(ValueError, match="does not prove not_sent"):
        book.apply(batch, Answer(Finding.NOT_SENT, kind, ""))


def test_a_dead_workers_batch_is_unknown_before_anything_is_held(book: Book) -> None:
    batch = book.ledger.claim(book.run.id, worker="w")
    assert batch is not None
    book.clock.forward(seconds=61)
    with database.write(book.engine) as connection:
        assert ledger_sweep.lose(connection, now=book.clock()) == 1
    assert [one.batch_id for one in book.asked()] == [batch.batch_id]


def test_a_run_is_not_over_while_a_batch_may_go_again(book: Book) -> None:
    unknown = book.send(OutcomeKind.UNKNOWN)
    for _ in range(2):
        book.send(OutcomeKind.ACCEPTED)
    book.sweep()
    book.apply(unknown, CANCELLED)
    book.sweep()
    with database.read(book.engine) as connection:
        status = connection.scalar(sa.select(tables.campaign_runs.c.status))
    assert status == RunStatus.DISPATCHING
