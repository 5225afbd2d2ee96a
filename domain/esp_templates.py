"""Templates that an ESP keeps: a name, versions of it, and the one of them that a run has pinned.

A version is an ESP's own words (its placeholders, its ids); what a run needs of it is read into ours once, when the run is
opened, and kept with the run. So nothing that is changed at the ESP afterwards can change what was checked and approved:
it can only stop the run.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from domain import ports, templates
from domain.ledger import Outcome, OutcomeKind

_Row = TypeVar("_Row")
# A run's template is a local one's name, or this and the name of one that the run's own provider keeps.
_PREFIX = "esp:"


class TemplateStoreError(RuntimeError):
    """The ESP gave no usable answer about templates. Asking again is safe. The message names no address."""


class TemplateGone(TemplateStoreError):
    """There is no such template, or no such version of it, at the ESP."""


class NotTold(TemplateStoreError):
    """The ESP does not give back what a version says: only what we uploaded is known."""


_NUMBERED = re.compile(r"(.+)-v([1-9][0-9]{0,5})")


def numbered(name: str, number: int) -> str:
    """Where an ESP knows no versions, each is a template of its own: win-back-v3."""
    return f"{name}-v{number}"


def number_of(name: str) -> tuple[str, int]:
    """The name without its version, and which one it is; 0 of a template that was not numbered by us."""
    match = _NUMBERED.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 0)


def by_name(rows: Iterable[_Row], called: Callable[[_Row], str]) -> dict[str, list[_Row]]:
    """Rows of an ESP's list under their names, in order; those that only differ in their number are one template."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(number_of(called(row))[0], []).append(row)
    return dict(sorted(groups.items()))


def next_number(taken: Iterable[str]) -> int:
    """The number of the next version, where these are the names of those that there are."""
    return 1 + max((number_of(one)[1] for one in taken), default=0)


def moment(text: object) -> datetime | None:
    """A time as ESPs write it, in UTC unless they say otherwise; None for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class NotInOurWords(ValueError):
    """A version does what we cannot check, or a template cannot be said in the ESP's language."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A mail for all, in the ESP's language or in ours."""

    subject: str
    html: str
    text: str

    @property
    def hash(self) -> str:
        """SHA-256 of what it says; how lines end says nothing, and ESPs change it."""
        said = "\0".join("\n".join(part.strip().splitlines()) for part in (self.subject, self.html, self.text))
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a template. `active`: whoever names the template gets this one."""

    id: str
    name: str
    updated_at: datetime | None
    active: bool


@dataclass(frozen=True, slots=True)
class KeptTemplate:
    """A template at an ESP, its versions from the newest to the oldest."""

    id: str
    name: str
    updated_at: datetime | None
    versions: tuple[Version, ...]

    @property
    def active(self) -> Version | None:
        return next((one for one in self.versions if one.active), None)


