"""`campaigns segments preview`, over a real shop."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from cli import preview_commands
from data import database, tables
from domain.previews import Preview
from tests.cli.conftest import Campaigns
from tests.previews import a_preview
from tests.segments import shop_rows


@pytest.fixture
def filled(shop: sa.Engine) -> sa.Engine:
    shop_rows.fill(shop, "shop")
    return shop


def test_it_tells_everything_in_tables(campaigns: Campaigns, filled: sa.Engine) -> None:
    told = campaigns("segments", "preview", "repeat-customers")
    assert told.status == 0, told.err
    for words in ("Money in it", "Who would get it", "Country", "Mailbox provider", "RFM cell", "Where else they are"):
        assert words in told.out
    assert "no live campaign" in told.out.lower()
    assert "@" not in told.out


def test_the_answer_as_json_is_the_preview_that_was_kept(campaigns: Campaigns, filled: sa.Engine) -> None:
    asked = (
        "segments",
        "preview",
        "repeat-customers and not vip",
        "--only",
        "orders at least 3",
        "--without",
        "lapsed",
    )
    found = campaigns(*asked, "--json").json
    assert found["question"]["without"] == ["lapsed"]
    assert found["members"] == found["verdict"]["planned"] + sum(found["verdict"]["skipped"].values())
    assert found["page"].endswith(f"/previews/{found['id']}")
    with database.read(filled) as connection:
        kept = connection.execute(sa.select(tables.previews.c.id, tables.previews.c.segment)).all()
    assert kept == [(found["id"], "repeat-customers and not vip")]


def test_the_page_can_be_written_into_a_file(campaigns: Campaigns, filled: sa.Engine, tmp_path: Path) -> None:
    assert campaigns("segments", "preview", "vip", "--html", tmp_path / "vip.html").status == 0
    assert (tmp_path / "vip.html").read_text("utf-8").startswith("<!doctype html>")
    assert (
        "cannot be written" in campaigns("segments", "preview", "vip", "--html", tmp_path / "no" / "vip.html").mistake
    )


def test_a_parameter_changes_who_is_in(campaigns: Campaigns, filled: sa.Engine) -> None:
    sizes = [
        campaigns("segments", "preview", "category-fans", "--with", f"category={one}", "--json").json["members"]
        for one in ("toys", "nothing of the kind")
    ]
    assert sizes[1] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lapst"], "did you mean"),
        (["vip and"], "lacks the name of a segment"),
        (["vip", "--with", "category"], "--with: write NAME=VALUE"),
        (["vip", "--with", "colour=red"], "colour"),
        (["vip", "--only", "shoe size is 42"], "shoe size"),
        (["vip", "--without", "vipp"], "vipp"),
        (["vip", "--account", "nobody"], "nobody"),
    ],
)
def test_a_mistake_is_one_line(campaigns: Campaigns, filled: sa.Engine, arguments: list[str], told: str) -> None:
    assert told in campaigns("segments", "preview", *arguments).mistake


def test_without_features_it_says_what_to_do(campaigns: Campaigns, shop: sa.Engine) -> None:
    assert "`campaigns features refresh`" in campaigns("segments", "preview", "vip").mistake


def test_numbers_stand_below_each_other() -> None:
    lines = preview_commands.text(a_preview()).splitlines()
    start = lines.index("Money in it, EUR")
    assert len({line.rindex(".") for line in lines[start + 2 : start + 4]}) == 1
    start = lines.index("Who would get it")
    steps = lines[start + 2 : start + 7]
    assert len({line.index("%") for line in steps}) == 1
    assert "  700 of them wait in Europe/Berlin until 2026-11-22 11:00: quiet hours" in lines


def test_it_begins_with_what_each_segment_is_and_what_was_hardly_meant() -> None:
    told = preview_commands.text(a_preview())
    assert "\nMind: No order names category “toyz”: did you mean “toys”?\n" in told
    assert "\nWhoever is in (lapsed and not high-refunders) and country is DE, left out: vip.\n" in told
    assert "  lapsed: Silent for a while.\n    with days 90, category toys (default)\n  vip: The top tenth.\n" in told
    assert "Mind:" not in preview_commands.text(a_preview(warnings=()))


@pytest.mark.parametrize(("numbers", "drawn"), [([1, 2, 3], "▁▅█"), ([5, 5], "▄▄"), ([0, 7], "▁█"), ([7], "▄")])
def test_a_sparkline_goes_from_the_smallest_to_the_largest(numbers: list[int], drawn: str) -> None:
    assert preview_commands.sparkline(numbers) == drawn


def test_a_bar_is_never_empty_for_somebody() -> None:
    assert [preview_commands.bar(part, 1000) for part in (0, 1, 500, 1000)] == ["", "▏", "█" * 8, "█" * 16]


def test_empty_parts_are_left_out() -> None:
    empty: Preview = a_preview(members=0, splits=(), overlaps=(), sample=(), unknown=())
    told = preview_commands.text(empty)
    assert "Country" not in told
    assert "Not known" not in told
