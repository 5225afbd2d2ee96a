import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import addresses

PEPPER = "p" * 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Example.COM", "anna@example.com"),
        (" anna@example.com ", "anna@example.com"),
        ("ａnna@example.com", "anna@example.com"),  # noqa: RUF001 - a full-width letter
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("STRASSE@example.com", "straße@example.com"),
        ("a.n.n.a+news@googlemail.com", "anna@gmail.com"),
    ],
)
def test_spellings_of_one_mailbox_have_one_hash(one: str, other: str) -> None:
    assert addresses.address_hash(one, PEPPER) == addresses.address_hash(other, PEPPER)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@example.com", "anna@example.org"),
        ("a.nna@example.com", "anna@example.com"),  # dots count elsewhere than at Gmail
        ("anna+x@example.com", "anna@example.com"),
    ],
)
def test_different_mailboxes_have_different_hashes(one: str, other: str) -> None:
    assert addresses.address_hash(one, PEPPER) != addresses.address_hash(other, PEPPER)


def test_the_hash_hangs_on_the_pepper() -> None:
    assert addresses.address_hash("a@example.com", PEPPER) != addresses.address_hash("a@example.com", "q" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "anna@localhost",
        "an na@example.com",
        "a@b@example.com",
        "a\n@example.com",
        "anna@-x.com",
        "anna@x..com",
        "anna@exa_mple.com",
        "x" * 65 + "@example.com",
        "anna@" + "x" * 64 + ".com",
    ],
)
def test_these_are_no_addresses(text: str) -> None:
    assert not addresses.is_valid(text)
    with pytest.raises(addresses.InvalidAddress) as error:
        addresses.canonical(text)
    assert not text.strip() or text not in str(error.value)


@given(st.emails())
def test_canonical_is_idempotent(address: str) -> None:
    if addresses.is_valid(address):
        once = addresses.canonical(address)
        assert addresses.canonical(once) == once


@given(st.text())
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    assert addresses.is_valid(text) in {True, False}


def test_masks_tell_nothing() -> None:
    assert addresses.masked("anna.schmidt@example.com") == "a***@e***.com"
