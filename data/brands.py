"""How a shop's mail looks: data/templates/_brand/ holds the layout, its parts, brand.toml, and words.toml by language.

A shop's own folder may hold a `_brand/` too. A file there stands in the place of the shipped one; of brand.toml, of
words.toml, and of the file that bears the account's name (`_brand/<account>.toml`), only what is written there changes.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import minijinja

from data import file_stamps
from data.field_values import is_link
from data.file_stamps import Stamp
from data.template_engine import TemplateError

FOLDER = Path(__file__).parent / "templates"
PLACE = "_brand"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_FONT = re.compile(r"[\w ,-]+")
_LINKS = {"home", "contact_url", "logo_url"}
_WORDS = "words.toml"
_ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Brand:
    """Files of the layout by their names, and the values that stand in them."""

    parts: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def constants(self) -> dict[str, Any]:
        """The values as a template gets them: an address is escaped here, once, so that its slashes stay readable."""
        safe = {name: minijinja.Markup(escape(self.values[name])) for name in _LINKS}
        return {name: value for name, value in {**self.values, **safe}.items() if name != "words"}

    def words(self, language: str) -> dict[str, str]:
        """The layout's own words in a language such as de-DE; in English what is not written in it."""
        known = self.values["words"]
        return {**known[_ENGLISH], **known.get(language.partition("-")[0].lower(), {})}

    @property
    def home(self) -> str:
        """Where the shop is: links of templates are relative to it."""
        return str(self.values["home"])


def load(own: Path | None = None, account_id: str | None = None) -> Brand:
    """The brand of an account. Raises TemplateError naming the file and the key that is wrong."""
    stamp = file_stamps.of_folders(folders(own))
    return _read_all(own, account_id) if stamp is None else _kept(own, account_id, stamp)


def folders(own: Path | None) -> list[Path]:
    """Where the files of brands are, the shop's own last."""
    return [FOLDER / PLACE, *([own / PLACE] if own else [])]


@lru_cache(maxsize=64)
def _kept(own: Path | None, account_id: str | None, _stamp: Stamp) -> Brand:
    """Each mail has a brand, and it seldom changes."""
    return _read_all(own, account_id)


def _read_all(own: Path | None, account_id: str | None) -> Brand:
    places = folders(own)
    parts = {f"{PLACE}/{file.name}": file.read_text("utf-8") for folder in places for file in folder.glob("*.html")}
    files = [folder / "brand.toml" for folder in places]
    if own and account_id:
        files.append(own / PLACE / f"{account_id}.toml")
    values: dict[str, Any] = {}
    for file in files:
        if file.exists():
            values = _over(values, _read(file), str(file))
    return Brand(parts, {**values, "words": _words(places)})


def _words(places: list[Path]) -> dict[str, dict[str, str]]:
    """The words of the layout by language: a shop may change them, and add a language."""
    words: dict[str, dict[str, str]] = {}
    for file in (place / _WORDS for place in places if (place / _WORDS).exists()):
        for language, said in _read(file).items():
            known = words.get(_ENGLISH, said)
            if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
                raise TemplateError(f"{file}: write a table for each language, such as [fr], of words that are text")
            if unknown := sorted(set(said) - set(known)):
                raise TemplateError(f"{file}, [{language}] has {unknown}; there are: {', '.join(sorted(known))}")
            words[language] = {**words.get(language, {}), **said}
    return words


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
