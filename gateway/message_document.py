"""The OpenAPI document of /messages: what its routes cannot say of themselves, and how the whole is put together."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from data.content import Template
from domain import template_fields
from gateway import problems
from gateway.message_answers import Accepted
from gateway.message_bodies import EXAMPLE, MessageRequest

VERSION = "1"
_SCHEMAS = "#/components/schemas/"
_DESCRIPTION = """Mail that a customer waits for, asked for by the shop's own software.

A request with an `Idempotency-Key` asks for one message, however often it is sent: after a timeout, a 429 or a 503 send
the same request again. Every error is a problem (RFC 9457); none of them repeats a value of yours."""
_RETRY = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750", "schema": {"type": "string"}}}
_HEADERS: Mapping[int, Any] = {401: _CHALLENGE, 403: _CHALLENGE, 429: _RETRY, 503: _RETRY}


class FieldFault(BaseModel):
    """A field of the request, and what is wrong with it."""

    field: str = Field(examples=["variables.reset_url"])
    detail: str = Field(examples=["is missing (the link that lets them choose a new password)"])


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["urn:campaign-engine:problem:invalid"], description="what programs tell apart")
    title: str
    status: int
    detail: str
    errors: list[FieldFault] = Field(default_factory=list, description="of `invalid`: each field that is wrong")
    reason: str = Field(
        "",
        description="of `recipient-refused`: hard_bounce, invalid, complaint, erased or manual as suppressed here, or relay:"
        " a marketplace's address",
    )


def _problems(*statuses: int) -> dict[int | str, Any]:
    """The answers of these statuses, each with an example of every kind."""
    found: dict[int | str, Any] = {}
    for status in statuses:
        kinds = {kind: title for kind, (own, title) in problems.KINDS.items() if own == status}
        found[status] = {
            "description": "; ".join(kinds.values()),
            "headers": _HEADERS.get(status, {}),
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": {"$ref": f"{_SCHEMAS}Problem"},
                    "examples": {kind: {"value": problems.shown(kind)} for kind in kinds},
                }
            },
        }
    return found


_ACCEPTED = {
    "description": "Kept; the same for each repetition",
    "model": Accepted,
    "headers": {
        "Location": {"description": "The message's history", "required": True, "schema": {"type": "string"}},
        "Idempotent-Replayed": {
            "description": "Present where this request had come before",
            "schema": {"type": "string", "const": "true"},
        },
    },
}
ASK: dict[str, Any] = {
    "operation_id": "askForMessage",
    "summary": "Ask for a message",
    "response_model": None,
    "responses": {202: _ACCEPTED, **_problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503)},
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"{_SCHEMAS}MessageRequest"},
                    "examples": {"a password reset": {"value": EXAMPLE}},
                }
            },
        },
    },
}
SHOW: dict[str, Any] = {
    "operation_id": "showMessage",
    "summary": "What became of a message",
    "responses": _problems(401, 403, 404, 429, 500, 503),
}


def of(routes: APIRouter, templates: Sequence[Template]) -> dict[str, Any]:
    """The document of these routes, with what each template needs."""
    found = get_openapi(
        title="Transactional messages",
        version=VERSION,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=routes.routes,
    )
    for path in found["paths"].values():
        for operation in path.values():
            told = operation["responses"].get("422", {}).get("content", {})
            if "HTTPValidationError" in str(told):  # the framework's own word; ours are problems
                del operation["responses"]["422"]
    found["components"]["schemas"] = _schemas(found["components"]["schemas"], templates)
    return found


def _schemas(framework: Mapping[str, Any], templates: Sequence[Template]) -> dict[str, Any]:
    schemas = {name: one for name, one in framework.items() if name not in {"HTTPValidationError", "ValidationError"}}
    for name, model in (("MessageRequest", MessageRequest), ("Problem", ProblemDocument)):
        schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    if templates:
        whole, fields = schemas["MessageRequest"], schemas.pop("Variables")
        named = {f"MessageRequest.{one.name}": _for_template(one, whole, fields) for one in templates}
        references = [f"{_SCHEMAS}{name}" for name in named]
        mapping = {one.name: reference for one, reference in zip(templates, references, strict=True)}
        schemas |= named
        schemas["MessageRequest"] = {
            "description": whole["description"],
            "oneOf": [{"$ref": reference} for reference in references],
            "discriminator": {"propertyName": "template", "mapping": mapping},
        }
    return schemas


def _for_template(template: Template, whole: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The request for one template: the fields that it may have, those that it needs, and how long it is of use."""
    allowed = template_fields.allowed(template.purpose)
    needed = [name for name in template.required if name in allowed]
    own = {name: schema for name, schema in fields["properties"].items() if name in allowed}
    own |= {name: _not_null(own[name]) for name in needed}
    properties = whole["properties"] | {
        "template": {"type": "string", "const": template.name},
        "variables": {"type": "object", "properties": own, "required": needed, "additionalProperties": False},
        "useful_seconds": {
            **_not_null(whole["properties"]["useful_seconds"], "null"),
            "maximum": int(template.timing.useful.total_seconds()),
        },
    }
    return {**whole, "title": template.title, "description": template.description, "properties": properties}


def _not_null(schema: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """An optional field's schema as it is where there is a value."""
    (inner,) = (one for one in schema["anyOf"] if one.get("type") != "null")
    kept = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    return {**inner, **kept, **({"type": [inner["type"], *more]} if more else {})}
