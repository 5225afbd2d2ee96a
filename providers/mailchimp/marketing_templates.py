"""Mailchimp Marketing's classic templates as a TemplateStore: GET, POST /templates.

They are HTML alone, without subject or text, and are never given back: the API tells of a template all but its HTML. So
what a version says is what we uploaded, and a run's content travels with its campaign; a version is a template of its
own. Rules: Mailchimp's OpenAPI file; its merge tags have at most ten characters.
"""

from typing import Any, NoReturn

from domain.esp_templates import (
    KeptTemplate,
    NotInOurWords,
    NotTold,
    Parts,
    TemplateGone,
    TemplateStoreError,
    Understood,
    Version,
    bare,
    by_name,
    moment,
    next_number,
    number_of,
    numbered,
    spelled,
)
from domain.templates import html_tag, plain_tag
from providers.mailchimp.calls import CallFailed, call, open_marketing
from providers.mailchimp.config import MailchimpConfig

_MOST = 1000
_LONGEST_NAME = 50
_LONGEST_TAG = 10
# Mailchimp's own: its standard fields, and its links, which every campaign must have.
_UNSUBSCRIBE = "unsubscribe_url"
_OWN = {"first_name": "FNAME", "last_name": "LNAME", _UNSUBSCRIBE: "UNSUB"}
_PREFERENCES = "/preferences"  # behind the unsubscribe link it is the link to the preferences (data/variables.py)


class MarketingTemplates:
    """A TemplateStore over one account."""

    holds_pins = True

    def __init__(self, config: MailchimpConfig) -> None:
        self._client = open_marketing(config)

    def templates(self) -> list[KeptTemplate]:
        """All that users made, by name; those that only differ in their number are one."""
        fields = "templates.id,templates.name,templates.active,templates.date_created,templates.date_edited"
        answer = self._call("GET", "/templates", type="user", count=_MOST, fields=fields)
        rows = answer.get("templates") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
            raise TemplateStoreError("Mailchimp's list of templates is not as documented")
        kept = [row for row in rows if row.get("active") is not False]  # what was not deleted there
        return [_template(name, group) for name, group in by_name(kept, lambda row: str(row.get("name") or "")).items()]

    def read(self, template_id: str, version_id: str) -> NoReturn:  # noqa: ARG002 - whatever is asked
        """Mailchimp tells of a template all but what it says. Raises NotTold."""
        raise NotTold("Mailchimp Marketing does not give a template's HTML back: only what was pushed is known here")

    def upload(self, name: str, label: str, parts: Parts, *, activate: bool) -> tuple[str, str]:  # noqa: ARG002
        """A template of the next number. Raises NotInOurWords."""
        group = next((one for one in self.templates() if one.name == name), None)
        number = next_number(one.name for one in group.versions) if group else 1
        called = numbered(name, number)
        if number_of(name)[1] or len(called) > _LONGEST_NAME:
            raise NotInOurWords(
                f"Mailchimp takes names of {_LONGEST_NAME} characters, the version is one of them: {called!r}"
            )
        answer = self._call("POST", "/templates", {"name": called, "html": parts.html})
        if not isinstance(answer, dict) or not answer.get("id"):
            raise TemplateStoreError("Mailchimp's answer to a new template is not as documented")
        return name, str(answer["id"])

    def activate(self, template_id: str, version_id: str) -> str:
        """The newest is active already; older ones are pushed again, as their HTML is not given back."""
        group = next((one for one in self.templates() if one.id == template_id), None)
        if group is None or all(one.id != version_id for one in group.versions):
            raise TemplateGone("Mailchimp keeps no such template any more")
        if group.active is None or group.active.id != version_id:
            raise TemplateStoreError("only the newest version is active at Mailchimp: push the older template again")
        return version_id

    def sent_by(self, template_id: str, version_id: str) -> None:
        """Its content travels with the campaign."""

    def write(self, parts: Parts) -> Parts:
        """Ours as merge tags. Raises NotInOurWords."""
        if "*|" in bare(parts):
            raise NotInOurWords("the template holds *|, which Mailchimp takes for a merge tag: write it another way")
        for tag in (html_tag(_UNSUBSCRIBE), plain_tag(_UNSUBSCRIBE)):
            parts = Parts(
                parts.subject,
                parts.html.replace(tag + _PREFERENCES, "*|UPDATE_PROFILE|*"),
                parts.text.replace(tag + _PREFERENCES, "*|UPDATE_PROFILE|*"),
            )
        tags = _Tags()
        return spelled(parts, plain=tags.of, html=tags.of)

    def understand(self, parts: Parts) -> Understood:  # noqa: ARG002 - there is nothing to understand
        """Nothing is given back that could be understood."""
        raise NotInOurWords("Mailchimp Marketing does not give a template's HTML back")

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, **params: Any) -> Any:
        try:
            return call(self._client, method, path, body=body, **params)
        except CallFailed as error:
            raise TemplateStoreError(str(error)) from None


class _Tags:
    """Merge tags of variables: two that look alike in ten characters would fill each other's place."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, name: str) -> str:
        tag = _OWN.get(name) or name.upper()[:_LONGEST_TAG]
        if (other := self._names.setdefault(tag, name)) != name:
            raise NotInOurWords(f"{name} and {other} have the same merge tag {tag} at Mailchimp")
        return f"*|{tag}|*"


def _template(name: str, rows: list[dict[str, Any]]) -> KeptTemplate:
    ordered = sorted(rows, key=lambda row: (number_of(str(row["name"]))[1], int(row["id"])), reverse=True)
    versions = tuple(_version(row, active=place == 0) for place, row in enumerate(ordered))
    return KeptTemplate(name, name, versions[0].updated_at, versions)


def _version(row: dict[str, Any], *, active: bool) -> Version:
    edited = row.get("date_edited") or row.get("date_created")
    return Version(str(row["id"]), str(row["name"]), moment(edited), active)
