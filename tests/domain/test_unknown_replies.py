"""One text is one row, whatever mail it was about; and no address stands in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.unknown_replies import is_unknown, normalised
from tests.conftest import NOW


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (
            "550 5.9.9 Mail from 192.0.2.1 refused by mx1.example.com id a1b2c3d4e5 - gsmtp",
            "550 5.9.9 Mail from <ip> refused by <host> id <id> - gsmtp",
        ),
        (
            "471 call 30 people about joe@example.com, see https://example.com/b?id=2",
            "471 call <n> people about <address>, see <url>",
        ),
        ("no codes, 12 times, from 2001:db8::1:2", "no codes, <n> times, from <ip>"),
    ],
)
def test_what_differs_from_mail_to_mail_is_cut_out(text: str, row: str) -> None:
    assert normalised(text) == row
    assert normalised(row.replace("<n>", "99")) == row


@given(st.from_regex(r"[a-z0-9._+-]{1,20}@[a-z]{1,9}\.example", fullmatch=True), st.integers(0, 10**9))
def test_no_address_and_no_number_is_left(address: str, number: int) -> None:
    assert normalised(f"471 nothing for {address} in queue {number}") == "471 nothing for <address> in queue <n>"


def test_only_refusals_in_unknown_words_are_collected() -> None:
    def told(kind: EventKind, fault: Fault | None, text: str | None) -> bool:
        return is_unknown(DeliveryEvent("esp", kind, NOW, bounce_class=BounceClass.SOFT, fault=fault, detail=text))

    assert told(EventKind.BOUNCED, Fault.UNKNOWN, "471 strange words")
    assert told(EventKind.DEFERRED, None, "471 strange words")
    assert not told(EventKind.DEFERRED, None, "452 4.2.2 over quota")
    assert told(EventKind.BOUNCED, Fault.SENDER, "550 Wobble frobnicated beyond the quux")
    assert told(EventKind.BOUNCED, Fault.RECIPIENT, "550 Wobble frobnicated beyond the quux")
    assert not told(EventKind.BOUNCED, Fault.UNKNOWN, "550 5.1.1 user unknown")
    assert not told(EventKind.BOUNCED, Fault.RECIPIENT, "bad_mailbox")
    assert not told(EventKind.BOUNCED, Fault.UNKNOWN, None)
    assert not told(EventKind.DROPPED, Fault.UNKNOWN, "Invalid SMTPAPI header")
