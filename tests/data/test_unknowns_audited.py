"""The audit of unknown batches: none leaves that state without a proof, and none stays in it for ever."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.ledger import BatchState, OutcomeKind, ProofKind
from domain.ports import Batch
from tests.data.frozen import Clock
from tests.data.unknowns import CANCELLED, NOW, Book

MINUTE = timedelta(minutes=1)


@pytest.fixture
def book(engine: sa.Engine, account_id: str) -> Book:
    assert account_id == "shop"
    return Book(engine, Clock())


def _set(book: Book, batch: Batch, **values: object) -> None:
    with database.write(book.engine) as connection:
        connection.execute(tables.batches.update().where(tables.batches.c.id == batch.batch_id).values(**values))


def _prove(book: Book, batch: Batch, kind: ProofKind, *, attempt: str | None = None) -> None:
    row = {"batch_id": batch.batch_id, "attempt_id": attempt or batch.attempt_id, "kind": kind, "detail": "x"}
    with database.write(book.engine) as connection:
        connection.execute(tables.batch_proofs.insert().values(**row, created_at=NOW))


def test_the_audit_wants_a_proof_of_this_attempt_and_of_a_kind_that_confirms(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    _set(book, batch, state=BatchState.ACCEPTED)
    says = "1 batches count as accepted without an answer of the ESP or a proof"
    assert says in book.complaints()
    _prove(book, batch, ProofKind.CANCELLED)
    assert says in book.complaints()
    _prove(book, batch, ProofKind.LOOK_UP, attempt="an-earlier-one")
    assert says in book.complaints()
    _prove(book, batch, ProofKind.LOOK_UP)
    assert book.complaints() == ()


@pytest.mark.parametrize("state", [BatchState.PLANNED, BatchState.EXPIRED])
def test_the_audit_wants_a_proof_of_every_batch_that_left_unknown(book: Book, state: BatchState) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    _set(book, batch, state=state)
    says = "1 batches were unknown and went on without a proof that they had not been sent"
    assert says in book.complaints()
    _prove(book, batch, ProofKind.EVENT)
    assert says in book.complaints()
    _prove(book, batch, ProofKind.CANCELLED)
    assert says not in book.complaints()


def test_the_audit_also_sees_it_once_the_batch_was_sent_again(book: Book) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    _set(book, batch, state=BatchState.PLANNED)
    book.send(OutcomeKind.ACCEPTED)
    assert book.complaints() == ("1 batches were unknown and went on without a proof that they had not been sent",)


def test_the_audit_sees_what_is_unknown_for_too_long(book: Book) -> None:
    book.send(OutcomeKind.UNKNOWN)
    assert book.complaints(overdue=NOW - MINUTE) == ()
    (told,) = book.complaints(overdue=NOW)
    assert "1 batches are unknown for too long" in told


@pytest.mark.parametrize(("kind", "wrong"), [("delivered", True), ("processed", True), ("dropped", False)])
def test_the_audit_sees_mail_that_went_out_although_it_was_proved_that_it_did_not(
    book: Book, kind: str, wrong: bool
) -> None:
    batch = book.send(OutcomeKind.UNKNOWN)
    book.apply(batch, CANCELLED)
    with database.write(book.engine) as connection:
        inbox = connection.execute(
            tables.webhook_inbox.insert()
            .values(provider="sendgrid", body_hash="h", body=b"[]", received_at=NOW, state="done", strikes=0)
            .returning(tables.webhook_inbox.c.id)
        ).scalar_one()
        event = {"inbox_id": inbox, "position": 0, "provider": "sendgrid", "dedupe_key": "k", "kind": kind}
        of = {"run_id": book.run.id, "ordinal": 0, "attempt_id": batch.attempt_id}
        connection.execute(tables.delivery_events.insert().values(**event, **of, occurred_at=NOW, machine=False))
    says = "1 attempts that were proved not to be sent went out, as events show"
    assert (says in book.complaints()) is wrong
    assert "1 attempts that count as not sent went out, as events show" not in book.complaints()
