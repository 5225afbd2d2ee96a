"""What the pages for customers say, in their language: gateway/languages/<two letters>.toml, one file a language.

A language is added by adding its file: a test sees to it that all have the same keys. `{shop}` and `{address}` are filled
in when a page is made.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request

_FOLDER = Path(__file__).parent / "languages"
_DEFAULT = "en"
# More of an Accept-Language header is no person's wish.
_MOST_WISHES = 20


@lru_cache(maxsize=1)
def languages() -> Mapping[str, str]:
    """The languages that there are, each with its own name for itself; English first."""
    found = sorted((path.stem for path in _FOLDER.glob("*.toml")), key=lambda code: (code != _DEFAULT, code))
    return {code: load(code)["name"] for code in found}


@lru_cache
def load(language: str) -> Mapping[str, Any]:
    """All texts of one language, as its file has them."""
    return tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))


def said(language: str, **values: str) -> dict[str, dict[str, str]]:
    """All texts of one language by section and key, with these values filled in."""
    sections = {name: section for name, section in load(language).items() if isinstance(section, dict)}
    return {
        name: {key: text.format_map(_Blank(values)) for key, text in section.items()}
        for name, section in sections.items()
    }


class _Blank(dict[str, str]):
    """A page that shows no address has none to fill in."""

    def __missing__(self, key: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the browser says about language: `?lang=` by the customer's own click, and the header Accept-Language."""

    clicked: str | None = None
    header: str = ""

    @classmethod
    def of(cls, request: Request) -> "Wish":
        """Read it from a request."""
        return cls(request.query_params.get("lang"), request.headers.get("accept-language", ""))

    def language(self, known: str | None = None, account: str | None = None) -> str:
        """The first that we have texts for: clicked, the customer's own (`known`), the browser's, the account's, English.

        `known` is a locale such as de-DE or de_AT.
        """
        for wish in (self.clicked, known, *_accepted(self.header), account):
            code = (wish or "").strip().replace("_", "-").partition("-")[0].lower()
            if code in languages():
                return code
        return _DEFAULT


def _accepted(header: str) -> Iterator[str]:
    """The languages of an Accept-Language header (RFC 9110, 12.5.4), dearest first; what cannot be read is passed over."""
    wishes = []
    for one in header.split(",")[:_MOST_WISHES]:
        tag, _, weight = one.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if tag and quality > 0:
            wishes.append((quality, tag))
    yield from (tag for _, tag in sorted(wishes, key=lambda wish: -wish[0]))
