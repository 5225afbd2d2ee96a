"""Names of our mails: read back from whatever relays make of them, and never made by anybody else."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from domain import message_ids, tokens
from domain.message_ids import Named

KEY = "test-link-key-test-link-key-test-link"
ATTEMPT = "0b9f6c1e-1111-4222-8333-444455556666"
LINK = "unsubscribe"


def read(*texts: str, key: str = KEY) -> Named | None:
    return message_ids.named_in(texts, keys={"1": key}, link_purpose=LINK)


def mail_id(message_id: str = "rabc2345.17") -> str:
    return message_ids.mail_id(message_id, ATTEMPT, domain="shop.example.com", key=KEY)


def path(message_id: str = "rabc2345.17") -> str:
    return message_ids.return_path(message_id, mailbox="returns@bounce.shop.example.com", key=KEY)


@pytest.mark.parametrize("change", [str, str.upper, "References: <x@y> {} <z>".format, "\tfor <{}>;".format])
def test_a_name_is_read_from_any_text_in_any_case(change) -> None:
    assert read(change(mail_id())) == Named("rabc2345.17", ATTEMPT)
    assert read(change(path())) == Named("rabc2345.17")


def test_a_return_path_fits_into_a_local_part() -> None:
    longest = path("r" + "a" * 12 + ".999999999")
    assert len(longest.rpartition("@")[0]) <= 64
    assert message_ids.mailbox_of(longest) == "returns@bounce.shop.example.com"


def test_a_neighbour_s_name_cannot_be_made_from_one_s_own() -> None:
    assert read(mail_id().replace(".17.", ".18.")) is None
    assert read(path().replace(".17.", ".18.")) is None
    assert read(mail_id(), key="another key") is None
    tag = path().partition("@")[0].rpartition(".")[2]
    assert read(f"rabc2345.17.{ATTEMPT}.1.{tag}") is None, "a tag of the one name does not fit the other"


def test_a_link_counts_where_nothing_better_stands() -> None:
    link = "https://shop.example.com/unsubscribe/" + tokens.sign("rabc2345.17", purpose=LINK, key=KEY)
    assert read(link) == Named("rabc2345.17", by_link=True)
    assert read(link, "and", mail_id("rabc2345.3")) == Named("rabc2345.3", ATTEMPT)
    assert read(link.lower()) is None or link == link.lower()


@given(st.text(max_size=300))
def test_no_text_names_a_message_by_chance(text: str) -> None:
    assert read(text, f"rabc2345.17.1.{text[:20]}") is None
