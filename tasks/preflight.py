"""Pre-flight as steps of flows: the first look of each run, and the whole of it on demand.

A launch that is refused keeps its run: once the record is published or the mail is mended, it is resumed.
"""

from collections.abc import Sequence
from datetime import datetime

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict, Field

import settings
from data import accounts, audience_domains, content, database, ledger_sweep, runs
from domain.accounts import Account
from domain.campaigns import Run, RunPlan, RunStatus, Sender
from domain.esp_templates import as_template, kept_name
from domain.ledger import BatchState
from domain.preflight import Light, worst
from domain.routes import AUTOMATIC, Route
from domain.suppression import Stream
from tasks import esps, preflight_looks, preflight_words, trial_mail, wiring
from tasks.preflight_looks import Report

_TEMPLATES = wiring.campaign_templates()
_EVERY_WAY = "every way that is set up"


class LaunchRefused(wiring.CannotStart):
    """A marketing launch that mailbox providers would refuse, or that the law forbids. Nothing more is sent; it may resume."""


class PreflightFailed(RuntimeError):
    """A pre-flight on demand found what refuses a launch; the artifact has all of it."""


class PreflightRequest(BaseModel):
    """What a person fills in: the form in the Prefect UI. It holds no address: parameters are shown to everybody."""

    model_config = ConfigDict(title="Pre-flight", extra="forbid")

    template: str = Field(
        _TEMPLATES[0],
        title="Template",
        description="Whose mail is looked at, with sample values.",
        json_schema_extra={"enum": list(_TEMPLATES)},
    )
    esp_template: str = Field(
        "",
        max_length=200,
        title="Template at the ESP",
        description="Its name or id there, in place of the template above; then name the provider that keeps it.",
    )
    provider: str = Field(
        _EVERY_WAY,
        title="Provider (ESP)",
        description="By which ESP it is to go; its domains are looked at in the DNS.",
        json_schema_extra={"enum": [_EVERY_WAY, *(one for one in esps.providers() if one != AUTOMATIC)]},
    )
    send_tests: bool = Field(
        False,
        title="Send test messages",
        description="The mail itself, by each way, to the internal mailboxes of OMS_PREFLIGHT_MAILBOXES and to nobody "
        "else. It is followed to the test mailbox where one is configured, which takes a minute or two.",
    )
    account: str = Field("", title="Account", description="Empty: this installation's own.")


def examine(*, account: str = "", template: str = "", provider: str = "", mailboxes: Sequence[str] = ()) -> Report:
    """All of it, of a mail that no run is about; test messages to `mailboxes`, if any.

    Raises NotInternal before anything is looked at, UnknownAccount, UnknownProvider, TemplateError,
    CannotStart, and what says that the provider is not set up.
    """
    trial_mail.check(mailboxes)
    with database.read(wiring.engine()) as connection:
        found = accounts.get(connection, account or settings.load().account)
    if provider and provider not in esps.providers():
        raise esps.UnknownProvider(f"there is no provider {provider!r}; there are: {', '.join(esps.providers())}")
    run = _of_nobody(found, _named(template or _TEMPLATES[0], provider), provider)
    ways = _ways(found, run.plan, named=bool(provider))
    report = preflight_looks.look(run, ways, fresh=True)
    if not all(map(preflight_looks.is_rehearsal, ways)):
        with database.read(wiring.engine()) as connection:
            counts = audience_domains.customers(connection, found.id)
        report = report.with_lines(preflight_looks.audience(counts))
    if not mailboxes or any(line.area == "rendering" and line.light is not Light.GREEN for line in report.lines):
        return report
    mail = preflight_looks.rendered(run)
    return report.with_lines(trial_mail.run(mail.sender, mail.content, mail.values, ways, mailboxes))


def _named(template: str, provider: str) -> str:
    """A template as a run names it. Raises TemplateError, CannotStart."""
    if kept_name(template) is None:
        return content.load(template, wiring.own_templates()).name
    if not provider:
        raise wiring.CannotStart("Name the provider too: a template that an ESP keeps goes out by that ESP alone.")
    return template


def _ways(account: Account, plan: RunPlan, *, named: bool) -> list[Route]:
    """The ways of marketing mail; where no provider is named, those whose provider has its key. Raises CannotStart."""
    found = list(wiring.ways(account, plan) if named else wiring.routes(account, Stream.MARKETING))
    ways = (
        found if named else [one for one in found if preflight_looks.is_rehearsal(one) or esps.is_set_up(one.provider)]
    )
    if not ways:
        raise wiring.CannotStart(
            f"There is no way out to look at: no marketing route of account {account.id} has a provider that is set up."
            " docs/routes.md shows how; `campaigns routes` lists what there is."
        )
    return ways


