"""MiniJinja with every door shut: plain values, a small language, undefined is an error, fuel, and an end to the output."""

from collections.abc import Mapping
from typing import Any

import minijinja

from data import template_language
from domain.masking import masked

# A confirmation of 200 lines with pictures takes 18,000; a loop without end is stopped within milliseconds.
FUEL = 40_000
MOST_OUTPUT = 1_000_000  # characters of one part; Gmail clips at 102 KB, no ESP takes more than 30 MB
MOST_VALUE = 100_000  # characters of one value
_DEEPEST = 6
_PLAIN = (str, int, float, bool)


class TemplateError(ValueError):
    """The template cannot be used; the message names the file and what to change."""


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of the value made of strings, numbers, lists and dicts alone. Raises TypeError for anything else.

    A copy, because a template sees the attributes of a Python object, and a subclass may have any.
    """
    if depth > _DEEPEST:
        raise TypeError(f"{where} is nested too deeply for a template")
    if type(value) in _PLAIN:
        if isinstance(value, str) and len(value) > MOST_VALUE:
            raise TypeError(f"{where} is too long for a template: {len(value):,} characters")
        return value
    if type(value) is minijinja.Markup:
        return minijinja.Markup(value)
    if type(value) in {list, tuple}:
        return [plain(one, f"{where}[{place}]", depth + 1) for place, one in enumerate(value)]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: plain(one, f"{where}.{key}", depth + 1) for key, one in value.items()}
    raise TypeError(f"{where} is a {type(value).__name__}: templates get strings, numbers, lists and dicts only")


def _check(where: str, source: str, known: frozenset[str]) -> None:
    try:
        template_language.check(source, known)
    except template_language.Refused as error:
        raise TemplateError(f"{where}: {error}") from error


class Engine:
    """The files of one template, ready to be rendered. Raises TemplateError for what no template may do."""

    def __init__(self, name: str, parts: Mapping[str, str], constants: Mapping[str, Any]) -> None:
        self._name = name
        known = frozenset(parts)
        for part, source in parts.items():
            _check(f"{name}/{part}", source, known)
        try:
            template_language.check_files(parts)
        except template_language.Refused as error:
            raise TemplateError(f"{name}: {error}") from error
        try:
            self._environment = minijinja.Environment(
                templates={part: template_language.split(source) for part, source in parts.items()},
                fuel=FUEL,
                undefined_behavior="strict",
                pycompat=False,
                debug=False,  # what it would add to errors are values
                auto_escape_callback=lambda part: "html" if part.endswith(".html") else None,
            )
        except minijinja.TemplateError as error:
            raise TemplateError(f"{name} is not a readable template: {error}") from error
        for given in tuple(self._environment.globals):
            self._environment.remove_global(given)
        for constant, value in constants.items():
            self._environment.add_global(constant, plain(value, constant))

    def render(self, part: str, values: Mapping[str, Any]) -> str:
        """One part with these values. Raises TemplateError; its message holds no value."""
        shown = {name: plain(value, name) for name, value in values.items()}
        try:
            text = str(self._environment.render_template(part, **shown))
        except minijinja.TemplateError as error:
            raise TemplateError(f"{self._name}/{part} cannot be rendered: {masked(_told(error))}") from error
        if len(text) > MOST_OUTPUT:
            raise TemplateError(
                f"{self._name}/{part} gives {len(text):,} characters, {MOST_OUTPUT:,} are the most: show fewer products"
            )
        return text


def _told(error: minijinja.TemplateError) -> str:
    """The innermost reason, on one line."""
    inner: BaseException = error
    while isinstance(inner.__cause__, minijinja.TemplateError):
        inner = inner.__cause__
    return " ".join(str(inner).split())


def undeclared(where: str, source: str, known: frozenset[str]) -> set[str]:
    """The variables that one file uses and does not set. Raises TemplateError.

    What the language refuses never comes before MiniJinja's parser, which some of it would end, with the process.
    """
    _check(where, source, known)
    try:
        return set(minijinja.Environment(pycompat=False).undeclared_variables_in_str(source))
    except minijinja.TemplateError as error:
        raise TemplateError(f"{where} is not a readable template: {error.message}") from error
