"""Each rule of the language by its own word: MiniJinja refuses some of it too, but not surely before the stack ends."""

import re

import pytest

from data import template_language
from data.template_language import Refused, check, check_files, split

KNOWN = frozenset({"mine.html", "parts.html"})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ a ~ b }}", "no arithmetic"),
        ("{{ a + b }}", "no arithmetic"),
        ("{{ {'a': 1} }}", "no arithmetic"),
        ("{{ a|safe }}", "there is no filter 'safe'"),
        ("{{ a | }}", "there is no filter ''"),
        ("{{ a.pop }}", "'pop' in 'a.pop' is no field"),
        ("{{ a._x }}", "is no field"),
        ("{{ a. }}", "is no field"),
        ("{{ range(9) }}", "'range' in 'range\\(9\\)' can not be called"),
        ("{{ a.b(9) }}", "can not be called"),
        ("{{ a[0] }}", "nothing in square brackets"),
        ("{{ [[1]] }}", "nothing in square brackets"),
        ("{{ 'a'[0] }}", "nothing in square brackets"),
        ("{{ (a or (b and c)) }}", "a bracket stands within a bracket"),
        ("{% set a = 1 %}", "there is no 'set' in templates"),
        ("{%- raw -%}", "there is no 'raw' in templates"),
        ("{% if(a) %}", "there is no 'if\\(a\\)' in templates"),
        ('{{ " }}{{ a }}{{ " }}', "does not end within its tag"),
        ("{{ '\"}}' }}", "does not end within its tag"),
        ("{{ 'a\\' }}", "does not end within its tag"),
        ("{% for loop in a %}{% endfor %}", "loop is the loop's own name"),
        ("{% for a, loop in b %}{% endfor %}", "loop is the loop's own name"),
        ("{% macro m(loop) %}{% endmacro %}", "loop is the loop's own name"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", "'m' in 'm\\(\\)' can not be called"),
        ("{% macro m() %}{{ n() }}{% endmacro %}{% macro n() %}{% endmacro %}", "'n' in 'n\\(\\)' can not be called"),
        ("{% if a %}" * 21 + "{% endif %}" * 21, "more than 20 statements"),
        ("".join(f"{{% macro m{n}() %}}{{% endmacro %}}" for n in range(41)), "more than 40 macros"),
        ('{% include "/etc/passwd" %}', "there is no file '/etc/passwd'"),
        ('{% import "other.html" as ui %}', "there is no file 'other.html'"),
        ("{% include a %}", 'write include "file", and nothing more'),
        ('{% include ["mine.html"] %}', 'write include "file", and nothing more'),
        ('{% include "mine.html" ignore missing %}', 'write include "file", and nothing more'),
        ('{% include "mine.html" if a %}', 'write include "file", and nothing more'),
        ('{% import "mine.html" %}', 'write import "file" as name, and nothing more'),
        ("{{ " + "-" * 401 + "1 }}", "a tag is 40[0-9] characters long"),
        ("{{ a" + " " * 400 + "}}", "a tag is 40[0-9] characters long"),
        ("{{ a.pop('b') or '" + "x" * 900, "the tag .* does not end"),
        ("{% if a " + "x" * 900, "the tag .* does not end"),
        ("{# {{ a }}", "the tag .* does not end|does not end within"),
        ("x" * 100_001, "100,000 are the most"),
    ],
)
def test_each_rule_says_what_it_refuses(source: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        check(source, KNOWN)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name }}",
        "{{- one.name -}}",
        "{# {{ a.pop() }} ~ #}",
        "{% if a and not b or (c in [1, 2]) %}{% elif d is odd %}{% else %}{% endif %}",
        "{% for one in items %}{{ loop.index }}{{ loop.last }}{{ one.title }}{% endfor %}",
        '{% import "parts.html" as ui %}{{ ui.button("Go (now) + ~", url) }}{% call ui.panel() %}{% endcall %}',
        "{% macro m(a, b) %}{{ caller() }}{% endmacro %}{% macro n() %}{{ m(1, 2) }}{% endmacro %}",
        '{% extends "mine.html" %}{% block body %}{{ super() }}{% endblock body %}',
        "{{ a|default('x')|upper }}",
        "a { b } c %} }} #}",
    ],
)
def test_what_a_mail_needs_may_be_said(source: str) -> None:
    check(source, KNOWN)


def test_files_that_read_themselves_are_refused_at_any_distance() -> None:
    chain = {f"{n}": f'{{% include "{n + 1}" %}}' for n in range(5)} | {"5": "x"}
    check_files(chain)
    for parts in ({"a": '{% include "a" %}'}, {"a": '{% include "b" %}', "b": '{% import "a" as x %}'}):
        with pytest.raises(Refused, match="read themselves"):
            check_files(parts)
    with pytest.raises(Refused, match="more than 6 deep"):
        check_files({**chain, "5": '{% include "6" %}', "6": "x"})


def test_long_text_is_cut_between_tags_and_never_within_a_brace() -> None:
    for text in ("x" * 5_000, "{" * 5_000, "x{" * 2_500, ("x" * 499 + "{") * 9, "{{ a }}" + "y" * 5_000 + "{% if a %}"):
        pieces = re.split(r"{{''}}|{{ a }}|{% if a %}", split(text))
        assert max(map(len, pieces)) <= template_language.MOST_TEXT
        assert split(text).replace("{{''}}", "") == text
    assert "{{{''}}" not in split("x{" * 2_500)