def _of_nobody(account: Account, template: str, provider: str) -> Run:
    """A run that is in no ledger, so that a mail is looked at as a run's would be."""
    plan = RunPlan(
        account_id=account.id,
        campaign="preflight",
        segment="",
        template=template,
        provider=provider or AUTOMATIC,
        subject=None,
        sender=Sender(account.sender_email, account.sender_name),
        live=False,
        limit=None,
        holdout_percent=0,
        seed=0,
    )
    never: datetime | None = None
    return Run(
        id="preflight",
        plan=plan,
        status=RunStatus.CREATED,
        flow_run_id=None,
        definition_hash=None,
        template_hash=None,
        feature_watermark=never,
        validation=None,
        members=None,
        planned=None,
        skipped=None,
        stop_reason=None,
        created_at=wiring.clock(),
        frozen_at=never,
        dispatch_started_at=never,
        dispatched_at=never,
        settled_at=never,
        expires_at=never,
    )


@task(task_run_name="pre-flight of {run_id}", cache_policy=NO_CACHE)
def check_run(run_id: str) -> None:
    """Look at what a run's mail goes out by, and at the mail. Raises LaunchRefused where a live one may not go."""
    if reasons := _refused(run_id):
        raise LaunchRefused(_kept(run_id, "Nothing was sent", reasons))


@task(task_run_name="pre-flight of {run_id}, again", cache_policy=NO_CACHE)
def check_again(run_id: str) -> None:
    """Look once more where mail is left to send: an approval takes up to a week, and a pause as long as it likes.

    Raises LaunchRefused; a run that sends already is paused then, else it would be continued by itself. What an ESP was
    asked for stays as it is: a refusal could not call it back, and would leave it without anybody who follows it.
    """
    with database.read(wiring.engine()) as connection:
        left = ledger_sweep.progress(connection, run_id).states.get(BatchState.PLANNED)
    if not left or not (reasons := _refused(run_id)):
        return
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.status is RunStatus.DISPATCHING:
            runs.advance(connection, run, RunStatus.PAUSED, stop_reason=f"pre-flight: {reasons}")
    raise LaunchRefused(_kept(run_id, "Nothing more is sent", reasons))


def _refused(run_id: str) -> str:
    """Look, and leave the artifact. Why a live run may not go; empty: it may."""
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        account = accounts.get(connection, run.plan.account_id)
    report = preflight_looks.look(run, wiring.ways(account, run.plan), fresh=False)
    publish(report, key=f"preflight-{run_id}", title=run.plan.campaign)
    return "; ".join(report.refused) if run.plan.live else ""


def _kept(run_id: str, done: str, reasons: str) -> str:
    return (
        f"{done}, and the run is kept: {reasons}. The artifact preflight-{run_id} has it all, ready to be copied; then"
        f" `campaigns resume {run_id}`."
    )


@task(task_run_name="who of {run_id} can be reached", cache_policy=NO_CACHE)
def check_audience(run_id: str) -> None:
    """Tell how many of a frozen audience are at domains that receive no mail. A rehearsal's are nobody's business."""
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        account = accounts.get(connection, run.plan.account_id)
        counts = audience_domains.planned(connection, run_id)
    if not run.plan.live or all(map(preflight_looks.is_rehearsal, wiring.ways(account, run.plan))):
        return
    lines = preflight_looks.audience(counts)
    create_markdown_artifact(
        preflight_words.markdown("Who can be reached", lines, (), worst(lines)),
        key=f"reach-{run_id}",
        description="How many are at domains that receive no mail",
    )


@task(task_run_name="pre-flight", cache_policy=NO_CACHE)
def check(request: PreflightRequest) -> str:
    """The whole of it, on demand. Raises PreflightFailed where a launch would be refused or a line is red."""
    template = as_template(request.esp_template) if request.esp_template else request.template
    report = examine(
        account=request.account,
        template=template,
        provider="" if request.provider == _EVERY_WAY else request.provider,
        mailboxes=settings.load().preflight.allowed.mailboxes if request.send_tests else (),
    )
    publish(report, key="preflight", title=template)
    told = f"{preflight_words.counted(report.lines)}"
    if report.refused or report.worst is Light.RED:
        raise PreflightFailed(f"{preflight_words.headline(report.worst, report.refused)}: {told}")
    return told


def publish(report: Report, *, key: str, title: str) -> None:
    """Leave it as an artifact, and its sum in the log."""
    create_markdown_artifact(
        preflight_words.markdown(title, report.lines, report.refused, report.worst),
        key=key,
        description="Pre-flight: connectivity, authentication, rendering, content",
    )
    get_run_logger().info("Pre-flight: %s", preflight_words.counted(report.lines))
