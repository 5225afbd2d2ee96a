"""One mail, rendered whole from the values of one order, shipment or request: subject, HTML and text.

Values are checked against the declaration of their fields (domain/template_fields.py) and written in the reader's
language; the template sees text and lists of text, never an object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import minijinja

from data import brands, content, field_values, plain_text
from data.brands import Brand
from data.content import Template, TemplateError
from data.field_values import FieldError
from domain import template_fields
from domain.template_fields import Kind, Source

__all__ = ["FieldError", "Rendered", "TemplateError", "render_message", "scalars"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One mail as one person gets it."""

    subject: str
    html: str
    text: str


def render_message(
    template: Template,
    values: Mapping[str, Any],
    constants: Mapping[str, str],
    locale: str | None = None,
    *,
    brand: Brand | None = None,
) -> Rendered:
    """The mail for one person. `locale` writes numbers, money and days; the template's own language unless given.

    Raises FieldError, naming every field that is missing or wrong, and TemplateError.
    """
    shown = _shown(template, values, locale)
    letter = content.engine(template, constants, brand or brands.load())
    subject = " ".join(letter.render("subject.txt", shown).split())
    html = letter.render("body.html", {name: _in_html(name, value) for name, value in shown.items()})
    if "body.txt" in template.parts:
        return Rendered(subject, html, letter.render("body.txt", shown))
    return Rendered(subject, html, plain_text.of_html(html))


def _shown(template: Template, values: Mapping[str, Any], locale: str | None) -> dict[str, Any]:
    """The fields that the template uses, and those of the layout, as text."""
    known = template_fields.allowed(template.purpose)
    if unknown := sorted(set(values) - set(template_fields.FIELDS)):
        raise FieldError(f"there is no field {', '.join(map(repr, unknown))}; there are: {', '.join(sorted(known))}")
    fields = [one for name, one in known.items() if name in template.used or one.source is Source.LEDGER]
    chosen = field_values.locale_of(locale or template.language)
    return field_values.written(values, fields, template.fallbacks, chosen)


def _in_html(name: str, value: Any) -> Any:
    """Addresses are escaped here, once: the engine would write their slashes as entities, too."""
    if isinstance(value, list):
        return [{key: _link(text) if key in {"url", "image"} else text for key, text in one.items()} for one in value]
    return _link(value) if template_fields.FIELDS[name].kind is Kind.LINK else value


def _link(address: str) -> minijinja.Markup:
    return minijinja.Markup(escape(address))


def scalars(template: Template, values: Mapping[str, Any], locale: str | None = None) -> dict[str, str]:
    """The template's fields as an ESP's own template can take them: one text each.

    A list becomes two, NAME_html (rows of a table) and NAME_text (a line a product): no ESP's merge language loops over
    lists as another's does. Raises FieldError.
    """
    flat: dict[str, str] = {}
    for name, value in _shown(template, values, locale).items():
        if isinstance(value, list):
            flat[f"{name}_html"] = "".join(_row(one) for one in value)
            flat[f"{name}_text"] = "\n".join("  ".join(_cells(one)) for one in value)
        else:
            flat[name] = value
    return flat


def _cells(item: Mapping[str, str]) -> list[str]:
    words = " ".join(filter(None, [item["quantity"] and f"{item['quantity']} ×", item["name"]]))
    return list(filter(None, [words, item["note"], item["price"], item["url"]]))


def _row(item: Mapping[str, str]) -> str:
    words = escape(" ".join(filter(None, [item["quantity"] and f"{item['quantity']} ×", item["name"]])))
    named = f'<a href="{escape(item["url"])}">{words}</a>' if item["url"] else words
    note = f"<br>{escape(item['note'])}" if item["note"] else ""
    return f'<tr><td align="left">{named}{note}</td><td align="right">{escape(item["price"])}</td></tr>'
