"""What a run's values, placeholders and times become at Mailchimp."""

import html
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.campaign_host import HostRefuses
from domain.templates import plain_tag
from providers.mailchimp import content, fields
from providers.mailchimp.campaign import quarter
from tests.providers.mailchimp.hosting import campaign


@given(st.text(), st.text(), st.text())
def test_a_tag_is_one_of_mailchimps_and_of_its_run(key, other, variable):
    tag = fields.tag(key, variable)
    assert len(tag) == 10
    assert set(tag) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    name = fields.name(key, variable)
    assert len(name) <= 50
    assert fields.is_of(key, tag=tag, name=name)
    assert fields.is_of(other, tag=tag, name=name) == (key == other)


@given(st.text())
def test_a_value_reads_the_same_escaped_or_not(value):
    written = fields.written(value)
    assert html.unescape(written) == written, "no entity begins in it"
    assert not set(written) & set("<>\"'\r\n\0")
    assert "*|" not in written
    assert "|*" not in written
    assert fields.written(written) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("O'Brien & Sons", "O\u2019Brien & Sons"),
        ("H&M", "H\uff06M"),
        ("<b>Zoë</b>", "\u2039b\u203aZoë\u2039/b\u203a"),
        ("two\nlines", "two lines"),
        ("*|EMAIL|*", "* |EMAIL| *"),
        ("https://shop.example.com/o?id=1&lang=de", "https://shop.example.com/o?id=1&lang=de"),
        ('https://shop.example.com/"><script>', "https://shop.example.com/%22%3E%3Cscript%3E"),
    ],
)
def test_how_values_are_written(value, written):
    assert fields.written(value) == written


def test_links_to_leave_and_to_choose_are_mailchimps_own():
    body = content.body(campaign())
    assert body["html"].count("*|UNSUB|*") == 1
    assert '<a href="*|UPDATE_PROFILE|*">choose</a>' in body["html"]
    assert "*|LIST:ADDRESSLINE|*" in body["html"]
    assert "*|LIST:ADDRESSLINE|*" in body["plain_text"]
    assert content.settings(campaign())["subject_line"] == f"News for *|{fields.tag('run-1', 'first_name')}|*"


def test_a_content_that_forgot_them_gets_them():
    body = content.body(campaign(html="<html><body><p>Hi</p></body></html>", text="Hi"))
    assert body["html"].endswith("</body></html>")
    assert "*|UNSUB|*" in body["html"]
    assert "*|UNSUB|*" in body["plain_text"]
    own = campaign(html="<p>*|UNSUB|* *|HTML:LIST_ADDRESS_HTML|*</p>")
    assert content.body(own)["html"] == "<p>*|UNSUB|* *|HTML:LIST_ADDRESS_HTML|*</p>"


def test_a_placeholder_that_nobody_fills_is_refused():
    with pytest.raises(HostRefuses, match="nickname"):
        content.body(campaign(text=plain_tag("nickname")))


@given(st.integers(0, 2**31 * 10**6))
def test_the_next_quarter_of_an_hour(microseconds):
    at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    found = quarter(at)
    assert timedelta(0) <= found - at < timedelta(minutes=15)
    assert (found.minute % 15, found.second, found.microsecond) == (0, 0, 0)
    assert quarter(found) == found
