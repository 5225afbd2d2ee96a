"""Patches of dead letters: which fields of a kept record are to be read as what. The record itself stays as it came."""

import copy
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import sqlalchemy as sa

from data import audit_log, dead_letters
from data.dead_letters import DeadLetter, State

_ADDRESS = re.compile(r"\S+@\S+")


class UnusablePatch(ValueError):
    """The patch does not fit the record; the message says why."""


def patched(payload: Any, patch: Sequence[Mapping[str, Any]]) -> Any:
    """The payload with each {"path", "value"} set; null takes the field away. A plain column means every row.

    Raises UnusablePatch for a path that leads nowhere.
    """
    payload = copy.deepcopy(payload)
    for one in patch:
        for target, last in _places(payload, one["path"]):
            if not isinstance(target, dict):
                target[int(last)] = one["value"]
            elif one["value"] is None:
                target.pop(last, None)
            else:
                target[last] = one["value"]
    return payload


def _places(payload: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The objects or lists in which the path ends, with the key or number there."""
    *parts, last = path.split(".")
    for target in payload if isinstance(payload, list) and not _is_number((*parts, last)[0]) else [payload]:
        for part in parts:
            target = _step(target, part, path)  # noqa: PLW2901 - one step further down
        if not isinstance(target, dict):
            _step(target, last, path)
        yield target, last


def _step(target: Any, part: str, path: str) -> Any:
    if isinstance(target, dict) and part in target:
        return target[part]
    if isinstance(target, list) and _is_number(part) and int(part) < len(target):
        return target[int(part)]
    raise UnusablePatch(
        f"there is no place {path} in this record: `campaigns intake dead-letters --payload` shows what there is"
    )


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit()


def is_damaged(payload: Any) -> bool:
    """Does it hold characters that could not be read when the document was cut?"""
    return "\N{REPLACEMENT CHARACTER}" in json.dumps(payload, ensure_ascii=False)


def value(payload: Any, path: str, text: str) -> Any:
    """What a person's text means at that place: JSON or else text; always text where text stands, as in CSV rows.

    So 10.10 keeps its zero and 007 its zeros. Raises UnusablePatch for a path that leads nowhere.
    """
    try:
        read = json.loads(text, parse_float=_finite, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text
    if read is None or isinstance(read, str):
        return read
    return text if all(_holds_text(*place) for place in _places(payload, path)) else read


def _holds_text(target: Any, last: str) -> bool:
    if not isinstance(target, dict):
        return isinstance(target[int(last)], str)
    if last in target:
        return isinstance(target[last], str)
    return all(isinstance(one, str) for one in target.values())


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        _no_number(text)
    return float(text)


def _no_number(_text: str) -> NoReturn:
    raise ValueError


def keep(connection: sa.Connection, letter: DeadLetter, changes: Mapping[str, str], *, by: str, now: datetime) -> None:
    """Keep changes (path → what a person typed) for the next replay. Raises UnusablePatch."""
    if letter.state is not State.OPEN:
        raise UnusablePatch(f"dead letter {letter.id} was {letter.state} already")
    if letter.row.rule == dead_letters.WHOLE_DOCUMENT or letter.source.startswith(
        (dead_letters.WEBHOOK, dead_letters.MAILBOX)
    ):
        raise UnusablePatch(
            f"dead letter {letter.id} is no single order, so there is no field to patch: once what is wrong is mended, "
            "replay it, which says how where that is done by another command; or discard it"
        )
    whole = list(letter.patch)
    for path, text in changes.items():
        whole.append({"path": path, "value": value(patched(letter.row.payload, whole), path, text)})
        patched(letter.row.payload, whole)
    _check_storable(whole)
    if not dead_letters.set_patch(connection, letter.id, whole):
        raise UnusablePatch(f"dead letter {letter.id} has ended meanwhile")
    audit(connection, letter, "patch", by, {"fields": sorted(map(without_addresses, changes))}, now)  # never values


def _check_storable(patch: Sequence[Mapping[str, Any]]) -> None:
    try:
        json.dumps(patch, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UnusablePatch("a value holds half a character, which cannot be stored: type it again") from error


def without_addresses(text: str) -> str:
    """The same with what looks like an address cut out: the audit log is kept for ever."""
    return _ADDRESS.sub("(address)", text)


def audit(
    connection: sa.Connection, letter: DeadLetter, action: str, by: str, detail: Mapping[str, Any], now: datetime
) -> None:
    """Note what was done with a letter. `detail` holds none of its content."""
    audit_log.write(
        connection,
        account_id=letter.account_id,
        actor=by,
        action=f"dead letter: {action}",
        subject=f"dead letter {letter.id}",
        detail={**detail, "channel": letter.source, "rule": letter.row.rule},
        now=now,
    )
