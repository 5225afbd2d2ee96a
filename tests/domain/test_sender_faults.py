"""Whose trouble a refusal is, and what is held back for it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import bounces, sender_faults
from domain.address_marks import MarkKind, mark_of
from domain.bounce_codes import ENHANCED
from domain.delivery import DeliveryEvent, EventKind, Fault
from domain.guardrails import GuardAction
from domain.sender_faults import Refused, Trouble, trouble_of
from tests.conftest import NOW


def event(text: str, kind: EventKind = EventKind.BOUNCED) -> DeliveryEvent:
    verdict = bounces.judge(status="", text=text)
    facts = {"bounce_class": verdict.bounce_class, "fault": verdict.fault} if kind is EventKind.BOUNCED else {}
    return DeliveryEvent("esp", kind, NOW, detail=text, **facts)


@pytest.mark.parametrize("kind", [EventKind.BOUNCED, EventKind.DEFERRED])
@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("550 5.7.26 This mail is unauthenticated", Trouble.AUTHENTICATION),
        ("550 5.7.515 Access denied, sending domain does not meet the level", Trouble.AUTHENTICATION),
        ("421 4.7.0 you are sending mail too quickly", Trouble.RATE),
        ("421 4.7.27 SPF did not pass", Trouble.AUTHENTICATION),
        ("550 5.7.25 no PTR record", Trouble.AUTHENTICATION),
        ("421 4.7.28 unusual rate of unsolicited mail", Trouble.RATE),
        ("421 4.7.0 [TSS04] Messages temporarily deferred", Trouble.RATE),
        ("550 5.7.28 unusual rate", Trouble.RATE),
        ("550 5.7.1 listed by spamhaus", Trouble.REPUTATION),
        (
            "550-5.7.1 this message is likely suspicious due to the very low\n550-5.7.1 reputation of the sending domain.",
            Trouble.REPUTATION,
        ),
        ("550 5.7.0 poor reputation of the sender domain", Trouble.REPUTATION),
        ("550 5.7.0 the sending domain is not welcome", Trouble.REPUTATION),
        ("550 the from domain has a bad name on a blocklist", Trouble.REPUTATION),
        ("550 5.1.8 the sending domain does not exist", Trouble.AUTHENTICATION),
        ("552 5.3.4 message too large", Trouble.CONTENT),
        ("550 5.1.1 user unknown", None),
        ("452 4.2.2 over quota", None),
        ("451 4.3.0 try again later", None),
        ("nothing that anybody knows", None),
    ],
)
def test_what_is_wrong_with_us(text: str, kind: EventKind, trouble: Trouble | None) -> None:
    assert trouble_of(event(text, kind)) == trouble


@pytest.mark.parametrize("kind", [EventKind.BOUNCED, EventKind.DEFERRED])
@pytest.mark.parametrize(
    "text",
    [
        "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
        "550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized to send to this recipient",
        "550 5.7.124 Sender not in allowed-senders list",
        "450-4.2.1 The user you are trying to contact is receiving mail at a rate that\n450 4.2.1 prevents additional mail",
        "550 5.2.1 The user you are trying to contact is receiving mail too quickly",
    ],
)
def test_a_recipients_own_rule_holds_nothing_back(text: str, kind: EventKind) -> None:
    told = event(text, kind)
    assert trouble_of(told) is None
    assert mark_of(told) == (MarkKind.AWAY if kind is EventKind.BOUNCED else None)


def test_a_named_cause_says_it_whatever_the_words() -> None:
    told = DeliveryEvent("esp", EventKind.BOUNCED, NOW, fault=Fault.SENDER, cause="configuration")
    assert trouble_of(told) is Trouble.AUTHENTICATION


@given(st.sampled_from(sorted(ENHANCED)), st.text(max_size=40))
def test_no_refusal_is_held_against_both(code: str, words: str) -> None:
    told = event(f"550 {code} {words}")
    assert trouble_of(told) is None or mark_of(told) is None


def test_three_are_enough_of_one_provider_and_need_a_tenth_of_many() -> None:
    text = "550 5.7.26 unauthenticated"
    assert sender_faults.pair_guard("gmail", Trouble.AUTHENTICATION, Refused(2, 2, text)).action is GuardAction.NONE
    found = sender_faults.pair_guard("gmail", Trouble.AUTHENTICATION, Refused(3, 90_000, text))
    assert (found.action, found.lasts) == (GuardAction.PAUSE, None)
    assert text in found.reason
    for group in ("other", "mixed"):
        few = sender_faults.pair_guard(group, Trouble.AUTHENTICATION, Refused(30, 1000, text))
        many = sender_faults.pair_guard(group, Trouble.AUTHENTICATION, Refused(130, 1000, text))
        assert (few.action, many.action) == (GuardAction.NONE, GuardAction.PAUSE)


@pytest.mark.parametrize(
    ("text", "action", "lasts"),
    [
        ("421 4.7.0 [TSS04] deferred", GuardAction.PAUSE, timedelta(hours=2)),
        ("421 4.7.28 unusual rate", GuardAction.PAUSE, timedelta(minutes=10)),
        ("452 too many connections", GuardAction.SLOW, timedelta(minutes=30)),
    ],
)
def test_a_rate_ends_by_itself(text: str, action: GuardAction, lasts: timedelta) -> None:
    found = sender_faults.pair_guard("yahoo", Trouble.RATE, Refused(8, 8, text))
    assert (found.action, found.lasts) == (action, lasts)


def test_the_few_per_cent_that_are_put_off_on_any_day_slow_nothing_unless_the_provider_names_a_time() -> None:
    usual = Refused(207, 7082, "450 4.7.1 Try again later, too many connections")
    assert sender_faults.pair_guard("gmail", Trouble.RATE, usual).action is GuardAction.NONE
    storm = replace(usual, messages=800)
    assert sender_faults.pair_guard("gmail", Trouble.RATE, storm).action is GuardAction.SLOW
    named = replace(usual, messages=3, text="421 4.7.28 unusual rate")
    assert sender_faults.pair_guard("gmail", Trouble.RATE, named).action is GuardAction.PAUSE


@pytest.mark.parametrize(
    ("refused", "heard", "action"),
    [(49, 499, GuardAction.NONE), (55, 500, GuardAction.NONE), (70, 500, GuardAction.PAUSE), (7, 7, GuardAction.NONE)],
)
def test_a_bad_name_takes_a_tenth_of_five_hundred_for_sure(refused: int, heard: int, action: GuardAction) -> None:
    found = sender_faults.pair_guard("gmail", Trouble.REPUTATION, Refused(refused, heard, "550 5.7.1 blocked"))
    assert (found.action, found.lasts) == (action, None)


@pytest.mark.parametrize(
    ("refused", "heard", "action"),
    [(7, 7, GuardAction.NONE), (8, 8, GuardAction.PAUSE), (12, 100, GuardAction.NONE), (30, 100, GuardAction.PAUSE)],
)
def test_content_stops_a_small_run_too(refused: int, heard: int, action: GuardAction) -> None:
    assert sender_faults.content_guard(Refused(refused, heard, "552 5.3.4 too large")).action is action


def test_everything_that_is_held_back_says_what_to_do() -> None:
    assert sender_faults.TO_DO.keys() == set(Trouble)
