"""Nothing gets out of a template, and none keeps the engine busy: what it writes is bounded by its fuel."""

import os
from dataclasses import dataclass
from pathlib import Path

import minijinja
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import template_engine, template_language
from data.template_engine import Engine, TemplateError, plain
from tests.data.template_attacks import ESCAPES, LOADS

SECRET = "the-secret-of-another-recipient"
VALUES = {
    "first_name": "<Ann>",
    "item": {"name": "Mug", "note": ""},
    "items": [{"name": f"Mug {number}"} for number in range(200)],
}


def render(source: str) -> str:
    return Engine("mine", {"mine.html": source}, {"shop_name": "S & P"}).render("mine.html", VALUES)


def test_there_are_enough_attacks() -> None:
    assert len(ESCAPES) + len(LOADS) >= 90


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_gets_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OMS_PRIVACY_PEPPER", SECRET)
    with pytest.raises(TemplateError) as refused:
        render(ESCAPES[name])
    assert SECRET not in str(refused.value)
    assert "Ann" not in str(refused.value)
    assert VALUES["item"] == {"name": "Mug", "note": ""}
    assert len(VALUES["items"]) == 200


@pytest.mark.parametrize("name", LOADS)
def test_nothing_keeps_it_busy(name: str) -> None:
    # Each of them ends by a rule of the language or by fuel, never by time: the bound is one of instructions.
    with pytest.raises(TemplateError):
        render(LOADS[name])


def test_fuel_bounds_what_is_written() -> None:
    """The longest text that a loop can repeat, until the fuel is out: MOST_TEXT for each unit at the very most."""
    source = template_language.split("y" * 100_000)
    longest = max(map(len, source.split("{{''}}")))
    assert longest == template_language.MOST_TEXT
    assert longest * template_engine.FUEL <= 20_000_000


def test_what_is_cut_reads_as_before() -> None:
    for text in ("{ " * 2_000, "}" * 2_000, "x\n" * 2_000, "{" * 3_000 + " x", "%} " * 900, "ä" * 3_000):
        assert render(text.replace("{%", "").replace("{{", "{ ")) == text.replace("{{", "{ ").removesuffix("\n")


@given(st.text("{}x#% \n'\"", min_size=600, max_size=1_500))
def test_cutting_changes_no_text(text: str) -> None:
    text = text.replace("{{", "").replace("{%", "").replace("{#", "").strip()
    try:
        template_language.check(text, frozenset())
        whole = minijinja.Environment().render_str(text)
    except (template_language.Refused, minijinja.TemplateError):
        return
    assert minijinja.Environment().render_str(template_language.split(text)) == whole


def test_output_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_engine, "MOST_OUTPUT", 1_000)
    with pytest.raises(TemplateError, match="1,000 are the most"):
        render("{% for one in items %}{{ one.name }}{% endfor %}")


def test_what_a_mail_needs_is_there() -> None:
    source = (
        "{% macro row(one) %}{{ one.name|upper }}{% endmacro %}"
        "{% for one in items %}{% if loop.index <= 2 and not item.note %}{{ row(one) }}{% if not loop.last %}, {% endif %}"
        '{% elif loop.index in [4, 5] %}{{ one.note|default("-") }}{% endif %}{% endfor %}{{ first_name }}{{ shop_name }}'
    )
    assert render(source) == "MUG 0, MUG 1, --&lt;Ann&gt;S &amp; P"


@dataclass
class Row:
    email: str = SECRET


class Text(str):  # noqa: SLOT000 - as an author of code would write it
    email = SECRET


@pytest.mark.parametrize(
    "value",
    [
        Row(),
        Text("x"),
        [Row()],
        {"one": {"two": Row()}},
        {1: "x"},
        {Text("x"): 1},
        object,
        print,
        Path(),
        b"x",
        {"x"},
        None,
    ],
)
def test_objects_are_refused_by_type(value: object) -> None:
    with pytest.raises(TypeError, match=r"^person"):
        plain(value, "person")
    with pytest.raises(TypeError):
        Engine("mine", {"mine.html": "{{ person.email }}"}, {}).render("mine.html", {"person": value})


def test_values_are_copied_and_bounded() -> None:
    given_list = [{"a": 1}]
    copy = plain(given_list, "x")
    assert copy == given_list
    assert copy[0] is not given_list[0]
    with pytest.raises(TypeError, match="too long"):
        plain("x" * 100_001, "x")
    nested: list[object] = []
    for _ in range(9):
        nested = [nested]
    with pytest.raises(TypeError, match="nested too deeply"):
        plain(nested, "x")


def test_errors_name_file_and_cause_and_no_value() -> None:
    with pytest.raises(
        TemplateError, match=r"^mine/mine\.html: there is no filter 'safe' in templates; there are: cap"
    ):
        render("{{ first_name|safe }}")
    with pytest.raises(TemplateError, match=r"^mine/mine\.html cannot be rendered: .*undefined") as refused:
        render("{{ first_name }}{{ item.nobody }}")
    assert "Ann" not in str(refused.value)
