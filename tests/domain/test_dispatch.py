"""The order of claim, send and record, over an ESP whose wire is scripted."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Barrier, Event
from typing import Any

import pytest

from domain import dispatch, ledger, ports
from domain.campaigns import Sender
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Grant, Route
from domain.suppression import Stream
from domain.templates import Content

CONTENT = Content("news", "Hello", "<p>Hello</p>", "Hello", (), "hash")

GRANT = Grant("g", 1, Route("p", "shop", Stream.MARKETING, "p", "p-marketing", "x.test"), "gmail", 1, {})


def _batch(number: int) -> ports.Batch:
    ids = [f"r.{number}"]
    lease = datetime(2026, 11, 22, 9, 2, tzinfo=UTC)
    sender = Sender("n@x.test", "N")
    return ports.Batch("r", number, f"a{number}", lease, "news", CONTENT, sender, ids, ["a@x.test"], {}, ["u"], GRANT)


@dataclass
class Book:
    """A ledger that notes in which order it is asked."""

    batches: list[ports.Batch]
    log: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    lost: Sequence[int] = ()
    overslept: Sequence[int] = ()
    blameless: Sequence[int] = ()
    again: float | None = None

    def may_send(self, batch: ports.Batch) -> bool:
        return batch.batch_id not in self.overslept

    def claim(self, run_id: str, *, worker: str) -> ports.Batch | None:
        self.log.append("claim")
        return self.batches.pop(0) if self.batches else None

    def ask_again_seconds(self) -> float | None:
        return self.again

    def record(self, batch: ports.Batch, outcome: Outcome, *, seconds: float) -> None:
        assert seconds >= 0
        self.log.append("record")
        if batch.batch_id in self.lost:
            raise ledger.LeaseLost("too late")
        self.outcomes.append(outcome)
        if batch.batch_id in self.blameless:
            raise ledger.AllRefused("nothing was ever taken")


@dataclass
class Esp:
    answers: list[Outcome | Exception]
    log: list[str]
    capabilities: ports.Capabilities = field(default_factory=lambda: ports.Capabilities(1, 1, True, True))

    def send(self, batch: ports.Batch) -> Outcome:
        self.log.append("send")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.log.append("close")


def _drain(book: Book, *answers: Outcome | Exception) -> dispatch.Tally:
    mailers = {"p": Esp(list(answers), book.log)}
    return dispatch.drain("r", book=book, mailers=mailers, worker="w", stop=Event(), busy=set())


def test_claims_then_sends_then_records_each_batch_once() -> None:
    book = Book([_batch(1), _batch(2)])
    tally = _drain(book, Outcome(OutcomeKind.ACCEPTED), Outcome(OutcomeKind.UNKNOWN))
    assert book.log == ["claim", "send", "record", "claim", "send", "record", "claim"]
    assert tally == dispatch.Tally({"accepted": 1, "unknown": 1}, 2)


def test_a_refusal_of_all_we_send_is_told_and_mail_may_go_elsewhere() -> None:
    book = Book([_batch(1), _batch(2)])
    refusal = Outcome(OutcomeKind.NOT_SENT, detail="401", status=401, stop_provider=True)
    tally = _drain(book, refusal, Outcome(OutcomeKind.ACCEPTED))
    assert (tally.refused, tally.stopped_by) == ({"p": "401"}, None)
    assert tally.batches == {"not_sent": 1, "accepted": 1}


def test_a_batch_that_cannot_be_built_was_certainly_not_sent() -> None:
    book = Book([_batch(1)])
    tally = _drain(book, ports.Unsendable("no subject"))
    assert [(one.kind, one.local) for one in book.outcomes] == [(OutcomeKind.NOT_SENT, True)]
    assert tally.stopped_by == "no subject"


def test_a_fault_of_ours_leaves_the_batch_to_the_sweep() -> None:
    book = Book([_batch(1)])
    with pytest.raises(ZeroDivisionError):
        _drain(book, ZeroDivisionError())
    assert book.outcomes == []


def test_a_lost_lease_is_noted_and_the_worker_goes_on() -> None:
    book = Book([_batch(1), _batch(2)], lost=[1])
    tally = _drain(book, Outcome(OutcomeKind.ACCEPTED), Outcome(OutcomeKind.ACCEPTED))
    assert tally.batches == {"lease_lost": 1, "accepted": 1}


def test_a_worker_that_overslept_sends_nothing() -> None:
    book = Book([_batch(1), _batch(2)], overslept=[1])
    tally = _drain(book, Outcome(OutcomeKind.ACCEPTED))
    assert book.log == ["claim", "record", "claim", "send", "record", "claim"]
    assert tally == dispatch.Tally({"not_sent": 1, "accepted": 1}, 2)


def test_a_campaign_of_which_nothing_is_ever_taken_stops() -> None:
    book = Book([_batch(1), _batch(2)], blameless=[1])
    tally = _drain(book, Outcome(OutcomeKind.REJECTED, detail="400"))
    assert tally.stopped_by == "nothing was ever taken"
    assert len(book.batches) == 1


def test_a_wave_has_a_worker_for_each_request_that_the_esps_take_at_once() -> None:
    book = Book([])
    esp = Esp([], [], capabilities=ports.Capabilities(1, 3, True, True))
    with dispatch.wave("r", book=book, mailers={"p": esp, "q": esp}, worker="w") as workers:
        pass
    assert [worker.result().messages for worker in workers] == [0] * 6


class Climbing(Book):
    """One slot at first, and a second as soon as somebody found none: as when the ESP's answers raise the limit."""

    full = Event()

    def claim(self, run_id: str, *, worker: str) -> ports.Batch | None:
        if worker == "w:1" and not self.full.is_set():
            self.full.set()
            return None
        return super().claim(run_id, worker=worker)


