"""Fields of an event that an ESP posts in JSON: by what it is known must be a text, what only informs may be anything.

Whatever comes out of here a database can keep.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

# PostgreSQL refuses it in a text, and with it the statement that holds all the neighbours.
_NUL = "\0"
_TEXT_OR_NOTHING = frozenset({str, type(None)})
# 2009, when SendGrid began, to 2100: outside is a mistake, such as milliseconds for seconds.
_EARLIEST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp())
_LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


class Unreadable(ValueError):
    """The reason why an element is no event."""


def identity(element: dict[str, Any], key: str) -> str | None:
    """A field by which an event is known, None where it is missing. Raises Unreadable for another type."""
    value = element.get(key)
    if isinstance(value, str):
        return value.replace(_NUL, "") or None
    if value is not None:
        raise Unreadable(f"{key} is not a string")
    return None


def identities(element: dict[str, Any], keys: Sequence[str]) -> list[str | None]:
    """Several such fields of an element `without_nul`: a million events have six each. Raises Unreadable."""
    values = list(map(element.get, keys))
    if not _TEXT_OR_NOTHING.issuperset(map(type, values)):
        wrong = next(key for key in keys if type(element.get(key)) not in _TEXT_OR_NOTHING)
        raise Unreadable(f"{wrong} is not a string")
    return values


def without_nul(elements: Any) -> Any:
    """A list of elements in whose own fields there is no NUL; what is no list is given back."""
    if not isinstance(elements, list):
        return elements
    return [
        {key: value.replace(_NUL, "") if isinstance(value, str) else value for key, value in element.items()}
        if isinstance(element, dict)
        else element
        for element in elements
    ]


def prose(element: dict[str, Any], key: str) -> str:
    """A field that only informs; of another type it says nothing."""
    value = element.get(key)
    return value.replace(_NUL, "") if isinstance(value, str) else ""


def instant(element: dict[str, Any], key: str) -> datetime:
    """A time in whole seconds since 1970. Raises Unreadable."""
    seconds = element.get(key)
    if type(seconds) is not int:  # a bool is an int to isinstance
        raise Unreadable(f"{key} is missing or not a whole number")
    if not _EARLIEST <= seconds <= _LATEST:
        raise Unreadable(f"{key} is no time in seconds of this century")
    return _second(seconds)


@lru_cache(maxsize=16_384)  # some 300 events share each second of a campaign
def _second(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def valid_unicode(element: dict[str, Any]) -> dict[str, Any]:
    """JSON can say half a character, and no database can keep it. For `json.loads(…, object_hook=…)`."""
    return {
        key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for key, value in element.items()
    }
