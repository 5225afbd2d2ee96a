"""The contrast of every text of a mail, in light and in dark mode, reckoned from its styles as a mail program applies them.

Understood are inline styles, `bgcolor`, and rules of `<style>` that name elements and classes; what is more than that
(a parent, an attribute) few mail programs apply alike.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import tinycss2
import tinycss2.color3

from data.html_tree import Node

# WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for text of 24 pixels, or of 18.66 (14 points) in bold.
ENOUGH, ENOUGH_FOR_LARGE = 4.5, 3.0
_LARGE, _LARGE_BOLD = 24.0, 18.66
_BOLD = 600
_SIMPLE = re.compile(r"(\w+|\*)?((?:\.[\w-]+)*)")
_LENGTH = re.compile(r"([\d.]+)(px|pt|em|rem|%)?")
_HEADINGS = {"h1": 2.0, "h2": 1.5, "h3": 1.17}  # of browsers
_BOLD_TAGS = {"b", "strong", "h1", "h2", "h3", "h4", "th"}

Colour = tuple[float, float, float]


class Scheme(StrEnum):
    """What the reader's device prefers."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Faint:
    """One pair of colours that is too hard to read, and where it stands first."""

    scheme: Scheme
    text: str
    background: str
    ratio: float
    wanted: float
    line: int


@dataclass(frozen=True, slots=True)
class _Rule:
    tag: str
    classes: frozenset[str]
    values: dict[str, tuple[list[Any], bool]]  # tokens, and whether they are !important


@dataclass(frozen=True, slots=True)
class _Look:
    colour: Colour = (0.0, 0.0, 0.0)
    background: Colour = (1.0, 1.0, 1.0)
    size: float = 16.0
    bold: bool = False


def luminance(colour: Colour) -> float:
    """Relative luminance (WCAG 2.2)."""
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: Colour, other: Colour) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def faint(root: Node) -> list[Faint]:
    """Every pair of colours with too little contrast, once for each scheme."""
    found: dict[tuple[Any, ...], Faint] = {}
    for scheme in Scheme:
        for line, look in _texts(root, _Look(), list(_rules(root, scheme))):
            wanted = ENOUGH_FOR_LARGE if look.size >= (_LARGE_BOLD if look.bold else _LARGE) else ENOUGH
            contrast = ratio(look.colour, look.background)
            if contrast < wanted:
                one = Faint(scheme, _hex(look.colour), _hex(look.background), round(contrast, 2), wanted, line)
                found.setdefault((scheme, one.text, one.background, wanted), one)
    return list(found.values())


def has_dark_rules(root: Node) -> bool:
    """Whether any style of the mail is for dark mode."""
    return any("prefers-color-scheme:dark" in style.replace(" ", "").lower() for style in _styles(root))


def _styles(root: Node) -> Iterator[str]:
    for node in root.walk():
        if node.tag == "style":
            yield "".join(child for child in node.children if isinstance(child, str))


def _rules(root: Node, scheme: Scheme) -> Iterator[_Rule]:
    for style in _styles(root):
        yield from _of_sheet(tinycss2.parse_stylesheet(style, skip_comments=True, skip_whitespace=True), scheme)


def _of_sheet(sheet: Iterable[Any], scheme: Scheme) -> Iterator[_Rule]:
    for rule in sheet:
        if rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content is not None:
            asked = tinycss2.serialize(rule.prelude).replace(" ", "").lower()
            if f"prefers-color-scheme:{scheme}" in asked:
                yield from _of_sheet(tinycss2.parse_rule_list(rule.content, skip_whitespace=True), scheme)
        elif rule.type == "qualified-rule":
            values = _declared(rule.content)
            for selector in tinycss2.serialize(rule.prelude).split(","):
                if (simple := _SIMPLE.fullmatch(selector.strip())) and selector.strip():
                    tag = "" if simple[1] in {None, "*"} else simple[1].lower()
                    yield _Rule(tag, frozenset(simple[2].split(".")) - {""}, values)


def _declared(source: Any) -> dict[str, tuple[list[Any], bool]]:
    found = tinycss2.parse_blocks_contents(source, skip_comments=True, skip_whitespace=True)
    return {one.lower_name: (one.value, one.important) for one in found if one.type == "declaration"}


def _texts(node: Node, around: _Look, rules: list[_Rule]) -> Iterator[tuple[int, _Look]]:
    """Each visible piece of text: its line, and how it looks."""
    if node.hidden:
        return
    look = _look(node, around, rules) if node.tag else around
    for child in node.children:
        if isinstance(child, Node):
            yield from _texts(child, look, rules)
        elif child.replace("\xa0", " ").strip():
            yield node.line, look


def _look(node: Node, around: _Look, rules: list[_Rule]) -> _Look:
    own = [one.values for one in rules if (not one.tag or one.tag == node.tag) and one.classes <= set(node.classes)]
    values: dict[str, tuple[list[Any], bool]] = {}
    for declared in [*own, _declared(node.attributes.get("style", ""))]:
        for name, value in declared.items():
            if value[1] or not values.get(name, (None, False))[1]:  # only !important goes before !important
                values[name] = value
    look = replace(around, size=around.size * _HEADINGS.get(node.tag, 1.0), bold=around.bold or node.tag in _BOLD_TAGS)
    if bgcolor := node.attributes.get("bgcolor"):
        look = replace(look, background=_blend(tinycss2.color3.parse_color(bgcolor), look.background))
    for name in ("background", "background-color"):
        if name in values:
            colours = [
                parsed for token in values[name][0] if (parsed := tinycss2.color3.parse_color(token)) is not None
            ]
            look = replace(look, background=_blend(colours[0] if colours else None, look.background))
    if "color" in values:
        colours = [parsed for token in values["color"][0] if (parsed := tinycss2.color3.parse_color(token)) is not None]
        look = replace(
            look,
            colour=_blend(colours[0], look.background) if colours and colours[0] != "currentColor" else look.colour,
        )
    if "font-size" in values:
        look = replace(look, size=_size(tinycss2.serialize(values["font-size"][0]).strip(), around.size))
    if "font-weight" in values:
        weight = tinycss2.serialize(values["font-weight"][0]).strip()
        look = replace(look, bold=weight in {"bold", "bolder"} or (weight.isdigit() and int(weight) >= _BOLD))
    return look


def _blend(colour: Any, below: Colour) -> Colour:
    """The colour over what lies below, which shows through a part of it."""
    if colour is None or isinstance(colour, str):
        return below
    red, green, blue = (
        colour.alpha * one + (1 - colour.alpha) * under for one, under in zip(colour[:3], below, strict=True)
    )
    return red, green, blue


def _size(text: str, around: float) -> float:
    match = _LENGTH.fullmatch(text)
    if not match:
        return around
    unit = {"pt": 4 / 3, "em": around, "rem": 16.0, "%": around / 100}.get(match[2] or "px", 1.0)
    return float(match[1]) * unit


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * one):02x}" for one in colour)
