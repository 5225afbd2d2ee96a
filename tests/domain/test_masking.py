"""No address in what we keep of foreign texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.masking import masked


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("550 5.1.1 <ann@example.com>: unknown", "550 5.1.1 <[address]>: unknown"),
        ("ann@example.com", "[address]"),
        ("to=Ann.Smith+x@example.com, full", "[address], full"),
        ('"ann smith"@example.com is full', "[address] is full"),
        ("see https://x.example.com/?p=ann%40example.com now", "see https:[address] now"),
        ("ann\uff20example.com", "[address]"),
        ("zoë@bücher.example", "[address]"),
        ("no address\r\nat all\0", "no address at all"),
        ("", ""),
    ],
)
def test_whatever_looks_like_an_address_is_cut_out(text, kept):
    assert masked(text) == kept


def test_a_known_address_is_cut_out_whatever_it_looks_like():
    assert masked("about odd name here", ["odd name", ""]) == "about [address] here"


@given(st.text(max_size=3000))
def test_the_result_is_one_short_line_without_an_at(text):
    result = masked(text)
    assert "@" not in result
    assert len(result) <= 500
    assert len(result.splitlines()) <= 1
