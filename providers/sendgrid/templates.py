"""SendGrid's dynamic templates as a TemplateStore: GET, POST /v3/templates and their versions, by the official client.

mail/send names a template and never a version of it: whoever is mailed gets the version that is active then.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from domain.esp_templates import (
    KeptTemplate,
    NotInOurWords,
    Parts,
    TemplateGone,
    TemplateStoreError,
    Understood,
    Version,
    moment,
)
from providers.sendgrid import handlebars
from providers.sendgrid.management import Management, ManagementError

_PAGE = 200  # the most that SendGrid allows
_LONGEST_NAME, _LONGEST_SUBJECT, _LARGEST_PART = 100, 255, 1_048_576  # characters, characters, bytes
_MOST_PAGES = 50  # an account may have 300 templates
_NOT_FOUND = 404


class SendGridTemplates:
    """A TemplateStore over one account."""

    holds_pins = False

    def __init__(self, management: Management) -> None:
        self._management = management

    def templates(self) -> list[KeptTemplate]:
        """All dynamic ones, by name; the old generation knows no variables of ours."""
        found: list[Any] = []
        token: str | None = None
        for _ in range(_MOST_PAGES):
            params: dict[str, int | str] = {"generations": "dynamic", "page_size": _PAGE}
            answer = self._get("templates", params | ({"page_token": token} if token else {}))
            rows = answer.get("result") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise TemplateStoreError("SendGrid's list of templates is not as documented")
            found += rows
            token = _next(answer)
            if token is None:
                break
        return sorted((_template(row) for row in found), key=lambda one: one.name)

    def read(self, template_id: str, version_id: str) -> tuple[Version, Parts]:
        """A version and what it says, in one request. Raises TemplateGone."""
        row = self._get(f"templates/{quote(template_id, safe='')}/versions/{quote(version_id, safe='')}")
        if not isinstance(row, dict) or not row.get("id"):
            raise TemplateStoreError("SendGrid's version of a template is not as documented")
        return _version(row), Parts(
            *(str(row.get(name) or "") for name in ("subject", "html_content", "plain_content"))
        )

    def upload(self, name: str, label: str, parts: Parts, *, activate: bool) -> tuple[str, str]:
        """A new version of the template of that name, or a new template. Raises NotInOurWords for what is too long."""
        _check_size(name, parts)
        same = [one.id for one in self.templates() if one.name == name]
        if len(same) > 1:
            raise TemplateStoreError(f"SendGrid keeps {len(same)} templates called {name!r}: rename all but one there")
        template_id = same[0] if same else str(self._post("templates", {"name": name, "generation": "dynamic"})["id"])
        body = {
            "name": label[:_LONGEST_NAME],
            "subject": parts.subject,
            "html_content": parts.html,
            "plain_content": parts.text,
            "generate_plain_content": False,  # else SendGrid writes a text part of its own over ours
            "active": int(activate),
            "editor": "code",
        }
        return template_id, str(self._post(f"templates/{template_id}/versions", body)["id"])

    def activate(self, template_id: str, version_id: str) -> str:
        """Mail that names the template gets this version. Raises TemplateGone."""
        path = f"templates/{quote(template_id, safe='')}/versions/{quote(version_id, safe='')}/activate"
        return str(self._post(path, None)["id"])

    def sent_by(self, template_id: str, version_id: str) -> str:  # noqa: ARG002 - SendGrid is told no version
        """Mail names the template."""
        return template_id

    def write(self, parts: Parts) -> Parts:
        """Ours in Handlebars."""
        return handlebars.write(parts)

    def understand(self, parts: Parts) -> Understood:
        """Handlebars in ours."""
        return handlebars.understand(parts)

    def close(self) -> None:
        """The official client keeps no connection."""

    def _get(self, path: str, params: dict[str, int | str] | None = None) -> Any:
        try:
            return self._management.get(path, params or {})
        except ManagementError as error:
            raise _told(error) from None

    def _post(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._management.post(path, body)
        except ManagementError as error:
            raise _told(error) from None
        if not isinstance(answer, dict) or not answer.get("id"):
            raise TemplateStoreError("SendGrid's answer about a template is not as documented: it names no id")
        return answer


def _told(error: ManagementError) -> TemplateStoreError:
    if error.status == _NOT_FOUND:
        return TemplateGone("SendGrid keeps no such template, or no such version of it, any more")
    return TemplateStoreError(str(error))


def _check_size(name: str, parts: Parts) -> None:
    if not 0 < len(name) <= _LONGEST_NAME:
        raise NotInOurWords(
            f"a template's name has 1 to {_LONGEST_NAME} characters at SendGrid, {name!r} has {len(name)}"
        )
    if not parts.subject or len(parts.subject) > _LONGEST_SUBJECT:
        raise NotInOurWords(f"the subject has {len(parts.subject)} characters, SendGrid takes 1 to {_LONGEST_SUBJECT}")
    for kind, part in (("HTML", parts.html), ("text", parts.text)):
        if (size := len(part.encode())) > _LARGEST_PART:
            raise NotInOurWords(f"the {kind} part has {size:,} bytes, SendGrid keeps no more than {_LARGEST_PART:,}")


def _template(row: Any) -> KeptTemplate:
    if not isinstance(row, dict) or not row.get("id"):
        raise TemplateStoreError("SendGrid's list of templates is not as documented: a row without id")
    versions = [_version(one) for one in row.get("versions") or ()]
    versions.sort(key=lambda one: (one.updated_at or datetime.min.replace(tzinfo=UTC), one.id), reverse=True)
    # SendGrid's own document writes this key with a blank behind it, the service does not.
    updated = row.get("updated_at") or row.get("updated_at ")
    return KeptTemplate(str(row["id"]), str(row.get("name") or ""), moment(updated), tuple(versions))


def _version(row: Any) -> Version:
    return Version(
        str(row["id"]), str(row.get("name") or ""), moment(row.get("updated_at")), active=row.get("active") == 1
    )


def _next(answer: dict[str, Any]) -> str | None:
    """The token of the next page; what SendGrid calls next is a whole URL."""
    metadata = answer.get("_metadata")
    url = metadata.get("next") if isinstance(metadata, dict) else None
    tokens = parse_qs(urlsplit(str(url or "")).query).get("page_token")
    return tokens[0] if tokens else None
