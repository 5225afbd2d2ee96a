import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from domain import tokens

KEY = "k" * 32


def _verify(token: str, purpose: str = "unsubscribe") -> str | None:
    return tokens.verify(token, purpose=purpose, keys={"1": KEY})


def test_a_token_comes_back_for_its_purpose_only() -> None:
    token = tokens.sign("rabc.12", purpose="unsubscribe", key=KEY)
    assert _verify(token) == "rabc.12"
    assert _verify(token, "click") is None
    assert tokens.verify(token, purpose="unsubscribe", keys={"1": "x" * 32}) is None
    assert tokens.verify(token, purpose="unsubscribe", keys={"2": KEY}) is None


@given(place=st.integers(0, 60), character=st.characters(codec="ascii"))
def test_a_changed_token_is_refused(place: int, character: str) -> None:
    token = tokens.sign("rabc.12", purpose="unsubscribe", key=KEY)
    changed = token[: place % len(token)] + character + token[place % len(token) + 1 :]
    assert changed == token or _verify(changed) is None


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    assert _verify(text) is None


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=5))
def test_links_in_mails_of_years_ago_are_those_that_are_signed_today(subjects: list[str]) -> None:
    """HMAC-SHA256 as the standard library has it in one call, one subject after the other."""
    digests = [hmac.digest(KEY.encode(), f"unsubscribe\x001\x00{one}".encode(), hashlib.sha256) for one in subjects]
    tags = [base64.urlsafe_b64encode(digest[:15]).decode() for digest in digests]
    signed = tokens.sign_all(subjects, purpose="unsubscribe", key=KEY)
    assert signed == [f"{subject}.1.{tag}" for subject, tag in zip(subjects, tags, strict=True)]
    assert signed == [tokens.sign(one, purpose="unsubscribe", key=KEY) for one in subjects]


def test_a_link_of_the_first_release_is_still_ours() -> None:
    assert _verify("rabc.12.1.HXQKm81LO0U_Vv-iiFQS") == "rabc.12"
