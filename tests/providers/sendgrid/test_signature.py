"""Only what SendGrid signed is SendGrid's. The signatures are made by `cryptography`, as the vendor's server does."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import DeliveryEvent
from providers.sendgrid import signature
from providers.sendgrid.config import SendGridNotConfigured
from providers.sendgrid.webhook import SendGridEvents

BODY = '[{"event":"open","email":"änn@example.com","timestamp":1732266000}]\r\n'.encode()
TIMESTAMP = "1732266001"


def public_text(key) -> str:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
PUBLIC = public_text(KEY)


def signed(body: bytes = BODY, timestamp: str = TIMESTAMP, key: ec.EllipticCurvePrivateKey = KEY) -> dict[str, str]:
    der = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(der).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }


def test_what_sendgrid_signed_is_authentic():
    assert signature.verify(signed(), BODY, [PUBLIC])


def test_the_names_of_headers_have_no_case():
    for spell in (str.lower, str.upper, str.title):
        assert signature.verify({spell(name): value for name, value in signed().items()}, BODY, [PUBLIC])


def test_two_keys_are_good_while_one_is_rotated():
    keys = [public_text(OTHER), PUBLIC]
    assert signature.verify(signed(), BODY, keys)
    assert signature.verify(signed(key=OTHER), BODY, keys)
    assert not signature.verify(signed(key=OTHER), BODY, [PUBLIC])


def test_each_flipped_byte_of_the_body_is_noticed():
    headers = signed()
    for position in range(len(BODY)):
        forged = bytearray(BODY)
        forged[position] ^= 1
        assert not signature.verify(headers, bytes(forged), [PUBLIC])


def test_each_flipped_byte_of_the_signature_is_noticed():
    der = base64.b64decode(signed()[signature.SIGNATURE_HEADER])
    for position in range(len(der)):
        forged = bytearray(der)
        forged[position] ^= 1
        headers = signed() | {signature.SIGNATURE_HEADER: base64.b64encode(forged).decode()}
        assert not signature.verify(headers, BODY, [PUBLIC])


def test_each_changed_digit_of_the_timestamp_is_noticed():
    for position, digit in enumerate(TIMESTAMP):
        forged = TIMESTAMP[:position] + str(9 - int(digit)) + TIMESTAMP[position + 1 :]
        assert not signature.verify(signed() | {signature.TIMESTAMP_HEADER: forged}, BODY, [PUBLIC])


@pytest.mark.parametrize("name", list(signed()))
def test_a_missing_or_empty_header_is_a_forgery(name):
    headers = signed()
    assert not signature.verify(headers | {name: ""}, BODY, [PUBLIC])
    del headers[name]
    assert not signature.verify(headers, BODY, [PUBLIC])


@pytest.mark.parametrize("forged", ["x", "not base64!", "ä", "====", "MEUCIQ==", "\ud83d"])
def test_a_signature_that_is_none_is_a_forgery_not_a_failure(forged):
    headers = signed() | {"X-Twilio-Email-Event-Webhook-Signature": forged}
    assert not signature.verify(headers, BODY, [PUBLIC])


def test_bytes_cannot_move_between_timestamp_and_body():
    headers = signed()
    headers["X-Twilio-Email-Event-Webhook-Timestamp"] += BODY[:2].decode()
    assert not signature.verify(headers, BODY[2:], [PUBLIC])


def test_a_body_that_is_no_text_is_a_forgery():
    assert not signature.verify(signed(b"\xff"), b"\xff", [PUBLIC])


@given(headers=st.dictionaries(st.sampled_from(list(signed())), st.text(max_size=90)), body=st.binary(max_size=50))
def test_no_input_makes_it_fail(headers, body):
    assert not signature.verify(headers, body, [PUBLIC])


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [""],
        ["not a key"],
        [PUBLIC, "AAAA"],
        [public_text(ec.generate_private_key(ec.SECP384R1()))],
        [public_text(ed25519.Ed25519PrivateKey.generate())],
        [public_text(rsa.generate_private_key(65537, 2048))],
    ],
)
def test_without_a_usable_key_nothing_is_checked_but_what_was_kept_is_read(keys):
    with pytest.raises(SendGridNotConfigured, match="OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS"):
        signature.verify(signed(), BODY, keys)
    reader = SendGridEvents(keys)
    with pytest.raises(SendGridNotConfigured, match="OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS"):
        reader.verify(signed(), BODY)
    assert [type(event) for event in reader.parse(BODY)] == [DeliveryEvent]


def test_a_key_may_be_pasted_with_line_breaks():
    assert signature.verify(signed(), BODY, [f"{PUBLIC[:64]}\n{PUBLIC[64:]}\n"])


def test_the_reader_verifies_and_parses():
    reader = SendGridEvents([PUBLIC])
    assert reader.verify(signed(), BODY)
    assert not reader.verify(signed(key=OTHER), BODY)
    assert [type(event) for event in reader.parse(BODY)] == [DeliveryEvent]


class TestTheVendorsOwnExample:
    """What SendGrid publishes with its libraries (eventwebhook tests of sendgrid-python, -nodejs, -go, -csharp)."""

    KEY = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
        "Ec6wEA3F+g=="
    )
    SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
    TIMESTAMP = "1600112502"
    BODY = (
        b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
        b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
        b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
        b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
    )

    def signed(self, body: bytes = BODY, given: str = SIGNATURE, timestamp: str = TIMESTAMP) -> bool:
        headers = {signature.SIGNATURE_HEADER: given, signature.TIMESTAMP_HEADER: timestamp}
        return signature.verify(headers, body, [self.KEY])

    def test_it_is_authentic(self):
        assert self.signed()
        (event,) = SendGridEvents([self.KEY]).parse(self.BODY)
        assert isinstance(event, DeliveryEvent)
        assert event.provider_message_id == "LRzXl_NHStOGhQ4kofSm_A"

    def test_it_is_not_without_its_line_break(self):
        assert not self.signed(self.BODY[:-2])

    def test_every_change_of_one_byte_is_noticed(self):
        """Also of the base64 text, whose last letter has bits that say nothing."""
        for place in range(len(self.BODY)):
            for other in (0x01, 0x20, 0x80, 0xFF):
                body = bytearray(self.BODY)
                body[place] ^= other
                assert not self.signed(bytes(body))
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=- \n"
        for place, letter in enumerate(self.SIGNATURE):
            for other_letter in set(letters) - {letter}:
                assert not self.signed(given=self.SIGNATURE[:place] + other_letter + self.SIGNATURE[place + 1 :])
        for place, digit in enumerate(self.TIMESTAMP):
            for other_letter in set("0123456789 x") - {digit}:
                assert not self.signed(timestamp=self.TIMESTAMP[:place] + other_letter + self.TIMESTAMP[place + 1 :])
