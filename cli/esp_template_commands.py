"""Commands about templates that an ESP keeps: at-esp, versions, push, pull, compare, pin; and who lacks a value."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, table
from cli.segment_options import Only, With, Without, arguments_of, rules_of

if TYPE_CHECKING:
    from data.missing_values import Gaps
    from domain.campaigns import Run

Name = Annotated[str, typer.Argument(metavar="NAME", help="A template, by its name or its id at the provider.")]
Provider = Annotated[str, typer.Option(help="Who keeps it: sandbox, sendgrid, mailchimp, mailchimp-transactional, …")]
Version = Annotated[str | None, typer.Option(metavar="VERSION", help="Its id or name; the active one unless given.")]
Subject = Annotated[str | None, typer.Option(help="Replaces the local template's own subject.")]
_DIFFERENT = 1
_LACKING = 1


def register(app: typer.Typer) -> None:
    """Add these commands to those about templates."""
    app.command("at-esp")(at_esp)
    app.command("versions")(versions)
    app.command("push")(push)
    app.command("pull")(pull)
    app.command("compare")(compare)
    app.command("pin")(pin)
    app.command("missing")(missing)


def at_esp(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Who keeps them.")], as_json: AsJson = False
) -> None:
    """The templates that a provider keeps."""
    from tasks import kept_templates

    found = kept_templates.listing(provider)
    rows = [
        (one.name, one.active.name if one.active else "none", len(one.versions), one.updated_at, one.id)
        for one in found
    ]
    heads = ["template", "active version", "versions", "updated (UTC)", "id"]
    empty = f"{provider} keeps no templates. `campaigns templates push NAME --provider {provider}` uploads one."
    answer([asdict(one) for one in found], as_json=as_json, text=table("", heads, rows) if rows else empty)


def versions(name: Name, provider: Provider, account: store.Account = None, as_json: AsJson = False) -> None:
    """The versions of a template, and which runs that are not over send them."""
    from domain.esp_templates import find
    from tasks import kept_templates

    account_id = store.chosen_account(store.engine(), account)
    kept = find(kept_templates.listing(provider), name)
    pinned = kept_templates.pinned_by(account_id, provider, kept.id)
    facts = [{**asdict(one), "pinned_by": pinned.get(one.id, [])} for one in kept.versions]
    rows = [(one.name, one.active, one.updated_at, one.id, ", ".join(pinned.get(one.id, []))) for one in kept.versions]
    heads = ["version", "active", "updated (UTC)", "id", "pinned by runs"]
    answer(facts, as_json=as_json, text=table(f"{kept.name} at {provider} ({kept.id})", heads, rows))


def push(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A local template.")],
    provider: Provider,
    called: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Its name there, if another.")] = None,
    subject: Subject = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Upload a local template with the account's own facts filled in: as a new template, or as a new version.

    No version is overwritten. The new one is active, unless a run that is not over sends another.
    """
    from tasks import kept_templates

    account_id = store.chosen_account(store.engine(), account)
    found = kept_templates.push(account_id, provider, name, called=called, subject=subject, by=store.person())
    kept = called or name
    lines = [f"{kept} at {provider}: version {found.version_id} of {found.template_id}."]
    if not found.uploaded:
        lines = [f"{kept} at {provider} says the very same already (version {found.version_id}): nothing was uploaded."]
    elif not found.active:
        lines.append(
            f"It is not active: {', '.join(found.held_by)} still sends another version. When that is over:"
            f" campaigns templates pin {kept} --provider {provider} --version {found.version_id}"
        )
    else:
        lines.append(f"It is active: `campaigns run … --provider {provider} --esp-template {kept}` sends it.")
    answer(asdict(found), as_json=as_json, text="\n".join([*lines, *(f"! {one}" for one in found.warnings)]))


def pull(
    name: Name,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder for subject.txt, body.html, body.txt.")
    ],
    provider: Provider,
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Write what a version says into a new folder, in the provider's own language, to look at or to keep."""
    from tasks import kept_templates

    if folder.exists():
        raise Mistake(f"{folder} is there already: name a new folder, so that nothing is overwritten")
    try:
        found, parts = kept_templates.pull(provider, name, version, folder)
    except OSError as error:
        raise Mistake(f"{folder} cannot be written: {error.strerror}") from error
    payload = {"folder": folder, "version": asdict(found), "content_hash": parts.hash, **asdict(parts)}
    answer(payload, as_json=as_json, text=f"{name}, version {found.name} ({found.id}), is in {folder}/.")


