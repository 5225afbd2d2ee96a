"""The shipped templates, as SendGrid treats them."""

from html.parser import HTMLParser

import pytest

from data import content
from domain.template_fields import Purpose

_SHIPPED = content.names(purpose=Purpose.CAMPAIGN)
_CONSTANTS = {"shop_name": "Shop", "postal_address": "1 Street", "sender_name": "Sam"}


class Anchors(HTMLParser):
    """Every link of a page, its attributes in their order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[list[tuple[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(attrs)


def test_there_are_templates():
    assert _SHIPPED


@pytest.mark.parametrize("name", _SHIPPED)
def test_the_way_out_is_not_click_tracked(name):
    # SendGrid would lead it over its own host, which would see the token; and the attribute counts before href only.
    anchors = Anchors(content.render(content.load(name), _CONSTANTS).html).found
    ways_out = [attributes for attributes in anchors if "[%unsubscribe_url|html%]" in (dict(attributes)["href"] or "")]
    assert len(ways_out) == 2  # unsubscribe, preferences
    for attributes in ways_out:
        assert attributes[0] == ("clicktracking", "off")
