"""Mailchimp Transactional's words in ours."""

import json
from datetime import UTC, datetime
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent, standing_refusal
from domain.suppression import Reason
from providers.mailchimp import transactional_events
from providers.mailchimp.webhook import TransactionalEvents
from tests.providers.mailchimp import payloads
from tests.providers.mailchimp.payloads import ADDRESS


def read(*elements) -> list[DeliveryEvent | UnreadableEvent]:
    return list(TransactionalEvents().parse(payloads.transactional(*elements)))


def only(element) -> DeliveryEvent:
    (event,) = read(element)
    assert isinstance(event, DeliveryEvent)
    return event


def test_our_ids_come_back_in_the_metadata():
    event = only(payloads.event("delivered"))
    assert (event.message_id, event.attempt_id, event.address) == ("r1.0", "a1", ADDRESS)
    assert event.provider_message_id == "exampleaaaaaaaaaaaaaaaaaaaaaaaaa"
    assert event.occurred_at == datetime.fromtimestamp(1795338000, UTC)
    assert event.provider == "mailchimp-transactional"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("send", EventKind.PROCESSED),
        ("deferral", EventKind.DEFERRED),
        ("delivered", EventKind.DELIVERED),
        ("hard_bounce", EventKind.BOUNCED),
        ("soft_bounce", EventKind.BOUNCED),
        ("reject", EventKind.DROPPED),
        ("spam", EventKind.COMPLAINED),
        ("unsub", EventKind.UNSUBSCRIBED),
        ("open", EventKind.OPENED),
        ("click", EventKind.CLICKED),
        ("inbound", EventKind.UNKNOWN),
        ("a word of tomorrow", EventKind.UNKNOWN),
    ],
)
def test_each_word_has_its_kind(word, kind):
    assert only(payloads.event(word)).kind is kind


def test_metadata_without_fields_is_a_list_in_php():
    assert only(payloads.event("open", msg=payloads.message(metadata=[]))).message_id is None


def test_a_gone_mailbox_is_hard_and_the_persons_own():
    event = only(payloads.bounced())
    assert (event.bounce_class, event.fault) == (BounceClass.HARD, Fault.RECIPIENT)
    assert standing_refusal(event) is Reason.HARD_BOUNCE
    assert ADDRESS not in (event.detail or "")
    assert "does not exist" in (event.detail or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"diag": "smtp;550 5.7.1 Message rejected due to SPF policy"},
        {"bounce_description": "spam", "diag": "smtp;550 5.1.1 blocked using Spamhaus"},
        {"bounce_description": "policy", "diag": ""},
        {"bounce_description": "general", "diag": "smtp;554 delivery error"},
        {"bounce_description": "invalid_domain", "diag": ""},
        {"bounce_description": "", "diag": ""},
    ],
)
def test_what_is_the_senders_fault_or_unclear_suppresses_nobody(changes):
    event = only(payloads.bounced(**changes))
    assert event.bounce_class is not BounceClass.HARD
    assert standing_refusal(event) is None


def test_what_transactional_calls_soft_is_never_hard():
    assert only(payloads.bounced("soft_bounce")).bounce_class is BounceClass.SOFT
    full = only(payloads.bounced("soft_bounce", bounce_description="mailbox_full", diag="smtp;552 5.2.2 Over Quota"))
    assert (full.bounce_class, full.fault) == (BounceClass.SOFT, Fault.RECIPIENT)


@pytest.mark.parametrize(
    ("word", "reason"), [("spam", Reason.COMPLAINT), ("unsub", Reason.UNSUBSCRIBE), ("open", None), ("click", None)]
)
def test_what_a_person_wants_is_heard(word, reason):
    assert standing_refusal(only(payloads.event(word))) is reason


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [
        ("hard-bounce", None),  # the bounce's own event said it, and when
        ("spam", Reason.COMPLAINT),
        ("unsub", Reason.UNSUBSCRIBE),
        ("invalid", Reason.INVALID),
        ("soft-bounce", None),
        ("test-mode-limit", None),
        ("a word of tomorrow", None),
    ],
)
def test_why_it_was_not_sent_at_all(reason, refusal):
    rejected = payloads.event("reject", msg=payloads.message(state="rejected", reject={"reason": reason, "detail": ""}))
    event = only(rejected)
    assert event.kind is EventKind.DROPPED
    assert (standing_refusal(event) if event.bounce_class is not BounceClass.SOFT else None) is refusal