@dataclass(frozen=True, slots=True)
class Understood:
    """A version in our words: our placeholders, whose variables it uses, and what stands where one has no value."""

    parts: Parts
    used: tuple[str, ...]
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class TemplateStore(Protocol):
    """Where an ESP keeps templates. All raise TemplateStoreError; what names an id raises TemplateGone."""

    @property
    def holds_pins(self) -> bool:
        """Mail names the very version, or carries it: activating another changes nothing of a run under way."""
        ...

    def templates(self) -> Sequence[KeptTemplate]:
        """All of them, by name."""
        ...

    def read(self, template_id: str, version_id: str) -> tuple[Version, Parts]:
        """A version and what it says, in the ESP's language. Raises NotTold where the ESP keeps that to itself."""
        ...

    def upload(self, name: str, label: str, parts: Parts, *, activate: bool) -> tuple[str, str]:
        """A new template, or a new version of the one of this name; ids of both. No version is ever overwritten.

        The first version of a template is active whatever is asked.
        """
        ...

    def activate(self, template_id: str, version_id: str) -> str:
        """Whoever names the template gets this version from now on. Its id, which may be a new one."""
        ...

    def sent_by(self, template_id: str, version_id: str) -> str | None:
        """What mail calls it by (Content.esp_template_id); None where its content travels with the mail."""
        ...

    def write(self, parts: Parts) -> Parts:
        """Ours in the ESP's language. Raises NotInOurWords."""
        ...

    def understand(self, parts: Parts) -> Understood:
        """The ESP's in ours. Raises NotInOurWords."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


def as_template(name: str) -> str:
    """How a run names a template that its provider keeps."""
    return f"{_PREFIX}{name}"


def kept_name(template: str) -> str | None:
    """The name at the ESP; None of a local template."""
    return template.removeprefix(_PREFIX) if template.startswith(_PREFIX) else None


def find(kept: Iterable[KeptTemplate], name: str) -> KeptTemplate:
    """The one of this name or id. Raises TemplateGone, also where two have the name: an id says which."""
    found = [one for one in kept if name in (one.name, one.id)]
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise TemplateGone(f"the ESP keeps {len(found)} templates called {name!r} ({ids}): name one of them by its id")
    if not found:
        raise TemplateGone(
            f"the ESP keeps no template {name!r}: `campaigns templates at-esp` lists those that it keeps"
        )
    return found[0]


def version_of(template: KeptTemplate, version: str | None) -> Version:
    """The version of this id or name, or the active one. Raises TemplateGone."""
    if version is None:
        if template.active is None:
            raise TemplateGone(f"no version of {template.name!r} is active at the ESP: pin one, then mail can name it")
        return template.active
    found = [one for one in template.versions if version in (one.id, one.name)]
    if len(found) != 1:
        raise TemplateGone(f"{template.name!r} has {len(found)} versions {version!r}: `campaigns templates versions`")
    return found[0]


_NAME = r"([A-Za-z_][A-Za-z_0-9]*)"
_PLAIN = re.compile(re.escape(templates.plain_tag("NAME")).replace("NAME", _NAME))
_HTML = re.compile(re.escape(templates.html_tag("NAME")).replace("NAME", _NAME))


def spelled(parts: Parts, *, plain: Callable[[str], str], html: Callable[[str], str]) -> Parts:
    """Our placeholders in another spelling: `plain` in subject and text, `html`, which must escape, in the HTML."""
    return Parts(
        _PLAIN.sub(lambda match: plain(match[1]), parts.subject),
        _HTML.sub(lambda match: html(match[1]), parts.html),
        _PLAIN.sub(lambda match: plain(match[1]), parts.text),
    )


def bare(parts: Parts) -> str:
    """All that is said besides placeholders: where the ESP's own signs must not stand."""
    return "\n".join((_PLAIN.sub("\0", parts.subject), _HTML.sub("\0", parts.html), _PLAIN.sub("\0", parts.text)))


@dataclass(slots=True)
class PinnedMailer:
    """A Mailer that looks, every few seconds of a long wave, whether the ESP still holds what the run has pinned.

    ESPs take a template's name and not its version, so a version that is changed in mid-wave would be sent at once to
    all who are left. What may slip through is what is handed over between a change and the next look.
    """

    mailer: ports.Mailer
    changed: Callable[[], str | None]  # why it is not what was pinned; raises TemplateStoreError
    clock: Callable[[], datetime]
    every: timedelta = timedelta(seconds=15)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen_at: datetime | None = None

    @property
    def capabilities(self) -> ports.Capabilities:
        return self.mailer.capabilities

    def send(self, batch: ports.Batch) -> Outcome:
        """Hand over, or say why not: then nothing was sent.

        The mail names the template and brings values. Our reading of its parts stays here: an ESP that lacked a part
        would send ours, placeholders and all.
        """
        with self._lock:
            refusal = self._look()
        if refusal is not None:
            return refusal
        return self.mailer.send(replace(batch, content=replace(batch.content, subject="", html="", text="")))

    def _look(self) -> Outcome | None:
        now = self.clock()
        if self._seen_at is not None and now - self._seen_at < self.every:
            return None
        try:
            why = self.changed()
        except TemplateStoreError as error:
            detail = f"it cannot be seen whether the template is still the pinned one: {error}"
            return Outcome(OutcomeKind.NOT_SENT, detail=detail, local=True, retry_after=self.every)
        if why is not None:
            return Outcome(OutcomeKind.NOT_SENT, detail=why, local=True, stop_provider=True)
        self._seen_at = now
        return None

    def close(self) -> None:
        """Give the mailer's connections back."""
        self.mailer.close()
