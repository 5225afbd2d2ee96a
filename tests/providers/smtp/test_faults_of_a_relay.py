"""A relay that fails at each command in each way: the class is right every time, and nothing is taken twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from domain import ledger, ports
from domain.ledger import Outcome, OutcomeKind
from tests.providers.smtp import relayed, sink
from tests.providers.smtp.sink import (
    DROP,
    NONSENSE,
    OFFERS,
    STALL,
    TAKE_AND_DROP,
    TAKE_AND_NONSENSE,
    TAKE_AND_STALL,
    Sink,
)

K = OutcomeKind
LATER, NEVER, GOODBYE = "451 4.3.0 try later", "550 5.1.1 no such user", "421 4.3.2 closing"
HARMLESS = {DROP: K.NOT_SENT, STALL: K.NOT_SENT, NONSENSE: K.NOT_SENT, LATER: K.NOT_SENT, GOODBYE: K.NOT_SENT}
# stage → what the relay does there → what is known of that one mail.
TABLE: dict[str, dict[str, OutcomeKind]] = {
    "MAIL": HARMLESS | {"550 5.1.0 no": K.NOT_SENT},
    "RCPT": HARMLESS | {NEVER: K.REJECTED, "552 5.2.2 full": K.REJECTED, "554 5.7.1 policy": K.REJECTED},
    "DATA": HARMLESS | {"554 5.0.0 no": K.REJECTED, "250 what": K.NOT_SENT},
    "DOT": {
        DROP: K.UNKNOWN,
        STALL: K.UNKNOWN,
        NONSENSE: K.UNKNOWN,
        TAKE_AND_DROP: K.UNKNOWN,
        TAKE_AND_STALL: K.UNKNOWN,
        TAKE_AND_NONSENSE: K.UNKNOWN,
        "354 what": K.UNKNOWN,
        LATER: K.NOT_SENT,
        GOODBYE: K.NOT_SENT,
        NEVER: K.REJECTED,
        "554 5.6.0 bad content": K.REJECTED,
    },
}
CASES = [(stage, what) for stage, found in TABLE.items() for what in found]
WITHOUT = tuple(one for one in OFFERS if one != "PIPELINING")
SIZE = 4


def number_of(who: str) -> int:
    """Of a message, by its recipient, or by the id that goes ahead in MAIL."""
    return int(who.partition("@")[0].removeprefix("person")) if "@" in who else int(who.rpartition(".")[2])


def failing(stage: str, number: int, what: str) -> Callable[[str, str], str | None]:
    return lambda at, who: what if at == stage and number_of(who) == number else None


def impatient(what: str) -> dict[str, float]:
    """Whoever is never answered has to give up; all others have all the time of a busy machine."""
    return dict.fromkeys(("read_timeout_seconds", "connect_timeout_seconds"), 1.0) if what.endswith(STALL) else {}


def carried(scripted: Sink, batch: ports.Batch, **changes: object) -> tuple[Outcome, list[OutcomeKind]]:
    with sink.running(scripted), relayed.mailer_for(scripted, **changes) as mailer:
        outcome = mailer.send(batch)
    kinds = [one.kind for one in relayed.each(outcome, batch)]
    check(scripted, batch, kinds)
    return outcome, kinds


def check(scripted: Sink, batch: ports.Batch, kinds: list[OutcomeKind]) -> None:
    """What must hold whatever the relay did. Its own record is the oracle."""
    times = scripted.times()
    assert max(times.values(), default=0) <= 1, "a mail was taken twice"
    for address, kind in zip(batch.addresses, kinds, strict=True):
        if kind is K.ACCEPTED:
            assert times[address] == 1
        if kind in {K.NOT_SENT, K.REJECTED}:
            assert times[address] == 0, f"{kind}, and the relay has it"


@pytest.mark.parametrize("offers", [OFFERS, WITHOUT], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("number", [0, 1, SIZE - 1])
@pytest.mark.parametrize(("stage", "what"), CASES)
def test_each_fault_has_one_class_and_touches_nobody_else(
    stage: str, what: str, number: int, offers: tuple[str, ...]
) -> None:
    scripted = Sink(failing(stage, number, what), offers)
    outcome, kinds = carried(scripted, relayed.a_batch(SIZE), **impatient(what))
    assert kinds[number] is TABLE[stage][what]
    assert kinds[:number] == [K.ACCEPTED] * number
    # Behind it is at most one that had been announced already, and those for which nobody answers any more.
    assert set(kinds[number + 1 :]) <= {K.ACCEPTED, K.NOT_SENT}
    assert outcome.stop_provider == (stage == "MAIL" and what.startswith("550"))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("what", [LATER, NEVER])
@pytest.mark.parametrize("stage", ["RCPT", "DATA", "DOT"])
def test_an_answer_costs_the_others_nothing(stage: str, what: str, number: int) -> None:
    for offers in (OFFERS, WITHOUT):
        scripted = Sink(failing(stage, number, what), offers)
        _, kinds = carried(scripted, relayed.a_batch(SIZE))
        assert kinds.count(K.ACCEPTED) == SIZE - 1
        assert scripted.connections == 1


@pytest.mark.parametrize("what", [DROP, TAKE_AND_DROP, GOODBYE])
def test_a_connection_that_is_lost_on_the_way_is_replaced(what: str) -> None:
    scripted = Sink(failing("DOT", 1, what), WITHOUT)
    _, kinds = carried(scripted, relayed.a_batch(SIZE))
    assert kinds == [K.ACCEPTED, TABLE["DOT"][what], K.ACCEPTED, K.ACCEPTED]
    assert scripted.connections == 2


def test_a_relay_that_takes_nothing_is_not_called_for_each_mail() -> None:
    scripted = Sink(lambda stage, _: DROP if stage == "MAIL" else None)
    _, kinds = carried(scripted, relayed.a_batch(SIZE))
    assert kinds == [K.NOT_SENT] * SIZE
    assert scripted.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced_before_anything_is_said() -> None:
    """Between two batches the relay says 421 and hangs up, or hangs up at the first word."""
    for fault in (GOODBYE, DROP):
        faults = [None, fault]
        scripted = Sink(lambda stage, _, faults=faults: faults.pop() if stage == "RSET" and faults else None)
        with sink.running(scripted), relayed.mailer_for(scripted) as mailer:
            for size in (1, 2, 3):
                batch = relayed.a_batch(size)
                assert {one.kind for one in relayed.each(mailer.send(batch), batch)} == {K.ACCEPTED}
        assert scripted.connections == 2


def test_a_relay_that_hangs_up_in_the_middle_of_a_text_took_nothing() -> None:
    """The text is larger than what lies between: the final dot is never on its way."""
    scripted = Sink(failing("TEXT", 1, DROP), OFFERS)
    values = {"first_name": ["A", "B" * 16_000_000, "C"]}
    outcome, kinds = carried(scripted, batch := relayed.a_batch(3, content=relayed.text_only(), variables=values))
    assert kinds[1] is K.NOT_SENT
    assert "lost before the mail was sent" in relayed.each(outcome, batch)[1].detail


def test_a_text_for_nobody_is_never_somebody_s_mail() -> None:
    """RFC 2920 lets a relay say 354 though it refused the recipient: it gets an empty text, and is in step again."""
    scripted = Sink(failing("RCPT", 1, NEVER), eager=True)
    _, kinds = carried(scripted, relayed.a_batch(3))
    assert kinds == [K.ACCEPTED, K.REJECTED, K.ACCEPTED]


def test_what_is_not_begun_in_a_quarter_of_the_lease_is_not_sent() -> None:
    scripted = Sink(failing("DOT", 1, STALL))
    soon = datetime.now(UTC) + timedelta(seconds=6)
    batch = relayed.a_batch(SIZE, lease_expires_at=soon)
    outcome, kinds = carried(scripted, batch)
    assert kinds == [K.ACCEPTED, K.UNKNOWN, K.NOT_SENT, K.NOT_SENT]
    assert outcome.exceptions["run1.3"].local
    assert outcome.kind is K.ACCEPTED


def test_of_a_relay_that_does_not_answer_no_more_than_two_are_risked() -> None:
    scripted = Sink(lambda stage, who: TAKE_AND_DROP if stage == "DOT" and number_of(who) % 2 else None)
    _, kinds = carried(scripted, relayed.a_batch(9))
    assert kinds.count(K.UNKNOWN) == 2
    assert kinds[4:] == [K.NOT_SENT] * 5


def test_a_lease_that_is_over_calls_nobody() -> None:
    scripted = Sink()
    outcome, _ = carried(scripted, relayed.a_batch(lease_expires_at=datetime.now(UTC)))
    assert (outcome.kind, outcome.local) == (K.NOT_SENT, True)
    assert scripted.connections == 0


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO"])
@pytest.mark.parametrize(
    ("what", "stops"), [(DROP, False), (STALL, False), (NONSENSE, False), (GOODBYE, False), ("554 5.7.1 you not", True)]
)
def test_who_is_not_let_in_sent_nothing(stage: str, what: str, stops: bool) -> None:
    scripted = Sink(lambda at, _: what if at == stage else None)
    outcome, kinds = carried(scripted, relayed.a_batch(), **impatient(what))
    assert kinds == [K.NOT_SENT] * 3
    assert (outcome.stop_provider, dict(outcome.exceptions)) == (stops, {})


def test_a_relay_that_does_not_know_us_is_stopped_and_nobody_is_refused() -> None:
    scripted = Sink(lambda stage, _: "554 5.7.1 Relay access denied" if stage == "RCPT" else None)
    outcome, kinds = carried(scripted, relayed.a_batch(6))
    assert kinds == [K.NOT_SENT] * 6
    assert outcome.stop_provider
    assert sum(line.startswith("RCPT") for line in scripted.heard) <= 4


def test_what_a_relay_that_knows_us_says_of_our_sender_is_about_that_one_mail() -> None:
    scripted = Sink(failing("RCPT", 0, "550 5.7.26 unauthenticated sender"))
    outcome, kinds = carried(scripted, relayed.a_batch(3))
    assert kinds == [K.REJECTED, K.ACCEPTED, K.ACCEPTED]
    assert not outcome.stop_provider


def test_the_words_of_a_relay_are_told_without_addresses() -> None:
    scripted = Sink(failing("RCPT", 1, "550-5.1.1 <person1@customers.example.com>:\r\n550 5.1.1 no such person1"))
    outcome, _ = carried(scripted, batch := relayed.a_batch())
    refused = relayed.each(outcome, batch)[1]
    assert (refused.status, refused.detail) == (550, "550 5.1.1 <[address]>: 5.1.1 no such person1 (to RCPT)")


def test_an_endless_reply_ends() -> None:
    scripted = Sink(failing("RCPT", 0, "250-" + "x" * 200_000))
    _, kinds = carried(scripted, relayed.a_batch(1))
    assert kinds == [K.NOT_SENT]


# Silence is as a connection that is cut, and costs a second each time.
FAULT = st.tuples(st.sampled_from([case for case in CASES if not case[1].endswith(STALL)]), st.integers(0, 7))


@settings(max_examples=60)
@given(
    faults=st.lists(FAULT, max_size=5), offers=st.sampled_from([OFFERS, WITHOUT]), most=st.sampled_from([1, 2, 3, 1000])
)
def test_any_faults_together(faults: list[tuple[tuple[str, str], int]], offers: tuple[str, ...], most: int) -> None:
    """Of each mail the outcome is that of the first fault it met, or it was not begun, or it was taken."""
    script = {(stage, number): what for (stage, what), number in faults}
    batch = relayed.a_batch(8)
    scripted = Sink(lambda at, who: script.get((at, number_of(who))) if at in TABLE and who else None, offers)
    _, kinds = carried(scripted, batch, messages_per_connection=most)
    for number, kind in enumerate(kinds):
        met = next((TABLE[at][what] for at in TABLE if (what := script.get((at, number)))), K.ACCEPTED)
        assert kind in {met, K.NOT_SENT}


def test_a_refusal_says_of_the_mailbox_what_a_bounce_would() -> None:
    said = {1: NEVER, 2: "554 5.7.1 message rejected as spam", 3: LATER}
    scripted = Sink(lambda at, who: said.get(number_of(who)) if at == "RCPT" else None)
    outcome, _ = carried(scripted, batch := relayed.a_batch(SIZE))
    taken, gone, spam, later = (one.event for one in relayed.each(outcome, batch))
    assert (taken, later) == (None, None)
    assert gone is not None
    assert spam is not None
    assert (gone.kind, gone.message_id, gone.suppresses, gone.address) == ("bounced", "run1.1", "hard_bounce", None)
    assert gone.attempt_id == ledger.own_attempt(batch.attempt_id, "run1.1")
    assert (spam.bounce_class, spam.fault, spam.suppresses) == ("block", "sender", None)


def test_a_mail_that_is_alone_bears_the_name_of_its_attempt() -> None:
    """What is heard of it is heard of the whole batch, so a bounce proves an attempt that nobody knew the outcome of."""
    for size in (1, 2):
        scripted = Sink()
        carried(scripted, batch := relayed.a_batch(size))
        assert (f"Message-ID: <run1.0.{batch.attempt_id}.".encode() in scripted.taken[0][2]) == (size == 1)
