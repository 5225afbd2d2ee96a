"""SendGrid's endpoints of transactional templates and their versions."""

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from providers.sandbox import kept_templates
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.state import Running, require_key

router = APIRouter(prefix="/v3/templates", dependencies=[Depends(require_key)])
_Generations = Literal["legacy", "dynamic", "legacy,dynamic"]
_LARGEST = 1_048_576
_Thing = TypeVar("_Thing")


class NewTemplate(BaseModel):
    """What a template is called, with the length that SendGrid allows."""

    name: str = Field(min_length=1, max_length=100)
    generation: Literal["legacy", "dynamic"] = "legacy"


class NewVersion(BaseModel):
    """What a version says, with the lengths that SendGrid allows."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=100)
    subject: str = Field(max_length=255)
    html_content: str = Field("", max_length=_LARGEST)
    plain_content: str = Field("", max_length=_LARGEST)
    generate_plain_content: bool = True
    active: Literal[0, 1] = 0
    editor: Literal["code", "design"] = "code"


class ChangedVersion(NewVersion):
    """Any part of it."""

    name: str = Field("", max_length=100)
    subject: str = Field("", max_length=255)


@router.post("", status_code=201)
def create(template: NewTemplate, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        return kept_templates.create(connection, template.name, template.generation)


@router.get("")
def every(
    sandbox: Running,
    page_size: Annotated[int, Query(ge=1, le=200)],
    generations: _Generations = "legacy",
    page_token: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    with sandbox.store.read() as connection:
        rows = kept_templates.page(connection, generations.split(","), page_token, page_size + 1)
    shown = rows[:page_size]
    own = f"{sandbox.config.url}/v3/templates?generations={generations}&page_size={page_size}"
    metadata: dict[str, Any] = {"self": f"{own}&page_token={page_token}", "count": len(shown)}
    if len(rows) > len(shown):
        metadata["next"] = f"{own}&page_token={shown[-1][0]}"
    return {"result": [row for _, row in shown], "_metadata": metadata}


@router.get("/{template_id}")
def one(template_id: str, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.read() as connection:
        return _found(kept_templates.get(connection, template_id))


@router.delete("/{template_id}", status_code=204)
def delete(template_id: str, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        _found(kept_templates.delete(connection, template_id) or None)


@router.post("/{template_id}/versions", status_code=201)
def add_version(template_id: str, version: NewVersion, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        template = _found(kept_templates.get(connection, template_id))
        if len(template["versions"]) >= kept_templates.MOST_VERSIONS:
            raise Refused(400, Violation(f"a template has at most {kept_templates.MOST_VERSIONS} versions"))
        return kept_templates.add_version(connection, template_id, version.model_dump())


@router.get("/{template_id}/versions/{version_id}")
def version(template_id: str, version_id: str, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.read() as connection:
        return _found(kept_templates.version(connection, template_id, version_id))


@router.patch("/{template_id}/versions/{version_id}")
def change_version(template_id: str, version_id: str, changed: ChangedVersion, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        _found(kept_templates.version(connection, template_id, version_id))
        facts = changed.model_dump(exclude_unset=True)
        return kept_templates.change_version(connection, template_id, version_id, facts)


@router.delete("/{template_id}/versions/{version_id}", status_code=204)
def delete_version(template_id: str, version_id: str, sandbox: Running) -> None:
    with sandbox.store.write() as connection:
        _found(kept_templates.delete_version(connection, template_id, version_id) or None)


@router.post("/{template_id}/versions/{version_id}/activate")
def activate(template_id: str, version_id: str, sandbox: Running) -> dict[str, Any]:
    with sandbox.store.write() as connection:
        _found(kept_templates.version(connection, template_id, version_id))
        kept_templates.activate(connection, template_id, version_id)
        return _found(kept_templates.version(connection, template_id, version_id))


def _found(thing: _Thing | None) -> _Thing:
    if thing is None:
        raise Refused(404, Violation("not found"))
    return thing
