"""Each row of the bounce tables, and the rule that binds them: hard only when nobody objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bounce_codes import BASIC, ENHANCED
from domain.delivery import BounceClass, Fault
from domain.suppression import Reason
from providers.sendgrid import bounces

HARD = (BounceClass.HARD, Fault.RECIPIENT)
AWAY = (BounceClass.SOFT, Fault.RECIPIENT)
TRANSIENT = (BounceClass.SOFT, Fault.PROVIDER)
THROTTLED = (BounceClass.SOFT, Fault.SENDER)
BLOCKED = (BounceClass.BLOCK, Fault.SENDER)
CONTENT = (BounceClass.BLOCK, Fault.CONTENT)
UNKNOWN = (BounceClass.SOFT, Fault.UNKNOWN)


def judged(event_type: str = "bounce", classification: str = "", status: str = "", text: str = ""):
    verdict = bounces.classify(event_type=event_type, classification=classification, status=status, text=text)
    assert (verdict.suppresses is Reason.HARD_BOUNCE) == (verdict.bounce_class is BounceClass.HARD)
    return verdict.bounce_class, verdict.fault


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("Invalid Address", HARD),
        ("Mailbox Unavailable", AWAY),
        ("Technical", TRANSIENT),
        ("Technical Failure", TRANSIENT),
        ("Content", CONTENT),
        ("Reputation", BLOCKED),
        ("Frequency/Volume", THROTTLED),
        ("Frequency or Volume Too High", THROTTLED),
        ("Unclassified", UNKNOWN),
        ("A Class Of Next Year", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_the_vendors_classes_in_both_spellings(words, verdict):
    assert judged(classification=words) == verdict
    assert judged(classification=words.upper().replace(" ", "_")) == verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((code, HARD) for code in ("5.1.1", "5.1.3", "5.1.6", "5.1.10")),
        *((code, AWAY) for code in ("5.1.2", "5.2.1", "5.2.2", "4.2.2", "552")),
        *(
            (code, TRANSIENT)
            for code in ("4.3.0", "4.3.2", "4.4.1", "4.4.2", "4.4.7", "5.4.7", "421", "450", "451", "452")
        ),
        *((code, CONTENT) for code in ("5.3.4", "5.2.3", "5.6.0", "5.6.7")),
        *((code, BLOCKED) for code in ("5.7.1", "5.7.23", "5.7.25", "5.7.26", "5.7.515")),
        *((code, THROTTLED) for code in ("4.7.0", "4.7.1", "4.7.28")),
        *((code, UNKNOWN) for code in ("5.0.0", "5.5.0", "4.1.1", "4.9.9", "550", "553", "554", "499", "", "nonsense")),
    ],
)
def test_the_codes(status, verdict):
    assert judged(status=status) == verdict
    assert judged(text=f"{status} something happened") == verdict
    assert judged(text=f"smtp;550-{status} something happened" if "." in status else f"{status}-x") == verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("550 user unknown", HARD),
        ("550 <joe@spam.example.com>: Recipient address rejected: User unknown in virtual alias table", HARD),
        ("550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking", HARD),
        ("550 No such user here (Exim 4.94.2)", HARD),
        ("556 5.1.10 Null MX", HARD),
        ("Host unknown", AWAY),
        ("554 mailbox is full", AWAY),
        ("552 5.2.2 The email account that you tried to reach is over quota", AWAY),
        ("550 5.7.1 Unfortunately, messages from [w.x.y.z] weren't sent; on our block list (S3150)", BLOCKED),
        ("554 5.7.1 Service unavailable; Client host [167.89.55.66] blocked using bl.spamcop.net", BLOCKED),
        ("550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy", BLOCKED),
        ("550 5.7.515 Access denied, sending domain does not meet the required authentication level", BLOCKED),
        ("550 Message rejected as spam by Content Filtering", BLOCKED),
        ("421 4.7.28 Gmail has detected an unusual rate of unsolicited mail", THROTTLED),
        ("421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", THROTTLED),
        ("450 4.2.1 The user you are trying to contact is receiving mail too quickly", AWAY),
        ("552 5.3.4 Message size exceeds fixed limit", CONTENT),
        ("error dialing remote address: dial tcp 10.1.2.3:25: i/o timeout", TRANSIENT),
        ("connection timed out", TRANSIENT),
        ("unable to get mx info: read udp 5.6.7.8:53", UNKNOWN),
        ("450 user unknown, try again later", TRANSIENT),
        ("what the server said last is new to us", UNKNOWN),
    ],
)
def test_real_replies(text, verdict):
    assert judged(text=text) == verdict


@pytest.mark.parametrize(
    ("event_type", "verdict"),
    [("bounce", UNKNOWN), ("blocked", BLOCKED), ("expired", TRANSIENT), ("", UNKNOWN), ("new", UNKNOWN)],
)
def test_the_type_decides_only_where_nothing_else_speaks(event_type, verdict):
    assert judged(event_type) == verdict
    assert judged(event_type, classification="Content") == CONTENT


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        ({"classification": "Invalid Address", "status": "5.1.1", "text": "550 user unknown"}, HARD),
        ({"classification": "Invalid Address", "status": "5.7.1", "text": "blocked by policy"}, BLOCKED),
        ({"classification": "Invalid Address", "status": "5.2.2"}, AWAY),
        ({"classification": "Invalid Address", "status": "4.1.1"}, UNKNOWN),
        ({"classification": "Reputation", "status": "5.1.1"}, BLOCKED),
        ({"classification": "Mailbox Unavailable", "status": "5.1.1"}, AWAY),
        ({"classification": "Content", "status": "5.7.1"}, CONTENT),
        ({"classification": "Technical", "status": "5.7.26"}, BLOCKED),
        ({"classification": "Unclassified", "status": "5.1.1"}, HARD),
        ({"event_type": "blocked", "classification": "Invalid Address"}, BLOCKED),
        ({"event_type": "blocked", "status": "5.1.1"}, BLOCKED),
        ({"event_type": "blocked", "status": "5.1.1", "text": "550 Wobble frobnicated"}, BLOCKED),
        ({"event_type": "blocked", "status": "5.0.0", "text": "550 Wobble frobnicated beyond the quux"}, UNKNOWN),
        ({"event_type": "expired", "status": "5.0.0", "text": "550 Wobble frobnicated beyond the quux"}, TRANSIENT),
        ({"event_type": "blocked", "status": "5.0.0"}, BLOCKED),
        ({"event_type": "blocked", "text": "550 mailbox full"}, AWAY),
        ({"event_type": "expired", "text": "550 user unknown"}, TRANSIENT),
        ({"event_type": "expired", "text": "550 mailbox unavailable"}, TRANSIENT),
        ({"classification": "Invalid Address", "text": "550 mailbox unavailable"}, HARD),
        ({"classification": "Reputation", "text": "try again later"}, BLOCKED),
        ({"event_type": "", "classification": "Invalid Address"}, HARD),
    ],
)
def test_where_evidence_contradicts_itself_nobody_is_suppressed(evidence, verdict):
    assert judged(**evidence) == verdict


@pytest.mark.parametrize(
    ("reason", "bounce_class", "fault", "suppresses"),
    [
        ("Bounced Address", BounceClass.UNDETERMINED, Fault.UNKNOWN, None),
        ("Invalid", BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
        ("Invalid Address", BounceClass.HARD, Fault.RECIPIENT, Reason.INVALID),
        ("Spam Reporting Address", None, Fault.RECIPIENT, Reason.COMPLAINT),
        ("Unsubscribed Address", None, Fault.RECIPIENT, Reason.UNSUBSCRIBE),
        ("Spam Content", BounceClass.BLOCK, Fault.CONTENT, None),
        ("Invalid SMTPAPI header", BounceClass.BLOCK, Fault.SENDER, None),
        ("Recipient List over Package Quota", BounceClass.BLOCK, Fault.SENDER, None),
        ("Something new", BounceClass.UNDETERMINED, Fault.UNKNOWN, None),
        ("", BounceClass.UNDETERMINED, Fault.UNKNOWN, None),
    ],
)
def test_each_reason_of_a_drop(reason, bounce_class, fault, suppresses):
    verdict = bounces.dropped(reason)
    assert (verdict.bounce_class, verdict.fault, verdict.suppresses) == (bounce_class, fault, suppresses)


WORDS = st.sampled_from(["", *bounces.CLASSIFICATIONS, "unclassified", "news"])
FULL = [code + ".0" * (2 - code.count(".")) for code in ENHANCED]
CODES = st.sampled_from(["", *FULL, *BASIC])


@given(
    event_type=st.sampled_from(["bounce", "blocked", "expired", ""]),
    classification=WORDS,
    status=CODES,
    text=st.text(max_size=80) | st.sampled_from(["user unknown", "DMARC", "spam", "mailbox full"]),
)
def test_a_hard_bounce_is_always_the_recipients_fault_and_never_a_blocks(event_type, classification, status, text):
    bounce_class, fault = judged(event_type, classification, status, text)
    if bounce_class is BounceClass.HARD:
        assert fault is Fault.RECIPIENT
        assert event_type in {"bounce", ""}
        assert status == "5.7.17" or not status.startswith(("4", "5.7."))
        assert classification not in {"reputation", "content", "frequency volume", "technical"}
