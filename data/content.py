"""Templates: data/templates/<name>/ holds subject.txt, body.html, body.txt and template.toml.

A placeholder of a recipient is `{{ name }}` and nothing more: the ESP fills it in, so no filter and no condition
can look at its value. Everything that is the same for all (the shop's name, its address) is filled in here.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import minijinja

from data import variables
from domain import templates
from domain.templates import Content

FOLDER = Path(__file__).parent / "templates"
CONSTANTS = ("shop_name", "postal_address", "sender_name")
_PARTS = ("subject.txt", "body.html", "body.txt")
_TAG = re.compile(r"{{(.*?)}}|{%(.*?)%}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


class TemplateError(ValueError):
    """The template cannot be used; the message names the file and what to change."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template as its author wrote it."""

    name: str
    title: str
    description: str
    parts: Mapping[str, str]
    used: tuple[str, ...]  # variables of the recipient, in alphabetical order
    fallbacks: Mapping[str, str]

    @property
    def required(self) -> tuple[str, ...]:
        """Variables that every recipient must have a value for."""
        return tuple(n for n in self.used if n not in self.fallbacks and n not in variables.LINKS)

    @property
    def hash(self) -> str:
        content = "\0".join([*(self.parts[part] for part in _PARTS), repr(sorted(self.fallbacks.items()))])
        return hashlib.sha256(content.encode()).hexdigest()


def names(folder: Path = FOLDER) -> list[str]:
    """All templates that there are."""
    return sorted(path.parent.name for path in folder.glob("*/template.toml"))


def load(name: str, folder: Path = FOLDER) -> Template:
    """Read and check one template. Raises TemplateError."""
    if name not in names(folder):
        raise TemplateError(f"there is no template {name!r}; there are: {', '.join(names(folder))}")
    manifest = tomllib.loads((folder / name / "template.toml").read_text("utf-8"))
    parts = {part: _read(folder / name / part) for part in _PARTS}
    used: set[str] = set()
    for part, source in parts.items():
        used |= _check_part(f"{name}/{part}", source)
    for part in ("body.html", "body.txt"):
        if not re.search(r"{{\s*unsubscribe_url\s*}}", parts[part]):
            raise TemplateError(f"{name}/{part} has no {{{{ unsubscribe_url }}}}: marketing mail must offer a way out")
    fallbacks = manifest.get("fallbacks", {})
    if unknown := sorted(set(fallbacks) - set(variables.VARIABLES)):
        raise TemplateError(f"{name}/template.toml gives fallbacks for variables that do not exist: {unknown}")
    return Template(name, manifest["title"], manifest["description"], parts, tuple(sorted(used)), fallbacks)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError as error:
        raise TemplateError(f"{path.parent.name}/{path.name} is missing: a template has all of {_PARTS}") from error


def _check_part(where: str, source: str) -> set[str]:
    """Return the recipient's variables in one part."""
    try:
        found = minijinja.Environment().undeclared_variables_in_str(source)
    except minijinja.TemplateError as error:
        raise TemplateError(f"{where} is not a readable template: {error.message}") from error
    known = {*variables.VARIABLES, *variables.LINKS}
    if unknown := sorted(set(found) - known - set(CONSTANTS)):
        raise TemplateError(f"{where} uses {unknown}; there are {sorted(known | set(CONSTANTS))}")
    for match in _TAG.finditer(source):
        text = (match[1] or match[2]).strip()
        if text not in known and known.intersection(_WORD.findall(text)):
            raise TemplateError(f"{where}: {match[0]} does more than name a recipient's variable; write {{{{ name }}}}")
    return set(found) & known


def render(template: Template, constants: Mapping[str, str], *, subject: str | None = None) -> Content:
    """Fill in what is the same for all, leaving one placeholder for each variable of a recipient.

    `subject` replaces the template's own; it may use the same placeholders. Raises TemplateError.
    """
    parts = dict(template.parts)
    used = set(template.used)
    if subject is not None:
        parts["subject.txt"] = subject
        used |= _check_part("the subject", subject)
    environment = minijinja.Environment(
        templates=parts,
        undefined_behavior="strict",
        auto_escape_callback=lambda part: "html" if part.endswith(".html") else None,
    )
    rendered = {
        part: environment.render_template(part, **constants, **_placeholders(used, html=part.endswith(".html")))
        for part in _PARTS
    }
    if "\n" in rendered["subject.txt"] or "\r" in rendered["subject.txt"]:
        raise TemplateError("the subject holds a line break")
    digest = hashlib.sha256("\0".join(rendered[part] for part in _PARTS).encode()).hexdigest()
    return Content(
        name=template.name,
        subject=rendered["subject.txt"],
        html=rendered["body.html"],
        text=rendered["body.txt"],
        variables=tuple(sorted(used - {*variables.LINKS})),
        hash=digest,
    )


def _placeholders(names: set[str], *, html: bool) -> dict[str, minijinja.Markup]:
    tag = templates.html_tag if html else templates.plain_tag
    tags = {name: tag(name) for name in names}
    if variables.PREFERENCES_URL in names:
        tags[variables.PREFERENCES_URL] = tag(variables.UNSUBSCRIBE_URL) + variables.PREFERENCES_PATH
    # Markup: a placeholder is not escaped, its value is.
    return {name: minijinja.Markup(text) for name, text in tags.items()}


def filled(content: Content, values: Mapping[str, str]) -> dict[str, str]:
    """The mail as one recipient sees it: the preview. Keys: subject, html, text."""
    import html

    shown = {"subject": content.subject, "html": content.html, "text": content.text}
    for name, value in values.items():
        shown["subject"] = shown["subject"].replace(templates.plain_tag(name), value)
        shown["text"] = shown["text"].replace(templates.plain_tag(name), value)
        shown["html"] = shown["html"].replace(templates.html_tag(name), html.escape(value))
    return shown
