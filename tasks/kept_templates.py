"""What people do with templates that an ESP keeps: list, push, pull, compare, pin. Called by the command line."""

import difflib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from data import accounts, audit_log, content, database, esp_templates, variables
from domain.campaigns import Sender
from domain.esp_templates import (
    KeptTemplate,
    NotTold,
    Parts,
    TemplateStore,
    Understood,
    Version,
    find,
    version_of,
)
from domain.templates import Content
from tasks import pinning, template_stores, wiring

_FILES = {"subject.txt": "subject", "body.html": "html", "body.txt": "text"}


@dataclass(frozen=True, slots=True)
class Pushed:
    """What an upload came to. `uploaded` False: the ESP holds the very same already.

    `held_by`: runs that still send another version, for whose sake the new one is not active.
    """

    template_id: str
    version_id: str
    content_hash: str
    uploaded: bool
    active: bool
    held_by: tuple[str, ...]
    warnings: tuple[str, ...]


def listing(provider: str) -> list[KeptTemplate]:
    """All templates that a provider keeps."""
    with closing(template_stores.open_store(provider)) as store:
        return list(store.templates())


def pinned_by(account_id: str, provider: str, template_id: str) -> dict[str, list[str]]:
    """Version id → live runs that send it and are not over."""
    with database.read(wiring.engine()) as connection:
        return esp_templates.open_runs(connection, account_id=account_id, provider=provider, template_id=template_id)


def local(account_id: str, name: str, *, subject: str | None) -> tuple[content.Template, Content]:
    """A local template with the account's own facts filled in: what is uploaded."""
    with database.read(wiring.engine()) as connection:
        account = accounts.get(connection, account_id)
    sender = Sender(account.sender_email, account.sender_name)
    return wiring.local_content(account, sender, name, subject=subject)


def push(account_id: str, provider: str, name: str, *, called: str | None, subject: str | None, by: str) -> Pushed:
    """Upload a local template, as a new version of the one of that name, or of `called`, or as a new one.

    Active at once, unless a run that is not over has pinned another version and would be stopped by that.
    """
    template, rendered = local(account_id, name, subject=subject)
    called = called or name
    with closing(template_stores.open_store(provider)) as store:
        parts = store.write(Parts(rendered.subject, rendered.html, rendered.text))
        before = next((one for one in store.templates() if one.name == called), None)
        held = _held(store, account_id, provider, before)
        if before is not None and (same := _same(store, before, parts)) is not None:
            return Pushed(before.id, same.id, parts.hash, uploaded=False, active=True, held_by=(), warnings=())
        label = f"{wiring.clock():%Y-%m-%d %H:%M} {parts.hash[:8]}"
        template_id, version_id = store.upload(called, label, parts, activate=not held)
        told, warnings = _read_back(store, template_id, version_id, parts)
        sent_by = store.sent_by(template_id, version_id)
    recorded = esp_templates.Recorded(
        account_id=account_id,
        provider=provider,
        name=called,
        template_id=template_id,
        version_id=version_id,
        sent_by=sent_by,
        content_hash=told.hash,
        local_hash=rendered.hash,
        understood=_of_local(template, rendered),
        recorded_at=wiring.clock(),
        recorded_by=by,
    )
    _keep(recorded, "template pushed", by)
    return Pushed(
        template_id, version_id, told.hash, uploaded=True, active=not held, held_by=tuple(held), warnings=warnings
    )


def _of_local(template: content.Template, rendered: Content) -> Understood:
    parts = Parts(rendered.subject, rendered.html, rendered.text)
    used = tuple(sorted({*rendered.variables, *(name for name in template.used if name in variables.LINKS)}))
    return Understood(parts, used, dict(template.fallbacks))


def _same(store: TemplateStore, kept: KeptTemplate, parts: Parts) -> Version | None:
    if kept.active is None:
        return None
    try:
        _, active = store.read(kept.id, kept.active.id)
    except NotTold:
        return None
    return kept.active if active.hash == parts.hash else None


def _held(store: TemplateStore, account_id: str, provider: str, kept: KeptTemplate | None) -> list[str]:
    """Runs that another active version would stop."""
    if kept is None or store.holds_pins:
        return []
    return [run for of_version in pinned_by(account_id, provider, kept.id).values() for run in of_version]


