"""The rows of the bounce tables against labelled replies, the traps, and the rule that nothing ends mail by mistake.

tests/payloads/bounces/replies.tsv was written from what the providers document; `\\n` in it is a line's end.
"""

import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import bounces
from domain.bounce_causes import MEANINGS, Cause, Verdict, verdict_of
from domain.bounce_codes import BASIC, ENHANCED
from domain.bounce_table import ROWS, WEAK
from domain.bounces import AWAY, BLOCKED, GONE, UNKNOWN, judge
from domain.delivery import BounceClass, Fault
from domain.suppression import Reason

HARD = (BounceClass.HARD, Fault.RECIPIENT)
# 44 codes of one meaning; two of them are in the replies.
BANNED_ADDRESSES = {f"5.7.{number}" for number in range(606, 650)}


class Reply(NamedTuple):
    text: str
    bounce_class: str
    fault: str
    source: str


def _replies() -> list[Reply]:
    path = Path(__file__).parent.parent / "payloads" / "bounces" / "replies.tsv"
    lines = path.read_text("utf-8").splitlines()[1:]
    return [Reply(*line.replace("\\n", "\n").split("\t")) for line in lines]


REPLIES = _replies()


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.text[:60].encode("ascii", "replace").decode())
def test_every_labelled_reply_has_its_class_and_fault(reply: Reply) -> None:
    verdict = judge(status="", text=reply.text)
    assert (verdict.bounce_class, verdict.fault) == (reply.bounce_class, reply.fault), verdict.rule


def test_the_replies_are_many_and_no_sender_s_fault_suppresses() -> None:
    assert len(REPLIES) >= 300
    suppressed = [reply for reply in REPLIES if judge(status="", text=reply.text).suppresses]
    assert {(reply.bounce_class, reply.fault) for reply in suppressed} == {HARD}


def test_every_row_is_spoken_by_a_reply() -> None:
    spoken = {judge(status="", text=reply.text).rule for reply in REPLIES}
    rows = {row.rule for row in (*ROWS, *WEAK)} | ENHANCED.keys() | BASIC.keys()
    assert rows - spoken - BANNED_ADDRESSES == set()


def test_rules_are_named_once_and_have_a_source() -> None:
    rules = [row.rule for row in (*ROWS, *WEAK)] + [*ENHANCED, *BASIC]
    assert len(rules) == len(set(rules))
    assert all(map(bounces.source_of, rules))
    assert bounces.source_of("no such rule") == ""


def test_all_that_speaks_for_the_person_stands_above_all_that_speaks_against() -> None:
    against = [MEANINGS[row.cause] == HARD for row in ROWS]
    assert against == sorted(against)
    assert not any(MEANINGS[row.cause] == HARD for row in WEAK)


def test_only_hard_and_the_recipients_fault_suppresses() -> None:
    for cause in Cause:
        verdict = verdict_of(cause)
        hard = (verdict.bounce_class, verdict.fault) == HARD
        assert verdict.suppresses == (Reason.HARD_BOUNCE if hard else None)
        assert hard == (verdict.bounce_class is BounceClass.HARD)


def test_phrases_are_written_as_texts_are_normalised() -> None:
    for row in (*ROWS, *WEAK):
        for phrase in (*row.phrases, *row.hosts, *(part for gap in row.gaps for part in gap)):
            assert phrase.strip()
            words, whole = bounces.normalised(phrase)
            assert phrase.strip(" .-#") in (words if phrase in row.phrases else whole), row.rule


@pytest.mark.parametrize(
    ("text", "cause", "rule"),
    [
        ("550 5.1.1 <joe@example.com>: user unknown", Cause.UNKNOWN_MAILBOX, "gone"),
        ("550 5.1.1", Cause.UNKNOWN_MAILBOX, "5.1.1"),
        ("550 5.7.26 DMARC", Cause.AUTHENTICATION, "auth-dmarc"),
        ("smtp; 552 5.2.2 over quota", Cause.FULL_MAILBOX, "full-gmail"),
        ("550 5.7.620", Cause.BLOCKLIST, "5.7.620"),
        ("550 blocked using zen.spamhaus.org; Error: open resolver", Cause.SYSTEM, "list-unanswered"),
        ("550 Message contains a URL listed on the Spamhaus DBL", Cause.CONTENT, "list-of-links"),
        ("550 Client host [192.0.2.1] blocked using zen.spamhaus.org", Cause.BLOCKLIST, "list-spamhaus"),
        ("new to us", Cause.UNKNOWN, ""),
    ],
)
def test_a_verdict_says_its_cause_and_the_row_that_spoke(text: str, cause: Cause, rule: str) -> None:
    verdict = judge(status="", text=text)
    assert (verdict.cause, verdict.rule) == (cause, rule)


# Each names authentication, reputation, rate or policy, by a code or in words.
NAMES_THE_SENDER = [
    "550 5.7.1",
    "421 4.7.0",
    "550 5.7.26",
    "451 4.7.28",
    "550 5.7.515",
    "dmarc",
    "fails SPF",
    "DKIM",
    "unauthenticated",
    "reverse DNS",
    "poor reputation",
    "spam",
    "policy",
    "blocked",
    "blacklisted",
    "Spamhaus",
    "rate limit",
    "too many connections",
    "not authorized",
    "Sender address rejected",
    "4.7.28",
    "(#5.7.1)",
    "[TSS04]",
    "(S3150)",
]
SPEAKS_AGAINST = [
    "550 5.1.1 user unknown",
    "550 5.1.1 The email account that you tried to reach does not exist",
    "554 delivery error: dd This user doesn't have a yahoo.com account",
    "550 5.4.1 Recipient address rejected: Access denied",
    "556 5.1.10 null MX",
    "no such user",
    "550 5.1.6 recipient no longer on server",
    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)",
]


