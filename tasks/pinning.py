"""The version of a template at the ESP that a run sends: pinned when the run is opened, looked at while it sends."""

from collections.abc import Callable
from contextlib import closing

from data import database, esp_templates, runs, variables
from data.esp_templates import Recorded
from domain import ports
from domain.campaigns import Run, RunStatus
from domain.esp_templates import (
    KeptTemplate,
    NotInOurWords,
    NotTold,
    PinnedMailer,
    TemplateGone,
    TemplateStore,
    Understood,
    Version,
    find,
    kept_name,
    version_of,
)
from tasks import template_stores, wiring


def pin(run: Run) -> None:
    """Read the version that mail would be sent by now, and keep it with the run. Of a local template: nothing.

    Raises TemplateStoreError, and CannotStart where it cannot be sent; then the run is stopped, and says why.
    """
    name = kept_name(run.plan.template)
    if name is None or run.status is not RunStatus.CREATED:
        return
    try:
        recorded = active(run.plan.account_id, run.plan.provider, name, by=f"run {run.id}")
        _check_subject(run, recorded)
    except (TemplateGone, NotTold, NotInOurWords, template_stores.KeepsNoTemplates) as error:
        _stop(run, f"the template {name} at {run.plan.provider} cannot be sent: {error}")
    with database.write(wiring.engine()) as connection:
        esp_templates.pin(connection, run, esp_templates.record(connection, recorded), now=wiring.clock())


def active(account_id: str, provider: str, name: str, *, by: str) -> Recorded:
    """The version that a new run would send. Raises TemplateStoreError, NotInOurWords, KeepsNoTemplates."""
    with closing(template_stores.open_store(provider)) as store:
        kept = find(store.templates(), name)
        return read(store, account_id, provider, kept, version_of(kept, None), by=by)


def _stop(run: Run, reason: str) -> None:
    with database.write(wiring.engine()) as connection:
        found = runs.get(connection, run.id, locked=True)
        if found.status is RunStatus.CREATED:
            runs.advance(connection, found, RunStatus.STOPPED, stop_reason=reason)
    raise wiring.CannotStart(f"Nothing was sent: {reason}.")


def _check_subject(run: Run, recorded: Recorded) -> None:
    own = recorded.understood.parts.subject
    if own and run.plan.subject:
        raise NotInOurWords("its subject is a part of it: leave the run's subject empty, or push it with --subject")
    if not own and not run.plan.subject:
        raise NotInOurWords("the ESP keeps no subject with it: give the run one")


def read(
    store: TemplateStore, account_id: str, provider: str, kept: KeptTemplate, version: Version, *, by: str
) -> Recorded:
    """A version in our words, with what is known of it from its upload. Raises NotInOurWords, TemplateStoreError."""
    with database.read(wiring.engine()) as connection:
        uploaded = esp_templates.of_version(
            connection, account_id=account_id, provider=provider, template_id=kept.id, version_id=version.id
        )
    try:
        _, parts = store.read(kept.id, version.id)
    except NotTold:
        if uploaded is None:
            raise
        return uploaded
    if uploaded is not None and uploaded.content_hash == parts.hash:
        return uploaded
    understood = checked(store.understand(parts))
    return Recorded(
        account_id=account_id,
        provider=provider,
        name=kept.name,
        template_id=kept.id,
        version_id=version.id,
        sent_by=store.sent_by(kept.id, version.id),
        content_hash=parts.hash,
        local_hash=None,
        understood=understood,
        recorded_at=wiring.clock(),
        recorded_by=by,
    )


def checked(understood: Understood) -> Understood:
    """Refuse what could not be filled in or must not be sent. Raises NotInOurWords."""
    known = {*variables.VARIABLES, variables.UNSUBSCRIBE_URL}
    if unknown := sorted(set(understood.used) - known):
        raise NotInOurWords(f"it uses {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    if esp_templates.lacks_way_out(understood.parts):
        raise NotInOurWords("a part of it has no unsubscribe_url: marketing mail must offer a way out")
    return understood


def changed(run: Run) -> str | None:
    """Why the ESP would send something else than the run has pinned; None where it would not.

    Raises TemplateStoreError where that cannot be seen.
    """
    with database.read(wiring.engine()) as connection:
        pinned = esp_templates.of_run(connection, run)
    if pinned.sent_by is None:
        return None  # its content travels with the mail: whatever the ESP keeps is not sent
    back = (
        f"{pinned.name} at {pinned.provider} is not what run {run.id} has pinned (version {pinned.version_id}): %s."
        " Nothing more is sent. Put it back (`campaigns templates pin`) and resume the run, or cancel it"
    )
    try:
        with closing(template_stores.open_store(pinned.provider)) as store:
            version, parts = store.read(pinned.template_id, pinned.version_id)
    except TemplateGone:
        return back % "that version is gone"
    if parts.hash != pinned.content_hash:
        return back % "it says something else now"
    return None if version.active else back % "another version is active"


def watched(run: Run, mailer: ports.Mailer) -> ports.Mailer:
    """A mailer that sends by the pinned version only; where the content travels with the mail, the mailer itself."""
    if kept_name(run.plan.template) is None:
        return mailer
    with database.read(wiring.engine()) as connection:
        if esp_templates.of_run(connection, run).sent_by is None:
            return mailer
    still: Callable[[], str | None] = lambda: changed(run)  # noqa: E731 - its place is this one call
    return PinnedMailer(mailer, still, wiring.clock)
