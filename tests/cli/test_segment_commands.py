"""Segments as the command shows them; no store is needed for that."""

from pathlib import Path

import pytest

import segments
from segments import registry
from tests.cli.conftest import Campaigns
from tests.segments.given import room


def test_all_segments_are_listed(campaigns: Campaigns) -> None:
    head, *lines = campaigns("segments", "list").lines
    assert head.split("  ")[0] == "NAME"
    assert [line.split()[0] for line in lines] == list(registry.load())
    found = campaigns("segments", "list", "--json").json
    assert [one["name"] for one in found] == list(registry.load())
    assert found[0].keys() == {"name", "owner", "kind", "parameters", "needs", "description"}


def test_one_segment_is_explained(campaigns: Campaigns) -> None:
    told = campaigns("segments", "show", "lapsed-vip")
    assert told.lines[0] == "lapsed-vip: Spent over 500 in their life and ordered nothing for 90 days."
    assert "Owner: data-team. Defined in segments/" in told.lines[1]
    assert "net_revenue            account currency  totals of counted orders less refunds and credits" in told.lines
    assert any(line.split() == ["in", "500.01", "91", "–"] for line in told.lines)
    found = campaigns("segments", "show", "lapsed-vip", "--json").json
    names = {"name", "owner", "kind", "parameters", "description", "details", "rule", "needs", "inside", "outside"}
    assert found.keys() == names | {"definition_hash", "defined_in"}
    assert found["inside"][0] == {"net_revenue": 500.01, "days_since_last_order": 91}


def test_every_segment_can_be_shown(campaigns: Campaigns) -> None:
    for name in registry.load():
        assert campaigns("segments", "show", name).status == 0
        assert campaigns("segments", "show", name, "--json").json["name"] == name


def test_a_misspelt_segment_gets_a_hint(campaigns: Campaigns) -> None:
    for command in ("show", "check"):
        assert "did you mean lapsed" in campaigns("segments", command, "lapst").mistake


def test_an_expression_is_shown_too(campaigns: Campaigns) -> None:
    told = campaigns("segments", "show", "vip and not lapsed-vip")
    assert told.status == 0
    assert "Made of: vip and not lapsed-vip" in told.lines
    assert "lacks the name of a segment" in campaigns("segments", "show", "vip and").mistake
    assert "must be a whole number" in campaigns("segments", "show", "lapsed-vip(days='x')").mistake


def test_one_segment_is_checked_in_words(campaigns: Campaigns) -> None:
    told = campaigns("segments", "check", "one-time-buyers")
    assert told.status == 0
    assert told.lines[0].startswith("example 1 of inside is in: orders 1")
    assert told.lines[-1].endswith("examples are right")


BROKEN = """
from segments.registry import segment

@segment("broken", owner="x", needs=("oders",), inside=[{"oders": 2}], outside=[{"oders": 1}])
def broken(customers, as_of):
    '''Ordered more than once.'''
    return customers.oders > 1
"""
SOUND = BROKEN.replace("oders", "orders").replace('"broken"', '"sound"')


def test_a_broken_file_takes_no_other_with_it(
    campaigns: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room(tmp_path, monkeypatch, broken=BROKEN, sound=SOUND, unreadable="def f(:"):
        for command in ("list", "check"):
            told = campaigns("segments", command)
            assert told.status == 1
            assert "sound" in told.out
            assert "broken.py:4: segment 'broken' needs column 'oders', which is no feature: did you mean" in told.err
            assert "unreadable.py:1: SyntaxError: invalid syntax" in told.err
        found = campaigns("segments", "list", "--json").json
        assert [one["name"] for one in found] == ["sound", "broken", None]
        assert "did you mean 'orders'" in campaigns("segments", "show", "broken").mistake
        assert campaigns("segments", "show", "sound").status == 0
        assert campaigns("segments", "check", "sound").status == 0


@pytest.mark.parametrize("kind", [(), ("--select",)])
def test_a_new_segment_fails_until_it_is_filled_in(
    kind: tuple[str, ...], campaigns: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room(tmp_path, monkeypatch):
        told = campaigns("segments", "new", "happy-regulars", *kind)
        path = tmp_path / "happy_regulars.py"
        assert (told.status, told.lines[0]) == (0, f"Written: {path}")
        told = campaigns("segments", "list")
        assert told.status == 1
        assert f"cannot be used: {path}:" in told.err
        told = campaigns("segments", "check", "happy-regulars")
        assert (told.status, told.err) == (1, "")
        assert told.out.count("example 1 of inside") == 1
        assert "example 1 of inside should be in, but is out" in told.out
        assert "the first line of its docstring is still to be filled in" in told.out
        assert f"{path}:" in told.out
        assert "there is a segment 'happy-regulars' already" in campaigns("segments", "new", "happy-regulars").mistake
        filled = path.read_text().replace("FILL IN: ", "").replace("line.quantity < 0", "line.category == category")
        filled = filled.replace("orders < 0", "orders >= least")
    with room(tmp_path, monkeypatch, happy_regulars=filled):
        assert campaigns("segments", "check").status == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Two Words", "lower-case words joined by dashes"),
        ("../escape", "lower-case words joined by dashes"),
        ("not", "lower-case words joined by dashes"),
        ("vip", "there is a segment 'vip' already"),
        ("orders", "there is a feature 'orders' already"),
        ("registry", "there is a file"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, words: str, campaigns: Campaigns) -> None:
    assert words in campaigns("segments", "new", name).mistake


def test_a_room_that_cannot_be_written_says_so(
    campaigns: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room(tmp_path, monkeypatch):
        monkeypatch.setattr(segments, "__path__", [str(tmp_path / "gone")])
        assert "cannot be written" in campaigns("segments", "new", "happy-regulars").mistake
