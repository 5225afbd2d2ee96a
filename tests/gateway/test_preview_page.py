"""The page of a preview: what it says, that it stands alone, and that it is found by its id only."""

import html
import re
from xml.etree import ElementTree as ET

import pytest

from data import database, kept_previews
from domain.previews import Part, Split
from gateway import preview_plots, preview_views, rendering
from tests.previews import a_preview


def test_a_file_of_its_own_refers_to_nothing_outside() -> None:
    page = rendering.render_preview(a_preview(), standalone=True)
    assert 'href="/' not in page
    outside = set(re.findall(r"""(?:src|href)=["']([^"'#]+)""", page)) | set(re.findall(r"url\(([^)#]+)", page))
    assert outside <= {"data:,"}


def test_the_page_says_everything() -> None:
    page = html.unescape(rendering.render_preview(a_preview(), standalone=False))
    for words in (
        "1,000 of 20,000 customers are meant, and 760 of them would get a mail that is sent now.",
        "country is DE",
        "whoever is in vip",
        "At most 9,000 people get it.",
        "700 people in Europe/Berlin until 22 Nov 2026, 11:00 UTC",
        "never agreed to marketing mail",
        "repeat-customers",
        'href="/campaigns/rabcdefghjkmn">black week',
        "A*** B***",
        "Gmail",
        "−10 since 21 Nov",  # noqa: RUF001 - a minus sign
        "The overlap with broken is not known",
        'lapsed:</span> Silent for a while. <span class="soft">With days 90, category toys (default).',
        "vip:</span> The top tenth.",
        "Was this meant so?",
        "No order names category “toyz”: did you mean “toys”?",
    ):
        assert words in page, words
    assert "Was this meant so?" not in rendering.render_preview(a_preview(warnings=()), standalone=False)


def test_names_of_others_are_escaped() -> None:
    nasty = Split("<b>Split</b>", (Part("<script>alert(1)</script>", 1000, 2000),))
    page = rendering.render_preview(a_preview(splits=(nasty,)), standalone=True)
    assert "<script>" not in page
    assert "<b>Split" not in page


def test_an_empty_selection_has_a_page() -> None:
    empty = a_preview(
        members=0,
        trend=a_preview().trend[:1],
        splits=tuple(Split(one.name, ()) for one in a_preview().splits),
        sample=(),
        overlaps=(),
        earlier=(),
        unknown=(),
    )
    page = rendering.render_preview(empty, standalone=True)
    assert "Nobody is in this selection." in page
    assert "This is the first time that it is looked at." in page


def test_what_stands_out_is_said_in_words() -> None:
    found = a_preview()
    assert preview_views.split(found.splits[0], found)["word"] == "“DE” is 1.7 times as common as among all customers."
    alike = Split("Country", (Part("DE", 600, 12_000), Part("AT", 400, 8000)))
    assert not preview_views.split(alike, found)["word"]


@pytest.mark.parametrize("wide", [False, True])
def test_plots_are_whole_drawings_with_their_labels(*, wide: bool) -> None:
    found = a_preview()
    drawn = preview_plots.split(found.splits[1], found.members, found.customers, wide=wide)
    ET.fromstring(drawn)
    assert {"amazon", "90.0 %", "of all customers"} <= set(re.findall(r">([^<>]+)</text>", drawn))
    assert "1,000" in preview_plots.trend(found.trend)


def test_it_is_found_by_its_id_only(gateway, engine, account_id) -> None:
    with database.write(engine) as connection:
        kept_previews.store(connection, a_preview(account_id=account_id))
    found = gateway.get(f"/previews/{a_preview().id}")
    assert found.status_code == 200
    assert "1,000 of 20,000 customers" in found.text
    for wrong in ("p0", "a%00b", "x" * 65):
        assert gateway.get(f"/previews/{wrong}").status_code == 404
