"""The signature of relays, by the specification's own words and against what anybody may send."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.channels import adobe, amazon, medusa, standard_webhooks
from data.channels.channel import Urgency

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = datetime(2026, 4, 3, 12, 0, tzinfo=UTC)
BODY = b'{"entity_id": 1}'


def signature(body=BODY, *, key=KEY, message="msg_1", at=NOW) -> str:
    signed = f"{message}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(given_signature=None, *, message="msg_1", at=NOW, **more) -> dict[str, str]:
    own = given_signature or signature(message=message, at=at)
    return {"webhook-id": message, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": own, **more}


def verify(sent, body=BODY, secret=SECRET, now=NOW) -> bool:
    return standard_webhooks.PUSH.verify(sent, body, secret, now)


def test_a_known_signature_of_the_reference_libraries_holds():
    # The example that the reference libraries of the specification are tested with (svix, standard-webhooks).
    sent = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    assert verify(sent, b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at)


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), f" {SECRET}\n"])
def test_the_secret_may_come_with_and_without_its_prefix(secret):
    assert verify(headers(), secret=secret)


def test_any_one_of_several_signatures_will_do_while_a_secret_is_changed():
    old = signature(key=b"another key that was in use")
    assert verify(headers(f"{old} {signature()} v1a,AAAA"))
    assert not verify(headers(f"{old} v1a,{signature()[3:]} v2,{signature()[3:]}"))


@pytest.mark.parametrize("away", [timedelta(minutes=5), timedelta(minutes=-5), timedelta(0)])
def test_five_minutes_are_tolerated(away):
    assert verify(headers(at=NOW + away))


@pytest.mark.parametrize(
    "away", [timedelta(minutes=5, seconds=1), timedelta(minutes=-5, seconds=-1), timedelta(days=-9)]
)
def test_a_replay_is_refused(away):
    assert not verify(headers(at=NOW + away))


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "\uff11" * 10},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,\u00e4"},
        {"webhook-signature": "v1,\ud800"},
        {"webhook-id": "\ud800"},
    ],
)
def test_what_was_changed_on_the_way_is_refused(change):
    assert not verify(headers() | change)


def test_another_body_or_secret_is_refused():
    assert not verify(headers(), b'{"entity_id": 2}')
    for secret in ("", "whsec_", "whsec_not base64!", "whsec_" + base64.b64encode(b"x" * 24).decode()):
        assert not verify(headers(), secret=secret)


def test_an_id_with_a_full_stop_cannot_be_moved_into_the_body():
    sent = headers(message="msg_1.1775217600")
    assert not verify(sent)


@given(
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()),
    st.binary(),
    st.text(),
)
def test_nothing_that_is_sent_raises(sent, body, secret):
    assert verify(sent, body, secret) in {True, False}
    standard_webhooks.PUSH.meta(sent, body, NOW)


def test_meta_takes_the_topic_and_the_time_of_the_state_not_of_the_attempt():
    body = b'{"type": "order.updated", "timestamp": "2026-04-03T11:00:00.5Z", "data": {"entity_id": 1}}'
    meta = standard_webhooks.PUSH.meta(headers(**{"webhook-topic": "order.updated"}), body, NOW)
    assert (meta.topic, meta.delivery_id, meta.urgency) == ("order.updated", "msg_1", Urgency.NOW)
    assert meta.observed_at == datetime(2026, 4, 3, 11, 0, 0, 500_000, tzinfo=UTC)
    assert standard_webhooks.PUSH.meta(headers(), BODY, NOW).observed_at is None


def test_the_envelope_is_opened_and_everything_else_left():
    inside = {"entity_id": 1}
    assert standard_webhooks.content({"type": "order.placed", "data": inside}) is inside
    assert standard_webhooks.content(inside) is inside


@pytest.mark.parametrize("channel", [adobe.CHANNEL, amazon.CHANNEL, medusa.CHANNEL])
def test_channels_without_a_signature_of_their_own_use_it(channel):
    assert channel.push is standard_webhooks.PUSH
