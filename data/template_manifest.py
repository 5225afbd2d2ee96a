"""template.toml: what a template is for, in which language it speaks, and how urgent its mail is. Raises TemplateError."""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from data.template_engine import TemplateError
from domain import template_fields
from domain.suppression import Stream
from domain.template_fields import Purpose
from domain.transactional import Timing, Urgency

_LONGEST_USE = 14 * 24 * 60  # minutes
_KEYS = {"title", "description", "stream", "purpose", "language", "fallbacks", "content", "urgency", "useful_minutes"}


def read(path: Path) -> dict[str, Any]:
    """What template.toml says, of known keys alone."""
    where = f"{path.parent.name}/{path.name}"
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TemplateError(f"{where} is no TOML: {error}") from error
    if missing := {"title", "description"} - set(found):
        raise TemplateError(f"{where} has no {' and no '.join(sorted(missing))}")
    if unknown := sorted(set(found) - _KEYS):
        raise TemplateError(f"{where} has {unknown}; there are {sorted(_KEYS)}")
    return found


def purpose(manifest: Mapping[str, Any], name: str) -> Purpose:
    """What it is for; marketing without a purpose is a campaign. A stream that does not fit is refused."""
    stream, asked = manifest.get("stream", Stream.MARKETING), manifest.get("purpose", Purpose.CAMPAIGN)
    if asked not in set(Purpose):
        raise TemplateError(f"{name}/template.toml: purpose must be one of {', '.join(Purpose)}")
    if (wanted := template_fields.stream(Purpose(asked))) != stream:
        raise TemplateError(f'{name}/template.toml: purpose = "{asked}" needs stream = "{wanted}"')
    return Purpose(asked)


def timing(manifest: Mapping[str, Any], name: str) -> Timing:
    """How urgent such mail is and how long it is of use, where the template says so."""
    urgency, minutes = manifest.get("urgency", "other"), manifest.get("useful_minutes")
    if urgency not in {one.name.lower() for one in Urgency}:
        known = ", ".join(one.name.lower() for one in Urgency)
        raise TemplateError(f"{name}/template.toml: urgency must be one of {known}")
    if minutes is not None and (type(minutes) is not int or not 1 <= minutes <= _LONGEST_USE):
        raise TemplateError(f"{name}/template.toml: useful_minutes is a whole number from 1 to {_LONGEST_USE}")
    useful = timedelta(minutes=minutes) if minutes is not None else Timing().useful
    return Timing(Urgency[urgency.upper()], useful)
