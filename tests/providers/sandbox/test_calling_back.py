"""SendGrid's adapter against the sandbox: what it concludes is what really went out."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain import ports
from domain.ledger import OutcomeKind, ProofKind
from domain.ports import Finding, UnknownAttempt
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.inquiry import open_inquirer
from providers.sendgrid.mailer import open_mailer
from providers.sendgrid.schedule import open_scheduler
from tests.providers.contract import a_batch
from tests.providers.sandbox.conftest import KEY

MINUTE = timedelta(minutes=1)


def config(esp) -> SendGridConfig:
    return SendGridConfig(api_key=KEY, base_url=esp.url, activity_lookup=True)


def sent(esp, attempt_id: str, **changes) -> tuple[OutcomeKind, UnknownAttempt]:
    """A batch as it was handed over, and what is known of it afterwards when its answer is lost."""
    batch = a_batch(attempt_id=attempt_id, message_ids=[f"{attempt_id}.{n}" for n in range(3)], **changes)
    with closing(open_mailer(config(esp))) as mailer:
        kind = mailer.send(batch).kind
    now = datetime.now(UTC)
    return kind, UnknownAttempt(attempt_id, batch.run_id, now, batch.schedule_id, batch.send_at, None)


def two_phase(esp, *, minutes: float = 15) -> dict[str, object]:
    with closing(open_scheduler(config(esp))) as scheduler:
        return {"schedule_id": scheduler.new_schedule(), "send_at": datetime.now(UTC) + minutes * MINUTE}


@contextmanager
def asking(esp) -> Iterator[ports.Inquirer]:
    with closing(open_inquirer(config(esp))) as inquirer:
        yield inquirer


def accepted(esp, run: str) -> dict[str, int]:
    return esp.client.get("/sandbox/accepted", params={"run": run}).json()


def turn(esp, **knobs) -> None:
    esp.client.put("/sandbox/faults", json=knobs).raise_for_status()


@pytest.mark.parametrize("fault", ["drop_after_accept", "drop_before_accept", "rate_500"])
def test_whether_it_was_taken_or_not_a_cancelled_batch_goes_nowhere(esp, fault):
    schedule = two_phase(esp)
    turn(esp, **{fault: 1})
    kind, attempt = sent(esp, "first", **schedule)
    assert kind is OutcomeKind.UNKNOWN
    turn(esp)
    with asking(esp) as inquirer:
        answer = inquirer.inquire(attempt, now=datetime.now(UTC))
    assert (answer.finding, answer.kind) == (Finding.NOT_SENT, ProofKind.CANCELLED)
    assert accepted(esp, "first") == {}


def test_a_cut_answer_to_the_cancel_is_read_back(esp):
    _, attempt = sent(esp, "first", **two_phase(esp))
    turn(esp, drop_after_accept=1, on=["call_back"])
    with asking(esp) as inquirer:
        assert inquirer.inquire(attempt, now=datetime.now(UTC)).finding is Finding.NOT_SENT
    assert accepted(esp, "first") == {}


def test_a_cancel_that_never_arrived_proves_nothing_and_the_mail_goes(esp):
    _, attempt = sent(esp, "first", **two_phase(esp))
    turn(esp, drop_before_accept=1, on=["call_back"])
    with asking(esp) as inquirer:
        answer = inquirer.inquire(attempt, now=datetime.now(UTC))
    assert (answer.finding, answer.kind) == (Finding.CANNOT_TELL, ProofKind.CANCELLED)
    assert len(accepted(esp, "first")) == 3


def test_a_batch_that_is_about_to_go_is_left_alone(esp):
    _, attempt = sent(
        esp, "first", send_at=datetime.now(UTC) + 10 * MINUTE
    )  # the mailer would refuse it with a batch id
    with asking(esp) as inquirer:
        answer = inquirer.inquire(replace(attempt, schedule_id="id"), now=datetime.now(UTC))
    assert answer.finding is Finding.CANNOT_TELL
    assert len(accepted(esp, "first")) == 3


@pytest.mark.parametrize(("fault", "finding"), [("drop_after_accept", "accepted"), ("drop_before_accept", "not_sent")])
def test_email_activity_tells_what_happened(start, fault, finding):
    esp = start(email_activity=True)
    turn(esp, **{fault: 1})
    _, attempt = sent(esp, "first")
    turn(esp)
    sent(esp, "second")
    later = datetime.now(UTC) + 31 * MINUTE
    with asking(esp) as inquirer:
        answer = inquirer.inquire(replace(attempt, known_attempt_id="second"), now=later)
    assert answer.finding == finding
    assert "@" not in answer.raw
    assert len(accepted(esp, "first")) == (3 if finding == "accepted" else 0)


def test_a_feed_that_is_behind_proves_nothing(start):
    esp = start(email_activity=True)
    _, attempt = sent(esp, "first")
    sent(esp, "second")
    turn(esp, activity_behind_seconds=3600)
    with asking(esp) as inquirer:
        later = datetime.now(UTC) + 31 * MINUTE
        answer = inquirer.inquire(replace(attempt, known_attempt_id="second"), now=later)
    assert answer.finding is Finding.CANNOT_TELL


def test_a_feed_that_was_not_bought_proves_nothing(esp):
    _, attempt = sent(esp, "first")
    with asking(esp) as inquirer:
        answer = inquirer.inquire(attempt, now=datetime.now(UTC) + 31 * MINUTE)
    assert answer.finding is Finding.CANNOT_TELL
    assert "403" in answer.raw
