"""The artifact of a preview: markdown that no name of ours can break, with a plot that travels along."""

import base64
import re
from xml.etree import ElementTree as ET

from domain.previews import Part, Split
from tasks import preview_markdown, preview_plot
from tests.previews import a_preview


def test_the_artifact_says_everything_and_carries_its_plot() -> None:
    text = preview_markdown.markdown(a_preview(), "https://x.example/previews/p1")
    assert "**1,000** of 20,000 customers (5.0 %), -10 since 21 Nov 2026; **760** of them get it." in text
    assert "[The whole preview](https://x.example/previews/p1)" in text
    (plot,) = re.findall(r"!\[[^]]*\]\(data:image/svg\+xml;base64,([^)]+)\)", text)
    assert ET.fromstring(base64.b64decode(plot)).tag.endswith("svg")
    for words in ("never agreed to marketing mail | 150 |", "| black week |", "| repeat-customers | 800 |"):
        assert words in text
    assert "> **No order names category “toyz”: did you mean “toys”?**" in text
    assert "- lapsed: Silent for a while. With days 90, category toys (default)." in text
    assert "700 of them wait in Europe/Berlin until 2026-11-22 11:00 UTC" in text


def test_names_of_others_stay_text() -> None:
    nasty = "a|b <img src=x> [x](javascript:y) `c`"
    found = a_preview(
        earlier=(a_preview().earlier[0].__class__("r1", nasty, a_preview().made_at, 1, 2),),
        splits=(Split("Country", (Part("<script>&", 1, 2),)),),
    )
    text = preview_markdown.markdown(found, "")
    assert "<img" not in text.replace("\\<img", "")
    assert "](javascript" not in text.replace("\\](javascript", "")
    drawn = preview_plot.svg(found)
    assert "<script>" not in drawn
    ET.fromstring(drawn)


def test_nobody_at_all_can_be_drawn() -> None:
    found = a_preview(members=0, customers=0, trend=a_preview().trend[-1:], overlaps=(), splits=(Split("Country", ()),))
    ET.fromstring(preview_plot.svg(found))
    assert "0" in preview_markdown.markdown(found, "")