@dataclass
class TwoAtOnce(Esp):
    """Each answer takes until two requests are under way, or for so long that the test fails."""

    both: Barrier = field(default_factory=lambda: Barrier(2))

    def send(self, batch: ports.Batch) -> Outcome:
        self.both.wait(10)
        return Outcome(OutcomeKind.ACCEPTED)


def test_a_worker_that_finds_no_slot_comes_back_while_others_work() -> None:
    book = Climbing([_batch(1), _batch(2)], again=0.5)
    esp = TwoAtOnce([], [], capabilities=ports.Capabilities(1, 2, True, True))
    busy = {"w:0"}  # it is at its first request
    with ThreadPoolExecutor(1) as pool:
        facts: dict[str, Any] = {"book": book, "mailers": {"p": esp}, "stop": Event(), "busy": busy}
        second = pool.submit(dispatch.drain, "r", worker="w:1", **facts)
        assert book.full.wait(10)
        first = dispatch.drain("r", worker="w:0", **facts)
    assert (first.batches, second.result().batches) == ({"accepted": 1}, {"accepted": 1})
    assert not busy


@pytest.mark.parametrize(("again", "busy"), [(0.5, set()), (30.0, {"w:0"}), (None, {"w:0"})])
def test_with_nothing_under_way_or_a_long_wait_the_wave_ends(again: float | None, busy: set[str]) -> None:
    book = Book([], again=again)
    dispatch.drain("r", book=book, mailers={}, worker="w", stop=Event(), busy=busy)
    assert book.log == ["claim"]


def test_a_worker_that_fails_is_waited_for_by_nobody() -> None:
    book, busy = Book([_batch(1)]), set[str]()
    with pytest.raises(ZeroDivisionError):
        dispatch.drain(
            "r", book=book, mailers={"p": Esp([ZeroDivisionError()], [])}, worker="w", stop=Event(), busy=busy
        )
    assert not busy


def test_who_is_told_to_end_begins_nothing_more() -> None:
    book = Book([_batch(number) for number in range(100_000)])
    esp = Endless([], [], capabilities=ports.Capabilities(1, 1, True, True))

    def told_to_end() -> None:
        with dispatch.wave("r", book=book, mailers={"p": esp}, worker="w"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told_to_end()
    assert book.batches
    assert book.log[-1] == "record"  # what was under way was finished


class Endless(Esp):
    def send(self, batch: ports.Batch) -> Outcome:
        return Outcome(OutcomeKind.ACCEPTED)
