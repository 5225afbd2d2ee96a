"""How a shop's mail looks: data/templates/_brand/ holds the layout, its parts and brand.toml.

A shop's own folder may hold a `_brand/` too. A file there stands in the place of the shipped one; of brand.toml, and of
the file that bears the account's name (`_brand/<account>.toml`), only what is written there changes.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import minijinja

from data.field_values import is_link
from data.template_engine import TemplateError

FOLDER = Path(__file__).parent / "templates"
PLACE = "_brand"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_FONT = re.compile(r"[\w ,-]+")
_LINKS = {"home", "contact_url", "logo_url"}


@dataclass(frozen=True, slots=True)
class Brand:
    """Files of the layout by their names, and the values that stand in them."""

    parts: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def constants(self) -> dict[str, Any]:
        """The values as a template gets them: an address is escaped here, once, so that its slashes stay readable."""
        safe = {name: minijinja.Markup(escape(self.values[name])) for name in _LINKS}
        return {**self.values, **safe}

    @property
    def home(self) -> str:
        """Where the shop is: links of templates are relative to it."""
        return str(self.values["home"])


def load(own: Path | None = None, account_id: str | None = None) -> Brand:
    """The brand of an account. Raises TemplateError naming the file and the key that is wrong."""
    folders = [FOLDER / PLACE, *([own / PLACE] if own else [])]
    parts = {f"{PLACE}/{file.name}": file.read_text("utf-8") for folder in folders for file in folder.glob("*.html")}
    files = [folder / "brand.toml" for folder in folders]
    if own and account_id:
        files.append(own / PLACE / f"{account_id}.toml")
    values: dict[str, Any] = {}
    for file in files:
        if file.exists():
            values = _over(values, _read(file), str(file))
    return Brand(parts, values)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TemplateError(f"{file} is no TOML: {error}") from error


def _over(below: Mapping[str, Any], above: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What stands above, over what stands below; the first file says which keys there are."""
    merged = dict(below)
    for key, value in above.items():
        if below and key not in below:
            raise TemplateError(f"{where} has {key!r}, which no brand has; there are: {', '.join(sorted(below))}")
        if isinstance(value, dict):
            merged[key] = _over(below.get(key, {}), value, f"{where}, [{key}]")
            continue
        _check(key, value, where)
        merged[key] = value
    return merged


def _check(key: str, value: Any, where: str) -> None:
    if key in _LINKS:
        sound, wanted = (value == "" and key == "logo_url") or is_link(value), "an address with https://"
        if key == "home" and sound and not value.endswith("/"):
            sound, wanted = False, "an address that ends with /"
    elif key.endswith("_font"):
        sound, wanted = bool(isinstance(value, str) and _FONT.fullmatch(value)), "font names, without quotation marks"
    elif key in {"logo_alt", "note"}:
        sound, wanted = isinstance(value, str), "text"
    elif key in {"logo_width", "corner"}:
        sound, wanted = type(value) is int and 0 <= value <= 600, "whole pixels, 0 to 600"  # noqa: PLR2004
    else:
        sound, wanted = bool(isinstance(value, str) and _COLOUR.fullmatch(value)), "a colour such as #1f5c4d"
    if not sound:
        raise TemplateError(f"{where}: {key} must be {wanted}")
