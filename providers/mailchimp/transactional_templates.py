"""Mailchimp Transactional's templates as a TemplateStore: templates/list, info, add and publish.

It keeps a draft and what is published, and no versions: so each version is a template of its own, whose slug mail names.
Rules: its OpenAPI file, and facts/esp-contracts.md 4.4.
"""

from typing import Any

from domain.esp_templates import (
    KeptTemplate,
    NotInOurWords,
    Parts,
    TemplateGone,
    TemplateStoreError,
    Understood,
    Version,
    by_name,
    moment,
    next_number,
    number_of,
    numbered,
)
from providers.mailchimp import transactional_tags
from providers.mailchimp.calls import CallFailed, call, open_transactional
from providers.mailchimp.config import MailchimpConfig

_LABEL = "campaigns"  # by which people see in its pages what is ours
_GONE = "Unknown_Template"


class TransactionalTemplates:
    """A TemplateStore over one account."""

    holds_pins = True

    def __init__(self, config: MailchimpConfig) -> None:
        self._key = config.required_transactional_key()
        self._client = open_transactional(config)

    def templates(self) -> list[KeptTemplate]:
        """All, by name; those that only differ in their number are one."""
        rows = self._call("list")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("slug") for row in rows):
            raise TemplateStoreError("Mailchimp Transactional's list of templates is not as documented")
        return [_template(name, group) for name, group in by_name(rows, lambda row: str(row["slug"])).items()]

    def read(self, template_id: str, version_id: str) -> tuple[Version, Parts]:  # noqa: ARG002 - the slug says it all
        """A version as it is published, which is what is sent. Raises TemplateGone."""
        row = self._row("info", name=version_id)
        published = "publish_" if row.get("published_at") else ""
        parts = Parts(*(str(row.get(published + name) or "") for name in ("subject", "code", "text")))
        return _version(row, active=bool(published)), parts

    def upload(self, name: str, label: str, parts: Parts, *, activate: bool) -> tuple[str, str]:  # noqa: ARG002
        """A template of the next number. Raises NotInOurWords where the name ends as a number of ours does."""
        if number_of(name)[1]:
            raise NotInOurWords(f"{name!r} ends like a version of ours: name the template without it")
        group = next((one for one in self.templates() if one.id == name), None)
        number = next_number(one.id for one in group.versions) if group else 1
        row = self._row(
            "add",
            name=numbered(name, number),
            subject=parts.subject,
            code=parts.html,
            text=parts.text,
            publish=activate or group is None,
            labels=[_LABEL],
        )
        return number_of(str(row["slug"]))[0], str(row["slug"])

    def activate(self, template_id: str, version_id: str) -> str:
        """Publish a draft; one that newer ones came after becomes the newest again, as a copy."""
        group = next((one for one in self.templates() if one.id == template_id), None)
        found = next((one for one in group.versions if one.id == version_id), None) if group else None
        if group is None or found is None:
            raise TemplateGone(f"Mailchimp Transactional keeps no template {version_id!r} any more")
        if found == group.active:
            return version_id
        version, parts = self.read(template_id, version_id)
        if not version.active and found == group.versions[0]:
            return str(self._row("publish", name=version_id)["slug"])
        return self.upload(template_id, "", parts, activate=True)[1]

    def sent_by(self, template_id: str, version_id: str) -> str:  # noqa: ARG002 - the slug says it all
        """Mail names the slug of the version."""
        return version_id

    def write(self, parts: Parts) -> Parts:
        """Ours as merge tags."""
        return transactional_tags.write(parts)

    def understand(self, parts: Parts) -> Understood:
        """Merge tags in ours."""
        return transactional_tags.understand(parts)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _row(self, verb: str, **body: Any) -> dict[str, Any]:
        row = self._call(verb, **body)
        if not isinstance(row, dict) or not row.get("slug"):
            raise TemplateStoreError(f"Mailchimp Transactional's answer to templates/{verb} is not as documented")
        return row

    def _call(self, verb: str, **body: Any) -> Any:
        try:
            return call(self._client, "POST", f"/templates/{verb}.json", body={"key": self._key, **body})
        except CallFailed as error:
            if error.title == _GONE:
                raise TemplateGone("Mailchimp Transactional keeps no such template any more") from None
            raise TemplateStoreError(str(error)) from None


def _template(name: str, rows: list[dict[str, Any]]) -> KeptTemplate:
    """The newest published one is active."""
    ordered = sorted(rows, key=lambda row: number_of(row["slug"])[1], reverse=True)
    active = next((row["slug"] for row in ordered if row.get("published_at")), None)
    versions = tuple(_version(row, active=row["slug"] == active) for row in ordered)
    return KeptTemplate(name, name, versions[0].updated_at, versions)


def _version(row: dict[str, Any], *, active: bool) -> Version:
    return Version(str(row["slug"]), str(row.get("name") or row["slug"]), moment(row.get("updated_at")), active)
