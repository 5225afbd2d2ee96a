"""Fields of events: what makes an element unreadable, and what a database can keep."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.event_fields import Unreadable, identity, instant, prose, valid_unicode


@pytest.mark.parametrize(("value", "kept"), [(None, None), ("", None), ("\0", None), ("a\0b", "ab")])
def test_an_identity_is_a_text_without_nul(value: Any, kept: str | None) -> None:
    assert identity({"id": value}, "id") == kept
    assert identity({}, "id") is None


@pytest.mark.parametrize("value", [0, 7, True, [], {}, 1.5])
def test_what_is_no_text_is_no_identity_and_informs_of_nothing(value: Any) -> None:
    with pytest.raises(Unreadable, match="id is not a string"):
        identity({"id": value}, "id")
    assert prose({"id": value}, "id") == ""


@pytest.mark.parametrize("value", [None, True, "1795338000", 1.5, 1795338000000, -1, 10**30])
def test_what_is_no_time_of_this_century(value: Any) -> None:
    with pytest.raises(Unreadable, match="ts is"):
        instant({"ts": value}, "ts")


def test_a_time_is_in_seconds() -> None:
    assert instant({"ts": 1795338000}, "ts") == datetime(2026, 11, 22, 9, tzinfo=UTC)


@given(st.text(st.characters(), max_size=20))
def test_half_a_character_can_be_kept(text: str) -> None:
    found = json.loads(json.dumps([{"a": text}]), object_hook=valid_unicode)
    assert "\0" not in prose(found[0], "a").encode().decode()
