"""What SendGrid refuses in one personalization. A check gets the whole request, the personalization and its path."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from providers.sandbox import shapes
from providers.sandbox.problems import Violation

# SendGrid's pages name 10,000 and 50,000 bytes; the smaller one is safe under both.
MAX_CUSTOM_ARGS_BYTES = 10_000
MAX_SUBSTITUTIONS = 150
MAX_SUBSTITUTIONS_BYTES = 10_000
RESERVED_HEADERS = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)

Json = Mapping[str, Any]


def violations(payload: Json, personalization: Json, field: str) -> Iterator[Violation]:
    for check in CHECKS:
        yield from check(payload, personalization, field)


def _recipients(_payload: Json, personalization: Json, field: str) -> Iterator[Violation]:
    if not personalization.get("to"):
        yield Violation(
            "The to array is required for all personalization objects, and must have at least one email object with a"
            " valid email address.",
            f"{field}.to",
        )
    for role, position, person in shapes.people(personalization):
        if not shapes.is_address(person.get("email", "")):
            yield Violation("Does not contain a valid address.", f"{field}.{role}.{position}.email")
        name = person.get("name", "")
        if ";" in name or "," in name:
            yield Violation("The name cannot contain ';' or ','.", f"{field}.{role}.{position}.name")


def _own_headers(_payload: Json, personalization: Json, field: str) -> Iterator[Violation]:
    if given := personalization.get("headers"):
        yield from headers(given, f"{field}.headers")


def _custom_args(payload: Json, personalization: Json, field: str) -> Iterator[Violation]:
    merged = {**payload.get("custom_args", {}), **personalization.get("custom_args", {})}
    if personalization.get("custom_args") == {}:
        yield Violation("custom_args can't be empty.", f"{field}.custom_args")
    if not all(type(value) is str for value in merged.values()):
        yield Violation("All values of custom arguments object must be strings", f"{field}.custom_args")
    elif len(orjson.dumps(merged)) > MAX_CUSTOM_ARGS_BYTES:
        yield Violation(
            "The combined size of both global and personalization custom arguments may not exceed"
            f" {MAX_CUSTOM_ARGS_BYTES} bytes per personalization.",
            f"{field}.custom_args",
        )


def _substitutions(payload: Json, personalization: Json, field: str) -> Iterator[Violation]:
    substitutions = personalization.get("substitutions")
    if not substitutions:
        return
    where = f"{field}.substitutions"
    if payload.get("template_id", "").startswith("d-"):
        yield Violation("Substitutions may not be used with dynamic templating", where)
    if not all(type(value) is str for value in substitutions.values()):
        yield Violation(
            "The substitution values must be an object of key/value pairs, where the values are all strings.", where
        )
    elif len(orjson.dumps(substitutions)) > MAX_SUBSTITUTIONS_BYTES:
        yield Violation("You are limited to 10,000 bytes of substitutions per personalization block.", where)
    if len(substitutions) > MAX_SUBSTITUTIONS:
        yield Violation("Substitutions are limited to 150 items per personalization block.", where)


def headers(given: Json, field: str) -> Iterator[Violation]:
    for name, value in given.items():
        if type(value) is not str:
            yield Violation("The header values must be strings.", f"{field}.{name}")
        if not name.isascii() or " " in name:
            yield Violation("Header keys can't contain non-ASCII characters and empty spaces.", field)
        if name.lower() in RESERVED_HEADERS:
            yield Violation("Header can not be one of the reserved keys.", f"{field}.{name}")


CHECKS: tuple[Callable[[Json, Json, str], Iterator[Violation]], ...] = (
    _recipients,
    _own_headers,
    _custom_args,
    _substitutions,
)
