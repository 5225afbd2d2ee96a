"""Tables for people, JSON for programs."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cli import output

AT = datetime(2026, 5, 3, 7, 9, 30, tzinfo=UTC)


def test_columns_stand_below_each_other_and_numbers_to_the_right() -> None:
    rows = [("a", 1, None, "short"), ("bcd", 12_345, 2, "long words")]
    assert output.table("Title", ["name", "people", "more", "what"], rows).splitlines() == [
        "Title",
        "NAME  PEOPLE  MORE  WHAT",
        "a          1     –  short",
        "bcd   12,345     2  long words",
    ]


def test_every_kind_of_cell_is_for_people() -> None:
    (_, line) = output.table("", ["a", "b", "c", "d"], [(True, AT, None, "x\x1b[31m\ny")]).splitlines()
    assert line == "yes  2026-05-03 07:09  –  x [31m y"


def test_wide_characters_take_their_width() -> None:
    lines = output.table("", ["a", "b"], [("茶", "x"), ("tea", "y")]).splitlines()
    assert lines == ["A    B", "茶   x", "tea  y"]


def test_on_a_terminal_the_last_column_is_folded_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "console", output.Console(width=60, force_terminal=True))
    lines = output.table("", ["id", "what"], [("r" * 20, "word " * 12)]).splitlines()
    assert lines[1] == f"{'r' * 20}  {'word ' * 7}".rstrip()
    assert lines[2] == f"{' ' * 22}{'word ' * 5}".rstrip()


def test_json_holds_what_our_answers_hold() -> None:
    text = output.json_text({"at": AT, "money": Decimal("1.50"), "file": Path("x"), "none": None})
    assert json.loads(text) == {"at": "2026-05-03T07:09:30+00:00", "money": "1.50", "file": "x", "none": None}
    with pytest.raises(TypeError):
        output.json_text({1, 2})
