"""The types of a mail/send request, checked before its rules: a rule may then rely on them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from providers.sandbox.problems import Violation

_WORDS = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}
_ADDRESS = {"email": str, "name": str}
_CONTENT = {"type": str, "value": str}
_ASM = {"group_id": int, "groups_to_display": list}
_MESSAGE = {
    "personalizations": list,
    "from": dict,
    "reply_to": dict,
    "subject": str,
    "content": list,
    "template_id": str,
    "headers": dict,
    "categories": list,
    "custom_args": dict,
    "send_at": int,
    "batch_id": str,
    "ip_pool_name": str,
    "asm": dict,
    "mail_settings": dict,
}
_PERSONALIZATION = {
    "to": list,
    "cc": list,
    "bcc": list,
    "subject": str,
    "headers": dict,
    "substitutions": dict,
    "custom_args": dict,
    "dynamic_template_data": dict,
    "send_at": int,
}
ROLES = ("to", "cc", "bcc")
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_WRITTEN_ADDRESS = re.compile(rf"""[^\s@<>()\[\]\\,;:"]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}""")


def is_address(text: str) -> bool:
    return _WRITTEN_ADDRESS.fullmatch(text) is not None


def people(personalization: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Everyone who gets a copy: role, position in that role, address object."""
    for role in ROLES:
        for position, person in enumerate(personalization.get(role, ())):
            yield role, position, person


def violations(payload: Any) -> Iterator[Violation]:
    """Name every field whose value has the wrong type."""
    if type(payload) is not dict:
        yield Violation("Bad Request")
        return
    yield from _fields(payload, _MESSAGE, "")
    for field in ("from", "reply_to"):
        yield from _fields(payload.get(field), _ADDRESS, f"{field}.")
    yield from _fields(payload.get("asm"), _ASM, "asm.")
    yield from _items(payload.get("content"), _CONTENT, "content")
    yield from _sandbox_mode(payload.get("mail_settings"))
    yield from _items(payload.get("personalizations"), _PERSONALIZATION, "personalizations")
    for position, personalization in enumerate(_list(payload.get("personalizations"))):
        if type(personalization) is dict:
            for role in ROLES:
                yield from _items(personalization.get(role), _ADDRESS, f"personalizations.{position}.{role}")


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _wrong(expected: type, given: Any, field: str) -> Violation:
    return Violation(f"Invalid type. Expected: {_WORDS[expected]}, given: {_WORDS.get(type(given), 'null')}.", field)


def _fields(value: Any, types: Mapping[str, type], prefix: str) -> Iterator[Violation]:
    """Compare an object's fields with their types. Exactly: in Python a bool is an int, in JSON it is not."""
    if type(value) is dict:
        for name, given in value.items():
            expected = types.get(name)
            if expected is not None and type(given) is not expected:
                yield _wrong(expected, given, prefix + name)


def _items(values: Any, types: Mapping[str, type], field: str) -> Iterator[Violation]:
    for position, value in enumerate(_list(values)):
        if type(value) is not dict:
            yield _wrong(dict, value, f"{field}.{position}")
        else:
            yield from _fields(value, types, f"{field}.{position}.")


def _sandbox_mode(settings: Any) -> Iterator[Violation]:
    mode = settings.get("sandbox_mode", {}) if type(settings) is dict else {}
    if type(mode) is not dict or type(mode.get("enable", False)) is not bool:
        yield Violation("The sandbox mode enable param should be a boolean value.", "mail_settings.sandbox_mode.enable")