def _read_back(store: TemplateStore, template_id: str, version_id: str, parts: Parts) -> tuple[Parts, tuple[str, ...]]:
    """What the ESP made of it, which is what it will send."""
    try:
        _, told = store.read(template_id, version_id)
    except NotTold as error:
        return parts, (str(error),)
    if told.hash == parts.hash:
        return told, ()
    return told, ("the ESP changed what it was given: `campaigns templates compare` shows where",)


def _keep(recorded: esp_templates.Recorded, action: str, by: str) -> None:
    with database.write(wiring.engine()) as connection:
        esp_templates.record(connection, recorded)
        audit_log.write(
            connection,
            account_id=recorded.account_id,
            actor=by,
            action=action,
            subject=f"template:{recorded.provider}:{recorded.name}",
            detail={
                "template": recorded.template_id,
                "version": recorded.version_id,
                "content_hash": recorded.content_hash,
            },
            now=recorded.recorded_at,
        )


class StillSent(RuntimeError):
    """Another version cannot be pinned: runs that are not over send the one that is active."""


def pin(account_id: str, provider: str, name: str, version: str | None, *, by: str) -> tuple[KeptTemplate, str]:
    """Make this version the one that new runs send. Raises StillSent, NotInOurWords, TemplateStoreError."""
    with closing(template_stores.open_store(provider)) as store:
        kept = find(store.templates(), name)
        wanted = version_of(kept, version)
        held = {
            run
            for pinned, of_version in pinned_by(account_id, provider, kept.id).items()
            for run in of_version
            if pinned != wanted.id
        }
        if held and not store.holds_pins:
            raise StillSent(
                f"{', '.join(sorted(held))} still sends another version of {kept.name}, and would be stopped: wait until"
                " it is over, or cancel it"
            )
        recorded = pinning.read(store, account_id, provider, kept, wanted, by=by)
        active = store.activate(kept.id, wanted.id)
        sent_by = store.sent_by(kept.id, active)
    recorded = replace(recorded, version_id=active, sent_by=sent_by, recorded_at=wiring.clock(), recorded_by=by)
    _keep(recorded, "template pinned", by)
    return kept, active


def pull(provider: str, name: str, version: str | None, folder: Path) -> tuple[Version, Parts]:
    """Write what a version says, in the ESP's own language, into three files of the folder. Raises FileExistsError."""
    with closing(template_stores.open_store(provider)) as store:
        kept = find(store.templates(), name)
        found, parts = store.read(kept.id, version_of(kept, version).id)
    folder.mkdir(parents=True)
    for file, part in _FILES.items():
        (folder / file).write_text(getattr(parts, part), "utf-8")
    return found, parts


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sides by name, and the lines in which they differ; none where they say the same."""

    here: str
    there: str
    lines: tuple[str, ...]


def compare(
    account_id: str,
    provider: str,
    name: str,
    *,
    version: str | None = None,
    beside: str | None = None,
    local_name: str | None = None,
    subject: str | None = None,
) -> Compared:
    """A local template, or the version `beside`, next to a version at the ESP, or the active one.

    In the ESP's language. Raises TemplateStoreError, NotTold among it.
    """
    with closing(template_stores.open_store(provider)) as store:
        kept = find(store.templates(), name)
        right = version_of(kept, version)
        _, there = store.read(kept.id, right.id)
        if beside is not None:
            left = version_of(kept, beside)
            _, here = store.read(kept.id, left.id)
            label = f"version {left.name}"
        else:
            _, rendered = local(account_id, local_name or kept.name, subject=subject)
            here = store.write(Parts(rendered.subject, rendered.html, rendered.text))
            label = f"local {local_name or kept.name}"
    other = f"{provider}, version {right.name}{' (active)' if right.active else ''}"
    return Compared(label, other, tuple(_differences(here, there, label, other)))


def _differences(here: Parts, there: Parts, left: str, right: str) -> Iterator[str]:
    for part in _FILES.values():
        one, other = getattr(here, part).strip().splitlines(), getattr(there, part).strip().splitlines()
        yield from difflib.unified_diff(one, other, f"{part}: {left}", f"{part}: {right}", lineterm="", n=2)