def compare(
    name: Name,
    provider: Provider,
    version: Version = None,
    beside: Annotated[
        str | None, typer.Option("--with", metavar="VERSION", help="Another version, instead of the local template.")
    ] = None,
    local: Annotated[
        str | None, typer.Option(metavar="NAME", help="The local template, if it has another name.")
    ] = None,
    subject: Subject = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> int:
    """How a local template, or a version, differs from a version at the provider: subject, HTML, text.

    Exit status 1 where they differ.
    """
    from tasks import kept_templates

    account_id = store.chosen_account(store.engine(), account)
    found = kept_templates.compare(
        account_id, provider, name, version=version, beside=beside, local_name=local, subject=subject
    )
    same = f"No difference: {found.here} and {found.there} say the same."
    answer(asdict(found), as_json=as_json, text="\n".join(found.lines) if found.lines else same)
    return _DIFFERENT if found.lines else 0


def pin(
    name: Name, provider: Provider, version: Version = None, account: store.Account = None, as_json: AsJson = False
) -> None:
    """Make a version the one that new runs send, an older one too. Each run keeps the one that it began with.

    Refused while a run that is not over sends another, where the provider takes a template's name only.
    """
    from tasks import kept_templates

    account_id = store.chosen_account(store.engine(), account)
    kept, active = kept_templates.pin(account_id, provider, name, version, by=store.person())
    payload = {"provider": provider, "template": kept.id, "name": kept.name, "version": active}
    answer(payload, as_json=as_json, text=f"{kept.name} at {provider}: version {active} is what new runs send.")


def missing(
    template: Annotated[str | None, typer.Argument(metavar="TEMPLATE", help="A local template.")] = None,
    segment: Annotated[str | None, typer.Option(help="Among whom.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Instead: a run whose people are chosen.")] = None,
    arguments: With = None,
    only: Only = None,
    without: Without = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> int:
    """Who has no value for what a template says, and what they would read instead. Nobody is named.

    Exit status 1 where somebody would read a gap, which stops a run.
    """
    from tasks import variable_words

    if run is not None and (template or segment):
        raise Mistake("name a run, or a template and a segment, not both")
    if run is not None:
        gaps, left_out = _of_run(run)
    elif template is None or segment is None:
        raise Mistake("name a template and --segment, or --run")
    else:
        left_out = False
        gaps = _of_segment(template, segment, arguments, only, without, account)
    rows = variable_words.rows(gaps, left_out=left_out)
    lines = [variable_words.summary(gaps, left_out=left_out)]
    lines += [table("", [one.lower() for one in variable_words.HEAD], rows)] if rows else []
    lines += [variable_words.advice(gaps)] if gaps.without and not left_out else []
    answer(asdict(gaps), as_json=as_json, text="\n\n".join(lines))
    return _LACKING if gaps.without and not left_out else 0


def _of_run(run_id: str) -> tuple["Gaps", bool]:
    from data import database, missing_values, runs
    from tasks import wiring

    with database.read(store.engine()) as connection:
        found: Run = runs.get(connection, run_id)
        if found.frozen_at is None:
            raise Mistake(f"run {run_id} is {found.status.replace('_', ' ')}: its people are not chosen")
        template, rendered = wiring.content_of(connection, found)
        gaps = missing_values.of_run(connection, found, rendered.variables, template.fallbacks)
    return gaps, found.plan.leave_out_missing


def _of_segment(template: str, segment: str, *asked: Any) -> "Gaps":
    from data import missing_values
    from domain.campaigns import Refinement
    from tasks import choosing, kept_templates, previews

    arguments, only, without, account = asked
    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    refinement = Refinement(arguments=arguments_of(arguments), rules=rules_of(only), exclude=tuple(without or ()))
    loaded, rendered = kept_templates.local(account_id, template, subject=None)
    members = choosing.choose(engine, previews.plan_of(account_id, segment, refinement)).members.party_ids.tolist()
    with engine.connect() as connection:
        return missing_values.of_members(connection, members, rendered.variables, loaded.fallbacks)
