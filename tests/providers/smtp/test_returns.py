"""What each of the known shapes of returned mail is taken for."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent
from tests.conftest import PEPPER
from tests.providers.smtp import returned
from tests.providers.smtp.returned import ATTEMPT, MESSAGE

K = EventKind
HARD, SOFT, BLOCK = BounceClass.HARD, BounceClass.SOFT, BounceClass.BLOCK
ADDRESS = "customer1@outlook.com"
OURS = MESSAGE  # the mail names a message of ours; its address is nobody's business then

# sample → of each event: kind, class, suppression, and the message or else the address. Address-only ones as they are
# where the operator trusts the mailbox.
LABELS: dict[str, list[tuple[EventKind, BounceClass | None, str | None, str | None]]] = {
    "postfix-unknown-user": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "postfix-delay": [(K.DEFERRED, None, None, OURS)],
    "postfix-success": [(K.DELIVERED, None, None, OURS)],
    "postfix-old": [(K.BOUNCED, BLOCK, None, OURS)],
    "relayed": [(K.DELIVERED, None, None, OURS)],
    "sendmail-full": [(K.BOUNCED, SOFT, None, OURS)],
    "exim-report": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "exim-prose": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "exim-warning": [(K.DEFERRED, None, None, OURS)],
    "qmail": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "qmail-full": [(K.BOUNCED, SOFT, None, OURS)],
    "exchange-not-found": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "exchange-55": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "office365-access-denied": [(K.BOUNCED, BLOCK, None, OURS)],
    "lotus": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "gmail-no-user": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "gmail-rate": [(K.BOUNCED, SOFT, None, OURS)],
    "yahoo": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "gmx": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "mailmarshal": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "james": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "exim-hotmail": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "gmail-other-server": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "html-only": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "no-action-field": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "nested-forward": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "truncated": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "own-token-other-victim": [(K.BOUNCED, HARD, "hard_bounce", OURS)],
    "several-recipients": [
        (K.BOUNCED, HARD, "hard_bounce", "one@example.org"),
        (K.DEFERRED, None, None, "two@example.org"),
        (K.DELIVERED, None, None, "three@example.org"),
    ],
    "forwarded-to-several": [(K.BOUNCED, SOFT, None, OURS), (K.DELIVERED, None, None, OURS)],
    "utf8-report": [
        (K.BOUNCED, HARD, "hard_bounce", "jörg@bücher.example"),
        (K.BOUNCED, SOFT, None, "jörg2@example.org"),
    ],
    "forged-address-only": [(K.BOUNCED, HARD, "hard_bounce", ADDRESS)],
    "forged-token": [(K.BOUNCED, HARD, "hard_bounce", ADDRESS)],
    "arf-rfc5965": [(K.COMPLAINED, None, "complaint", OURS)],
    "arf-yahoo-redacted": [(K.COMPLAINED, None, "complaint", OURS)],
    "jmrp-microsoft": [(K.COMPLAINED, None, "complaint", OURS)],
    "arf-opt-out": [(K.UNSUBSCRIBED, None, "unsubscribe", OURS)],
    "arf-not-spam": [(K.UNKNOWN, None, None, OURS)],
    "arf-address-only": [(K.COMPLAINED, None, "complaint", ADDRESS)],
    "auto-reply-english": [(K.UNKNOWN, None, None, OURS)],
    "auto-reply-german": [(K.UNKNOWN, None, None, OURS)],
    "auto-reply-french": [(K.UNKNOWN, None, None, OURS)],
    "auto-reply-spanish": [(K.UNKNOWN, None, None, OURS)],
    "auto-reply-japanese": [(K.UNKNOWN, None, None, OURS)],
    "auto-reply-vacation": [(K.UNKNOWN, None, None, None)],
    "auto-reply-left": [(K.UNKNOWN, None, None, OURS)],
    "challenge": [(K.UNKNOWN, None, None, OURS)],
    "human-reply": [(K.UNKNOWN, None, None, OURS)],
    "spam": [(K.UNKNOWN, None, None, None)],
    "mdn-displayed": [(K.OPENED, None, None, OURS)],
    "mdn-automatic": [(K.OPENED, None, None, OURS)],
    "mdn-deleted": [(K.UNKNOWN, None, None, OURS)],
    "dovecot-reject": [(K.BOUNCED, SOFT, None, OURS)],
    "unsubscribe-signed": [(K.UNSUBSCRIBED, None, "unsubscribe", OURS)],
    "unsubscribe-plain": [(K.UNSUBSCRIBED, None, "unsubscribe", ADDRESS)],
    "unsubscribe-auto": [(K.UNKNOWN, None, None, None)],
}
ANSWERS = [name for name in LABELS if name.startswith("auto-reply") or name in {"challenge", "human-reply", "spam"}]


def events(name: str, *, trusting: bool = False) -> list[DeliveryEvent]:
    found = list(returned.reader(trusting=trusting).parse(returned.raw(name)))
    assert all(isinstance(one, DeliveryEvent) for one in found)
    return found


def told(found: list[DeliveryEvent]) -> list[tuple[EventKind, BounceClass | None, str | None, str | None]]:
    return [(one.kind, one.bounce_class, one.suppresses, one.message_id or one.address) for one in found]


def test_every_sample_has_a_label() -> None:
    assert returned.names() == sorted(LABELS)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_each_sample_is_taken_for_what_it_is(name: str) -> None:
    assert told(events(name, trusting=True)) == LABELS[name]


@pytest.mark.parametrize("name", sorted(LABELS))
def test_no_address_of_an_event_stays_where_a_message_is_named_and_none_in_its_words(name: str) -> None:
    for one in events(name):
        assert one.address is None or one.message_id is None
        assert "@" not in (one.detail or "")


@pytest.mark.parametrize("name", ["forged-address-only", "forged-token", "arf-address-only", "several-recipients"])
def test_what_names_no_mail_of_ours_is_information_only(name: str) -> None:
    for one in events(name):
        assert (one.kind, one.suppresses, one.bounce_class, one.fault) == (K.UNKNOWN, None, None, None)
        assert (one.message_id, one.attempt_id) == (None, None)
        assert (one.detail or "").startswith("unproved: ")


def test_who_holds_a_mail_can_say_something_of_his_own_mailbox_only() -> None:
    (event,) = events("own-token-other-victim")
    assert (event.message_id, event.attempt_id, event.address) == (MESSAGE, ATTEMPT, None)


def _with_the_link_only(name: str, *, trusting: bool = False) -> DeliveryEvent:
    """A sample as whoever was sent the mail on can make it: it has no name of ours but the link to unsubscribe."""
    body = returned.raw(name).replace(returned.mail_id().encode(), b"<1@elsewhere.example>")
    path = returned.message_ids.return_path(MESSAGE, mailbox=returned.MAILBOX, key=returned.LINK_KEY)
    (event,) = returned.reader(trusting=trusting).parse(body.replace(path.encode(), b"news@shop.example.com"))
    assert isinstance(event, DeliveryEvent)
    return event


def test_a_complaint_with_the_link_alone_ends_marketing_and_nothing_else() -> None:
    complaint = _with_the_link_only("arf-rfc5965")
    assert (complaint.kind, complaint.message_id, complaint.suppresses) == (K.COMPLAINED, MESSAGE, "unsubscribe")


@pytest.mark.parametrize("name", ["postfix-unknown-user", "mdn-displayed"])
def test_nothing_else_is_believed_by_the_link_alone(name: str) -> None:
    event = _with_the_link_only(name)
    assert (event.kind, event.message_id, event.suppresses, event.bounce_class) == (K.UNKNOWN, None, None, None)
    assert (event.detail or "").startswith("unproved: ")


def test_where_the_mailbox_is_trusted_the_link_says_which_mail_it_is() -> None:
    bounce = _with_the_link_only("postfix-unknown-user", trusting=True)
    assert (bounce.kind, bounce.message_id, bounce.suppresses) == (K.BOUNCED, MESSAGE, "hard_bounce")


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_never_a_bounce_and_never_suppresses(name: str) -> None:
    for one in events(name, trusting=True):
        assert (one.kind, one.suppresses) == (K.UNKNOWN, None)


def test_a_receipt_that_a_program_sent_is_no_human_opening() -> None:
    (by_hand,), (by_program,) = events("mdn-displayed"), events("mdn-automatic")
    assert (by_hand.machine, by_program.machine) == (False, True)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_the_same_mail_brought_again_gives_the_same_events(name: str) -> None:
    first = returned.raw(name)
    again = b"Received: by another.example.org; Sun, 22 Nov 2026 15:00:00 +0000\r\nX-Spam: no\r\n" + first

    def keys(body: bytes) -> list[str]:
        return [one.dedupe_key(PEPPER) for one in returned.reader(trusting=True).parse(body)]  # type: ignore[union-attr]

    assert keys(first) == keys(again)
    assert len(set(keys(first))) == len(keys(first))


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Subject: Out of Office: back on Monday", "auto-reply"),
        ("Subject: Réponse automatique : absente", "auto-reply"),
        ("Subject: Abwesenheitsnotiz: Urlaub", "auto-reply"),
        ("Subject: Risposta automatica: ferie", "auto-reply"),
        ("Subject: Resposta automática: férias", "auto-reply"),
        ("Subject: Automatisch antwoord: vakantie", "auto-reply"),
        ("Subject: Autosvar: semester", "auto-reply"),
        ("Subject: Odpowiedź automatyczna: urlop", "auto-reply"),
        ("Subject: Автоответ: отпуск", "auto-reply"),
        ("Auto-Submitted: auto-replied", "auto-reply"),
        ("X-Autoreply: yes", "auto-reply"),
        ("Precedence: auto_reply", "auto-reply"),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply", "auto-reply"),
        ("Subject: Verify your message to deliver it", "challenge"),
        ("Auto-Submitted: no", "a mail that is no report"),
        ("Subject: Your vacation photos", "a mail that is no report"),
    ],
)
def test_the_signs_of_an_answer(header: str, kind: str) -> None:
    body = f"From: a@b.example\nDate: Sun, 22 Nov 2026 10:00:00 +0100\n{header}\n\nthe mailbox is full, user unknown\n"
    (event,) = returned.reader(trusting=True).parse(body.encode())
    assert isinstance(event, DeliveryEvent)
    assert (event.kind, event.detail) == (K.UNKNOWN, kind)


def test_a_wrong_clock_is_set_right_by_ours() -> None:
    body = (
        b"Received: by us; Sun, 22 Nov 2026 09:00:00 +0000\nDate: Thu, 1 Jan 2099 00:00:00 +0000\nFrom: a@b.example\n\n"
    )
    (event,) = returned.reader().parse(body)
    assert isinstance(event, DeliveryEvent)
    assert event.occurred_at.isoformat() == "2026-11-22T09:00:00+00:00"


def test_what_is_no_mail_is_unreadable_and_says_why() -> None:
    (refused,) = returned.reader().parse(b"\x00\x01 no mail at all")
    assert isinstance(refused, UnreadableEvent)
    assert "no date" in refused.reason


SAMPLES = [returned.raw(name) for name in returned.names()]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample with pieces cut out, doubled, overwritten or put in."""
    body = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 200)))
        body[start:end] = draw(
            st.one_of(
                st.binary(max_size=40),
                st.just(bytes(body[start:end]) * 3),
                st.sampled_from([b"\r\n\r\n", b"=?", b"\0"]),
            )
        )
    return bytes(body)


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=2000), mutated()))
@example(b"")
@example(b"Content-Type: multipart/mixed; boundary=\n\n--\n--\n")
@example(b"Content-Type: text/plain; charset=punycode\nDate: Sun, 22 Nov 2026 10:00:00 +0100\n\nx")
@example(b"Subject: =?utf-8?b?A?= =?x?q??=\nDate: Sun, 22 Nov 2026 10:00:00 +0100\n\n")
def test_no_mail_makes_the_reader_fail_and_no_change_of_a_mail_proves_another_message(body: bytes) -> None:
    for one in returned.reader(trusting=True).parse(body):
        if isinstance(one, DeliveryEvent):
            assert one.message_id in {None, MESSAGE}
            assert one.fault is not Fault.SENDER or one.suppresses is None
            assert replace(one).dedupe_key(PEPPER)
            assert "\0" not in f"{one.address}{one.detail}{one.provider_event_id}"