@given(
    parts=st.lists(st.sampled_from(SPEAKS_AGAINST) | st.text(max_size=30), max_size=5),
    name=st.sampled_from(NAMES_THE_SENDER),
    appended=st.lists(st.sampled_from(SPEAKS_AGAINST) | st.text(max_size=30), max_size=5),
    status=st.sampled_from(["", "5.1.1", "5.0.0", "550"]),
)
def test_a_reply_that_names_the_senders_trouble_is_never_hard(
    parts: list[str], name: str, appended: list[str], status: str
) -> None:
    verdict = judge(status=status, text=" ".join([*parts, name, *appended]))
    assert verdict.bounce_class is not BounceClass.HARD
    assert verdict.suppresses is None


@given(
    before=st.text(max_size=30),
    name=st.sampled_from([name for name in NAMES_THE_SENDER if "5.7.1" not in name]),
    after=st.text(max_size=30),
    status=st.sampled_from(["", "5.1.1", "5.7.1"]),
)
def test_who_is_on_no_list_of_recipients_is_gone_unless_the_senders_trouble_is_named(
    before: str, name: str, after: str, status: str
) -> None:
    """qmail's lists say 5.7.1 of unknown users: the one wording that this code does not object to."""
    listed = "553 sorry, no mailbox here by that name (#5.7.1)"
    assert judge(status=status, text=listed) == GONE
    assert judge(status=status, text=f"{before} {name} {listed} {after}").suppresses is None
    assert judge(status=status, text=f"{listed} {before} {name} {after}").suppresses is None


@given(status=st.text(max_size=20), text=st.text(max_size=200))
def test_anything_is_judged(status: str, text: str) -> None:
    verdict = judge(status=status, text=text)
    assert verdict.cause is not None
    assert MEANINGS[verdict.cause] == (verdict.bounce_class, verdict.fault)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("5.7.1", "user unknown"),
        ("5.1.1", "550 5.7.1 user unknown"),
        ("5.1.1", "450 user unknown"),
        ("4.1.1", "user unknown"),
        ("450", "user unknown"),
        ("5.2.2", "user unknown"),
    ],
)
def test_hard_takes_the_consent_of_every_code(status: str, text: str) -> None:
    assert judge(status=status, text=text).bounce_class is not BounceClass.HARD


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <joe@spam.policy.example>: User unknown",
        "host spamfilter.example.com[192.0.2.1] said: 550 5.1.1 User unknown",
        "550 5.1.1 User unknown, see http://postmaster.example.com/spam.policy.blocked.example.com",
        "550 No such user here (Exim 4.7.28.1)",
        "550 5.1.1 User unknown at 4.7.1.2",
    ],
)
def test_names_of_hosts_addresses_and_versions_are_no_evidence(text: str) -> None:
    assert judge(status="", text=text) == GONE


def test_a_reply_is_read_whatever_its_form() -> None:
    forms = (
        "550-5.1.1 The email account that you tried to\n550-5.1.1 reach does not exist.\n550 5.1.1 more",
        "550-5.1.1 The email account that you tried to 550-5.1.1 reach does not exist.",
        "smtp; 550 5.1.1 The email account that you tried to\r\n    reach does not exist",
        "<html><body><p>The email account that you <b>tried</b> to reach does not exist</p></body></html>",
        "550 \uff1cjoe\uff20example.com\uff1e The email account that you tried to reach does not exist",
    )
    assert {judge(status="", text=form).rule for form in forms} == {"gone-gmail"}


def test_agreement_takes_the_best_informed_of_those_that_object() -> None:
    vague = verdict_of(Cause.POLICY, vague=True)
    full = verdict_of(Cause.FULL_MAILBOX)
    assert bounces.agreed([GONE, vague]) == verdict_of(Cause.DOUBTED)
    assert bounces.agreed([GONE, BLOCKED]) == BLOCKED
    assert bounces.agreed([vague, GONE, full]) == full
    assert bounces.agreed([AWAY, BLOCKED]) == AWAY
    assert bounces.agreed([GONE, verdict_of(Cause.FULL_MAILBOX, vague=True)]) == GONE
    assert bounces.agreed([None, GONE, GONE]) == GONE
    assert bounces.agreed([None, None]) is None
    assert bounces.agreed([]) is None
    assert judge(status="", text="") == UNKNOWN == Verdict(BounceClass.SOFT, Fault.UNKNOWN, None, Cause.UNKNOWN)


def _seconds(text: str) -> float:
    before = time.process_time()
    judge(status=text, text=text)
    return time.process_time() - before


@pytest.mark.parametrize(
    "unit", ["5.1.1.", "a@", "<b ", "user ", "1", "5.1.1 ", " ", "mailbox ", "said: ", "550-", "<p/", "mailbox x * "]
)
def test_a_hostile_text_costs_no_more_than_a_long_one(unit: str) -> None:
    """100 kB; only the first 4,000 characters are read, and all patterns are linear: far below 1 s on any machine."""
    assert _seconds(unit * (100_000 // len(unit))) < 1


def test_a_thousand_replies_are_judged_in_less_than_a_second_of_processor() -> None:
    before = time.process_time()
    for number in range(1000):
        judge(status="", text=REPLIES[number % len(REPLIES)].text)
    assert time.process_time() - before < 1
