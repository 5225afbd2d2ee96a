"""Mailchimp Marketing's words in ours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent, standing_refusal
from domain.suppression import Reason
from providers.mailchimp.webhook import MarketingEvents
from tests.providers.mailchimp import payloads
from tests.providers.mailchimp.payloads import ADDRESS


def read(body: bytes, list_id: str = "") -> DeliveryEvent:
    (event,) = MarketingEvents(list_id=list_id).parse(body)
    assert isinstance(event, DeliveryEvent)
    return event


def test_an_unsubscription_names_campaign_and_address():
    event = read(payloads.unsubscribed())
    assert (event.kind, event.address, event.provider_message_id) == (EventKind.UNSUBSCRIBED, ADDRESS, "cb398d21d2")
    assert event.occurred_at == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert standing_refusal(event) is Reason.UNSUBSCRIBE
    assert (event.provider, event.message_id) == ("mailchimp", None)


def test_a_list_with_many_merge_fields_and_groups_is_read():
    """Mailchimp's largest plan has 80 merge fields; of each set of groups come its id, unique id, name and choice."""
    facts = {f"merges__MMERGE{number}": "x" for number in range(80)}
    for number in range(60):
        for name in ("id", "unique_id", "name", "groups"):
            facts[f"merges__GROUPINGS__{number}__{name}"] = "x"
    assert read(payloads.unsubscribed(**facts)).kind is EventKind.UNSUBSCRIBED


@pytest.mark.parametrize("body", [payloads.unsubscribed(reason="abuse"), payloads.cleaned(reason="abuse")])
def test_abuse_is_a_complaint_whatever_it_is_called(body):
    event = read(body)
    assert event.kind is EventKind.COMPLAINED
    assert standing_refusal(event) is Reason.COMPLAINT


def test_who_is_deleted_by_leaving_left():
    assert standing_refusal(read(payloads.unsubscribed(action="delete"))) is Reason.UNSUBSCRIBE


def test_a_cleaned_address_is_a_hard_bounce():
    event = read(payloads.cleaned())
    assert (event.kind, event.bounce_class, event.fault) == (EventKind.BOUNCED, BounceClass.HARD, Fault.RECIPIENT)
    assert standing_refusal(event) is Reason.HARD_BOUNCE
    unheard_of = read(payloads.cleaned(reason="blue"))
    assert (unheard_of.bounce_class, standing_refusal(unheard_of)) == (BounceClass.SOFT, None)


def test_leaving_another_list_is_not_leaving_ours():
    assert read(payloads.unsubscribed(), "a6b5da1054").kind is EventKind.UNSUBSCRIBED
    other = read(payloads.unsubscribed(), "another")
    assert (other.kind, other.suppresses) == (EventKind.UNKNOWN, None)
    assert "another list" in (other.detail or "")
    # But who complained of it, or cannot be reached, is the same person.
    assert read(payloads.unsubscribed(reason="abuse"), "another").kind is EventKind.COMPLAINED
    assert read(payloads.cleaned(), "another").kind is EventKind.BOUNCED


@pytest.mark.parametrize(
    "body",
    [
        payloads.marketing("subscribe", id="8a25ff1d98", list_id="a6b5da1054", email=ADDRESS, email_type="html"),
        payloads.marketing("profile", id="8a25ff1d98", list_id="a6b5da1054", email=ADDRESS),
        payloads.marketing("upemail", list_id="a6b5da1054", new_id="51", new_email="b@example.com", old_email=ADDRESS),
        payloads.marketing("campaign", id="5aa2102003", subject="Test", status="sent", reason="", list_id="a6b5da1054"),
        payloads.marketing("a word of tomorrow", email=ADDRESS),
    ],
)
def test_the_rest_is_kept_as_unknown_and_means_nothing(body):
    event = read(body)
    assert (event.kind, event.suppresses) == (EventKind.UNKNOWN, None)
    assert event.detail


def test_no_address_is_in_a_detail():
    assert ADDRESS not in (read(payloads.cleaned(reason=f"hard {ADDRESS}")).detail or "")


def test_a_repetition_is_known_by_type_person_and_time():
    one, again = read(payloads.unsubscribed()), read(payloads.unsubscribed(ip_opt="10.0.0.1"))
    assert one.dedupe_key("p") == again.dedupe_key("p")
    later = read(payloads.marketing("unsubscribe", fired_at="2026-11-22 09:00:01", email=ADDRESS))
    assert later.dedupe_key("p") != one.dedupe_key("p")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b"type=unsubscribe", b"fired_at=2026-11-22+09%3A00%3A00", b"type=x&fired_at=yesterday"],
)
def test_what_is_no_event_is_said_and_kept(body):
    (element,) = MarketingEvents().parse(body)
    assert isinstance(element, UnreadableEvent)


@given(st.binary(max_size=300))
def test_no_body_makes_it_fail(body):
    assert len(list(MarketingEvents().parse(body))) == 1
