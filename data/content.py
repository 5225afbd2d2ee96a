"""Templates: data/templates/<name>/ holds template.toml, subject.txt, body.html, and where wanted preheader.txt and body.txt.

A shop's own folder may hold more of them, or one of a shipped name in its place. In a campaign a recipient's placeholder
is `{{ name }}` and nothing more: the ESP fills it in, so no filter and no condition can look at its value. Everything
that is the same for all (the shop's name, its address, its brand) is filled in here. Templates for one mail at a time
(orders, shipments, accounts) are rendered whole, by data/messages.py.
"""

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import minijinja

from data import brands, file_stamps, plain_text, template_engine, template_language, template_manifest, variables
from data.brands import FOLDER, Brand
from data.field_values import ITEM_KEYS
from data.file_stamps import Stamp
from data.template_engine import Engine, TemplateError
from domain import template_fields, templates
from domain.suppression import Stream
from domain.template_fields import Purpose
from domain.templates import Content
from domain.transactional import Timing

__all__ = [
    "CONSTANTS",
    "FOLDER",
    "Template",
    "TemplateError",
    "engine",
    "exists",
    "faults",
    "filled",
    "folder_of",
    "load",
    "names",
    "render",
]

CONSTANTS = ("shop_name", "postal_address", "sender_name")
# What a file may use besides fields: the same for all recipients.
_GIVEN = frozenset({*CONSTANTS, "brand", "content", "language", "stream", "words"})
_MOST_ENGINES = 64
_engines = threading.local()
_NEEDED = ("subject.txt", "body.html")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_MACRO = re.compile(r"\w+\.\w+\((?:\w+|[\s,=]|\"[^\"]*\"|\.\w+)*\)")  # of plain names and texts
_HTML_TAG = re.compile(re.escape(templates.html_tag("N")).replace("N", r"(\w+)"))


@dataclass(frozen=True, slots=True)
class Template:
    """A template as its author wrote it."""

    name: str
    title: str
    description: str
    parts: Mapping[str, str]
    used: tuple[str, ...]  # variables of the recipient, in alphabetical order
    fallbacks: Mapping[str, str]
    purpose: Purpose = Purpose.CAMPAIGN
    language: str = "en-GB"
    content: Mapping[str, Any] = field(default_factory=dict)  # what is the same for all, written by the author
    timing: Timing = field(default_factory=Timing)  # of a transactional one

    @property
    def stream(self) -> Stream:
        return template_fields.stream(self.purpose)

    @property
    def required(self) -> tuple[str, ...]:
        """Variables that every recipient must have a value for."""
        return tuple(n for n in self.used if n not in self.fallbacks and n not in variables.LINKS)

    @property
    def hash(self) -> str:
        facts = repr([sorted(self.fallbacks.items()), self.language, self.content])
        content = "\0".join([*(f"{part}\0{text}" for part, text in sorted(self.parts.items())), facts])
        return hashlib.sha256(content.encode()).hexdigest()


def names(own: Path | None = None, *, purpose: Purpose | None = None) -> list[str]:
    """All templates that there are, or those of one purpose. `own` is the shop's folder, beside the shipped ones."""
    found = {path.parent.name: path for folder in _folders(own) for path in folder.glob("*/template.toml")}
    known = {name: path for name, path in found.items() if _NAME.fullmatch(name)}
    return sorted(name for name, path in known.items() if purpose is None or _is_for(purpose, name, path))


def _is_for(purpose: Purpose, name: str, path: Path) -> bool:
    """A template whose manifest cannot be read is for nothing: it must not take the form of all others with it."""
    try:
        return template_manifest.purpose(template_manifest.read(path), name) is purpose
    except TemplateError:
        return False


def faults(own: Path | None = None) -> dict[str, str]:
    """Templates that cannot be used, each with its reason."""
    found = {}
    for name in names(own):
        try:
            load(name, own)
        except TemplateError as error:
            found[name] = str(error)
    return found


def _folders(own: Path | None) -> list[Path]:
    if own is not None and not own.is_dir():
        raise TemplateError(f"there is no folder {own} with templates of your own: make it, or mend the setting")
    return [FOLDER, *([own] if own else [])]


def load(name: str, own: Path | None = None) -> Template:
    """Read and check one template, the shop's own before a shipped one. Raises TemplateError."""
    if not exists(name, own):
        raise TemplateError(f"there is no template {name!r}; there are: {', '.join(names(own))}")
    places = [*brands.folders(own), *(folder / name for folder in _folders(own))]
    stamp = file_stamps.of_folders(places)
    return _read(name, own) if stamp is None else _kept(name, own, stamp)


