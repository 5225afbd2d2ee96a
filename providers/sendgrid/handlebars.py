"""Handlebars, as SendGrid fills it in: our placeholders in it, and theirs in ours.

`{{name}}` escapes & < > " ' ` = for HTML, `{{{name}}}` does not: so the former stands in HTML, the latter in subject and
text, where an escaped O'Brien would read O&#x27;Brien (SendGrid, "Using Handlebars").
"""

import re

from domain import templates
from domain.esp_templates import NotInOurWords, Parts, Understood, bare, spelled

_TAG = re.compile(r"\{\{\{(.*?)\}\}\}|\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_CONDITION = re.compile(r"#(?:if|unless)\s+([A-Za-z_][A-Za-z_0-9]*)")
_INSERT = re.compile(r'insert\s+([A-Za-z_][A-Za-z_0-9]*)(?:\s+"default=([^"]*)")?')
_ENDS = frozenset({"else", "/if", "/unless"})
# What would make of the tag behind it another one: a brace joins it, a backslash takes its meaning away.
_BEFORE_TAG = re.compile(r"[{\\]\0|\0}")


def write(parts: Parts) -> Parts:
    """Ours in Handlebars. Raises NotInOurWords where other text would be taken for Handlebars."""
    said = bare(parts)
    if "{{" in said or _BEFORE_TAG.search(said):
        raise NotInOurWords(
            "the template holds {{, or a brace or backslash beside a variable, which the ESP would take for its own"
            " language: write it another way"
        )
    return spelled(parts, plain=lambda name: f"{{{{{{{name}}}}}}}", html=lambda name: f"{{{{{name}}}}}")


def understand(parts: Parts) -> Understood:
    """Handlebars in ours. Raises NotInOurWords for all but variables, conditions on them and defaults."""
    reading = _Reading()
    own = Parts(
        reading.of("subject", parts.subject), reading.of("HTML", parts.html, html=True), reading.of("text", parts.text)
    )
    return Understood(own, tuple(sorted(reading.used)), reading.fallbacks, tuple(reading.warnings))


class _Reading:
    """What is found on the way through the three parts."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.fallbacks: dict[str, str] = {}
        self.warnings: list[str] = []

    def of(self, part: str, source: str, *, html: bool = False) -> str:
        return _TAG.sub(lambda match: self._tag(part, match, html=html), source)

    def _tag(self, part: str, match: re.Match[str], *, html: bool) -> str:
        raw, inside = match[1] is not None, (match[1] if match[1] is not None else match[2]).strip()
        if _NAME.fullmatch(inside) and inside not in _ENDS:
            return self._variable(part, inside, raw=raw, html=html)
        if raw:
            raise _not_ours(part, match[0])
        if inside.startswith("!"):  # a comment, of which nobody reads anything
            return ""
        if condition := _CONDITION.fullmatch(inside):
            self._may_lack(condition[1], "")
            return match[0]
        if insert := _INSERT.fullmatch(inside):
            if insert[2] is not None:
                self._may_lack(insert[1], insert[2])
            return self._variable(part, insert[1], raw=False, html=html)
        if inside not in _ENDS:
            raise _not_ours(part, match[0])
        return match[0]

    def _may_lack(self, name: str, instead: str) -> None:
        self.used.add(name)
        self.fallbacks.setdefault(name, instead)

    def _variable(self, part: str, name: str, *, raw: bool, html: bool) -> str:
        self.used.add(name)
        if raw and html:
            raise NotInOurWords(
                f"its HTML has {{{{{{{name}}}}}}}, which puts a customer's own words into the page unescaped: write"
                f" {{{{{name}}}}} there"
            )
        if not raw and not html:
            self.warnings.append(
                f"its {part} has {{{{{name}}}}}: a value such as O'Brien will read O&#x27;Brien, {{{{{{{name}}}}}}}"
                " does not escape"
            )
        return templates.html_tag(name) if html else templates.plain_tag(name)


def _not_ours(part: str, tag: str) -> NotInOurWords:
    return NotInOurWords(
        f"its {part} has {tag[:60]}: what a recipient reads can be checked for variables, {{{{#if name}}}} and"
        ' {{insert name "default=…"}} only'
    )
