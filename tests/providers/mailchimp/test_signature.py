"""Only what Mailchimp signed is Mailchimp's. The signatures are made here by hand, as the vendor's documents say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.mailchimp import signature
from tests.providers.mailchimp import payloads
from tests.providers.mailchimp.payloads import KEY, SECRET, URL


def flipped(text: str) -> list[str]:
    return [text[:place] + chr(ord(one) ^ 1) + text[place + 1 :] for place, one in enumerate(text)]


class TestMarketing:
    BODY = payloads.unsubscribed()
    HEADERS = payloads.marketing_headers(BODY, SECRET)
    NAME = "X-Mailchimp-Signature"

    def signed(self, headers=None, body=None, secrets=(SECRET,)) -> bool:
        return signature.marketing(headers or self.HEADERS, self.BODY if body is None else body, secrets)

    def test_what_mailchimp_signed_is_authentic(self):
        assert self.signed()
        assert self.signed({self.NAME.lower(): self.HEADERS[self.NAME]})

    def test_while_a_secret_is_rotated_either_is_good_on_either_side(self):
        assert self.signed(secrets=("new", SECRET))
        assert self.signed(payloads.marketing_headers(self.BODY, "gone", SECRET))
        assert not self.signed(secrets=("new",))
        assert not self.signed(secrets=())

    def test_a_repetition_after_75_minutes_is_still_authentic(self):
        assert self.signed(payloads.marketing_headers(self.BODY, SECRET, at=1))

    def test_each_changed_byte_is_noticed(self):
        whole = self.HEADERS[self.NAME]
        assert not any(self.signed({self.NAME: wrong}) for wrong in flipped(whole))
        for place in range(len(self.BODY)):
            wrong = bytearray(self.BODY)
            wrong[place] ^= 1
            assert not self.signed(body=bytes(wrong))

    @pytest.mark.parametrize("header", ["", "t=1", "v1=" + "0" * 64, "t=1,v1=", "t=\u0661,v1=" + "0" * 64, "t=1, v1=x"])
    def test_what_is_no_signature_is_a_forgery(self, header):
        assert not self.signed({self.NAME: header})
        assert not signature.marketing({}, self.BODY, [SECRET])

    def test_time_and_body_cannot_be_shifted_into_each_other(self):
        at, _, given_ = self.HEADERS[self.NAME].partition(",")
        assert not self.signed({self.NAME: f"{at[:-1]},{given_}"}, body=at[-1:].encode() + b"." + self.BODY)


class TestTransactional:
    BODY = payloads.transactional(payloads.bounced())
    HEADERS = payloads.transactional_headers(BODY)
    NAME = "X-Mandrill-Signature"

    def signed(self, headers=None, body=None, keys=(KEY,), urls=(URL,)) -> bool:
        return signature.transactional(headers or self.HEADERS, self.BODY if body is None else body, keys, urls)

    def test_an_example_reckoned_by_hand(self):
        """openssl: printf 'https://x.example/mandrill_events[]' | openssl dgst -sha1 -hmac key -binary | base64."""
        headers = {self.NAME: "OgJljbyW5nRW5XQq+Nu6+lHCZhI="}
        assert signature.transactional(headers, b"mandrill_events=%5B%5D", ["key"], ["https://x.example/"])

    def test_what_transactional_signed_is_authentic(self):
        assert self.signed()
        assert self.signed(keys=("new", KEY), urls=("https://other.example", URL))

    def test_another_key_or_url_is_not(self):
        assert not self.signed(keys=("new",))
        assert not self.signed(keys=())
        assert not self.signed(urls=(URL + "/",))

    def test_each_changed_byte_of_the_signature_is_noticed(self):
        assert not any(self.signed({self.NAME: wrong}) for wrong in flipped(self.HEADERS[self.NAME]))

    def test_each_changed_byte_of_the_body_is_noticed(self):
        """Unless it says the same: %5b is %5B, and a form is signed by what it says."""
        for place in range(len(self.BODY)):
            wrong = bytearray(self.BODY)
            wrong[place] ^= 1
            assert not self.signed(body=bytes(wrong)) or signature.form(bytes(wrong)) == signature.form(self.BODY)

    def test_fields_are_sorted_before_they_are_signed(self):
        body = b"b=2&a=1"
        assert self.signed(payloads.transactional_headers(body), body)
        assert self.signed(payloads.transactional_headers(body), b"a=1&b=2")

    @pytest.mark.parametrize("header", ["", "\u00e4", "="])
    def test_what_is_no_signature_is_a_forgery(self, header):
        assert not self.signed({self.NAME: header})


@given(st.binary(max_size=200))
def test_no_body_makes_it_fail(body):
    assert not signature.transactional({"x-mandrill-signature": "x"}, body, [KEY], [URL])
    assert not signature.marketing({"x-mailchimp-signature": "x"}, body, [SECRET])


def test_more_fields_than_anybody_sends_are_no_form():
    assert signature.form(b"&".join(b"a=1" for _ in range(2001))) is None