def exists(name: str, own: Path | None = None) -> bool:
    """Whether there is such a template. Cheaper than all the names."""
    files = (folder / name / "template.toml" for folder in _folders(own))
    return bool(_NAME.fullmatch(name)) and any(file.exists() for file in files)


@lru_cache(maxsize=256)
def _kept(name: str, own: Path | None, _stamp: Stamp) -> Template:
    """A dispatcher writes many mails by one template, which seldom changes."""
    return _read(name, own)


def _read(name: str, own: Path | None) -> Template:
    place = folder_of(name, own)
    manifest = template_manifest.read(place / "template.toml")
    purpose = template_manifest.purpose(manifest, name)
    parts = _parts(place)
    brand = brands.load(own)
    files = frozenset({*parts, *brand.parts})
    used = {one for part, source in parts.items() for one in _check_part(f"{name}/{part}", source, purpose, files)}
    known = set(template_fields.allowed(purpose))
    fallbacks = manifest.get("fallbacks", {})
    if unknown := sorted(set(fallbacks) - known):
        raise TemplateError(f"{name}/template.toml gives fallbacks for variables that do not exist: {unknown}")
    if not all(isinstance(text, str) for text in fallbacks.values()):
        raise TemplateError(f"{name}/template.toml: a fallback is text, and empty to leave the field out")
    declared = {one: it.fallback for one, it in template_fields.FIELDS.items() if it.fallback is not None}
    template = Template(
        name,
        manifest["title"],
        manifest["description"],
        parts,
        tuple(sorted(used)),
        {**{one: text for one, text in declared.items() if one in known}, **fallbacks},
        purpose,
        manifest.get("language", "en-GB"),
        _plain(manifest.get("content", {}), f"{name}/template.toml, content"),
        template_manifest.timing(manifest, name),
    )
    if purpose is Purpose.CAMPAIGN:  # a template that cannot be rendered is refused now, not when its run begins
        render(template, dict.fromkeys(CONSTANTS, "-"), brand=brand)
    return template


def folder_of(name: str, own: Path | None = None) -> Path:
    """Where the files of a template are: the shop's own before a shipped one."""
    return [folder / name for folder in _folders(own) if (folder / name / "template.toml").exists()][-1]


def _parts(folder: Path) -> dict[str, str]:
    parts = {
        path.name: path.read_text("utf-8").strip() for path in sorted(folder.glob("*.*")) if path.suffix != ".toml"
    }
    for part in _NEEDED:
        if part not in parts:
            raise TemplateError(f"{folder.name}/{part} is missing: a template has all of {_NEEDED}")
    # In the HTML, so escaped as HTML: what a part is called decides it.
    parts["preheader.html"] = parts.pop("preheader.txt", "")
    return parts


def _plain(value: Any, where: str) -> Any:
    try:
        return template_engine.plain(value, where)
    except TypeError as error:
        raise TemplateError(str(error)) from error


def _check_part(where: str, source: str, purpose: Purpose, files: frozenset[str]) -> set[str]:
    """Return the recipient's variables in one part."""
    found = template_engine.undeclared(where, source, files)
    campaign = purpose is Purpose.CAMPAIGN
    known = {*variables.VARIABLES, *variables.LINKS} if campaign else set(template_fields.allowed(purpose))
    if unknown := sorted(found - known - _GIVEN):
        raise TemplateError(f"{where} uses {unknown}; there are {sorted(known | _GIVEN)}")
    for _, text in template_language.tags(source) if campaign else ():
        if text not in known and known.intersection(_WORD.findall(text)) and not _MACRO.fullmatch(text):
            raise TemplateError(f"{where}: {text!r} does more than name a recipient's variable; write {{{{ name }}}}")
    return found & known


def engine(template: Template, constants: Mapping[str, str], brand: Brand, *, subject: str | None = None) -> Engine:
    """The template with its layout and everything that is the same for all. Raises TemplateError.

    Each thread keeps its own: an engine is locked while it renders.
    """
    if subject is not None:
        return _built(template, constants, brand, {"subject.txt": subject})
    key = (id(template), id(brand), *sorted(constants.items()))
    kept: dict[Any, tuple[Template, Brand, Engine]] = _engines.__dict__.setdefault("kept", {})
    if key not in kept:
        if len(kept) >= _MOST_ENGINES:
            kept.clear()
        kept[key] = (template, brand, _built(template, constants, brand, {}))  # whose ids are nobody else's so long
    return kept[key][2]