class TestSync:
    def test_what_their_denylist_gains_ours_gains(self):
        event = only(payloads.sync(reason="spam"))
        assert (event.kind, event.address) == (EventKind.UNKNOWN, ADDRESS)
        assert standing_refusal(event) is Reason.COMPLAINT

    def test_of_a_hard_bounce_its_own_event_speaks(self):
        assert standing_refusal(only(payloads.sync())) is None

    @pytest.mark.parametrize("action", ["remove", "", "a word of tomorrow"])
    def test_what_it_loses_lifts_nothing(self, action):
        assert standing_refusal(only(payloads.sync(action))) is None

    def test_a_soft_bounce_or_the_senders_fault_is_no_refusal(self):
        assert standing_refusal(only(payloads.sync(reason="soft-bounce"))) is None
        assert standing_refusal(only(payloads.sync(detail="550 5.7.1 blocked for spam"))) is None

    def test_the_allowlist_means_nothing(self):
        element = {"type": "whitelist", "action": "add", "entry": {"email": ADDRESS}, "ts": 1795338000}
        assert standing_refusal(only(element)) is None


def test_openings_of_one_second_are_told_apart_by_who_opened():
    one, other = (only(payloads.event("open", ip=ip, user_agent="Mozilla")) for ip in ("10.0.0.1", "10.0.0.2"))
    assert one.dedupe_key("p") != other.dedupe_key("p")
    link = "https://shop.example.com/new?x=1"
    assert only(payloads.event("click", url=link)).url == link


def test_a_bad_element_costs_only_itself():
    good = payloads.event("open")
    elements = read(good, 7, {"ts": 1}, payloads.event("open", ts="1"), payloads.event("open", ts=17953380000000), good)
    assert [type(one) for one in elements] == [DeliveryEvent, *[UnreadableEvent] * 4, DeliveryEvent]
    assert [one.position for one in elements if isinstance(one, UnreadableEvent)] == [1, 2, 3, 4]


def test_half_a_character_harms_nobody():
    broken = json.dumps([payloads.event("open", user_agent="\ud800", ip="\0")])
    (event,) = TransactionalEvents().parse(f"mandrill_events={quote_plus(broken)}".encode())
    assert isinstance(event, DeliveryEvent)
    assert (event.client or "").encode()
    assert "\0" not in (event.client or "")


@pytest.mark.parametrize("body", [b"", b"[]", b"mandrill_events=", b"mandrill_events=%7B%7D", b"a=1", b"\xff"])
def test_what_is_no_array_is_said_and_kept(body):
    (element,) = TransactionalEvents().parse(body)
    assert isinstance(element, UnreadableEvent)


def test_a_thousand_events_are_one_body():
    assert len(read(*[payloads.event("delivered")] * 1000)) == 1000


@pytest.mark.parametrize(
    ("body", "empty"),
    [
        (b"", True),
        (b"mandrill_events=%5B%5D", True),
        (b"mandrill_events=%5B1%5D", False),
        (b"mandrill_events=%5B%5D&more=1", False),
        (b"\xff", False),
    ],
)
def test_the_try_of_a_new_webhook_is_empty(body, empty):
    assert transactional_events.is_empty(body) is empty


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)
_WORDS = st.sampled_from(["event", "type", "ts", "msg", "_id", "reject", "entry", "email", "metadata", "message_id"])


@given(st.lists(st.dictionaries(_WORDS, st.just("hard_bounce") | st.just(1795338000) | _JSON, max_size=6), max_size=3))
def test_no_array_makes_it_fail(elements):
    assert len(read(*elements)) == len(elements)
