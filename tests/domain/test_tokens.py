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