def _built(template: Template, constants: Mapping[str, str], brand: Brand, own: Mapping[str, str]) -> Engine:
    content = {key: _resolved(value, key, brand.home) for key, value in template.content.items()}
    words = brand.words(template.language)
    given = {
        "brand": brand.constants,
        "content": content,
        "language": template.language,
        "stream": str(template.stream),
        "words": {name: text.replace("{shop_name}", constants["shop_name"]) for name, text in words.items()},
    }
    return Engine(template.name, {**brand.parts, **template.parts, **own}, {**constants, **given})


def _resolved(value: Any, key: str, home: str) -> Any:
    """Links of the author's content are relative to the shop; an address is escaped here, once.

    Of products and articles in a list, what one has and another lacks is empty there.
    """
    if isinstance(value, dict):
        return {inner: _resolved(one, inner, home) for inner, one in value.items()}
    if isinstance(value, list):
        keys = {*ITEM_KEYS, *(inner for one in value if isinstance(one, dict) for inner in one)}
        full = ({**dict.fromkeys(keys, ""), **one} if isinstance(one, dict) else one for one in value)
        return [_resolved(one, key, home) for one in full]
    return minijinja.Markup(escape(urljoin(home, value))) if key in {"url", "image"} and value else value


def render(
    template: Template, constants: Mapping[str, str], *, subject: str | None = None, brand: Brand | None = None
) -> Content:
    """Fill in what is the same for all, leaving one placeholder for each variable of a recipient.

    `subject` replaces the template's own; it may use the same placeholders. Raises TemplateError.
    """
    if template.purpose is not Purpose.CAMPAIGN:
        raise TemplateError(f"{template.name} is for one mail at a time ({template.purpose}), not for a campaign")
    used = {*template.used, *variables.LINKS}
    if subject is not None:
        used |= _check_part("the subject", subject, template.purpose, frozenset())
    letter = engine(template, constants, brand or brands.load(), subject=subject)
    plain = dict(_placeholders(used, html=False))
    shown = letter.render("subject.txt", plain)
    if "\n" in shown or "\r" in shown:
        raise TemplateError("the subject holds a line break")
    html = letter.render("body.html", dict(_placeholders(used, html=True)))
    if "body.txt" in template.parts:
        text = letter.render("body.txt", plain)
    else:
        text = _HTML_TAG.sub(lambda tag: templates.plain_tag(tag[1]), plain_text.of_html(html))
    _check_way_out(template.name, html, text)
    return Content(
        name=template.name,
        subject=shown,
        html=html,
        text=text,
        variables=tuple(sorted(used - {*variables.LINKS})),
        hash=hashlib.sha256(f"{shown}\0{html}\0{text}".encode()).hexdigest(),
    )


def _check_way_out(name: str, html: str, text: str) -> None:
    link = variables.UNSUBSCRIBE_URL
    for part, tag, shown in (("html", templates.html_tag, html), ("txt", templates.plain_tag, text)):
        if tag(link) not in shown.replace(tag(link) + variables.PREFERENCES_PATH, ""):
            raise TemplateError(f"{name}/body.{part} has no {{{{ {link} }}}}: marketing mail must offer a way out")


def _placeholders(names: set[str], *, html: bool) -> Iterator[tuple[str, minijinja.Markup]]:
    """Markup: a placeholder is not escaped, its value is."""
    tag = templates.html_tag if html else templates.plain_tag
    for name in names - {variables.PREFERENCES_URL}:
        yield name, minijinja.Markup(tag(name))
    if variables.PREFERENCES_URL in names:
        yield variables.PREFERENCES_URL, minijinja.Markup(tag(variables.UNSUBSCRIBE_URL) + variables.PREFERENCES_PATH)


def filled(content: Content, values: Mapping[str, str]) -> dict[str, str]:
    """The mail as one recipient sees it: the preview. Keys: subject, html, text."""
    shown = {"subject": content.subject, "html": content.html, "text": content.text}
    for name, value in values.items():
        shown["subject"] = shown["subject"].replace(templates.plain_tag(name), value)
        shown["text"] = shown["text"].replace(templates.plain_tag(name), value)
        shown["html"] = shown["html"].replace(templates.html_tag(name), escape(value))
    return shown
