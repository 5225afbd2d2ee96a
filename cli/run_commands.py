"""The command that starts a campaign run, through Prefect, as its UI does."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from cli import store
from cli.output import AsJson, Mistake, answer
from cli.segment_options import Only, With, Without, arguments_of, rules_of
from tasks import prefect_api

if TYPE_CHECKING:
    from domain.rules import Rule

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run; `campaigns status` lists them.")]
_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("run")(run)


def run(
    *,
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its name; runs of one name are compared.")],
    segment: Annotated[str, typer.Option(help="Who.")],
    template: Annotated[str | None, typer.Option(help="What they read.")] = None,
    esp_template: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead: a template that the provider keeps, by its name there.")
    ] = None,
    leave_out_missing: Annotated[
        bool,
        typer.Option("--leave-out-missing", help="Who lacks a value that the template needs gets none, else it stops."),
    ] = False,
    topic: Annotated[
        str | None, typer.Option(help="What it is about; who refused that is left out. `campaigns topics list`.")
    ] = None,
    provider: Annotated[str, typer.Option(help="Who delivers it: sandbox or sendgrid.")] = "sandbox",
    live: Annotated[bool, typer.Option("--live", help="Send. Without it: count and preview only.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many people, a fair sample.")] = None,
    holdout_percent: Annotated[int | None, typer.Option(min=0, max=50, help="So many percent get no mail.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed draws another sample and holdout.")] = None,
    arguments: With = None,
    only: Only = None,
    without: Without = None,
    members_of: Annotated[
        str | None, typer.Option(metavar="RUN", help="The members of that run, instead of choosing anew.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=9, help="Of two running campaigns the larger one keeps a person.")
    ] = None,
    two_phase: Annotated[
        bool,
        typer.Option("--two-phase", help="The ESP keeps each batch for a while: what is unclear is called back."),
    ] = False,
    subject: Annotated[str | None, typer.Option(help="Replaces the template's subject.")] = None,
    sender_name: Annotated[str | None, typer.Option(help="Replaces the shop's own as sender.")] = None,
    sender_mailbox: Annotated[str | None, typer.Option(help="Before the @ of the shop's domain, such as news.")] = None,
    account: store.Account = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is over or asks for approval.")] = False,
    as_json: AsJson = False,
) -> int:
    """Start a run of a campaign, as the Run button of the Prefect UI does.

    Exit status 1 when --wait sees it fail.
    """
    fields: dict[str, Any] = {
        "campaign": campaign,
        "segment": segment,
        "template": template,
        "esp_template": esp_template,
        "leave_out_missing": leave_out_missing or None,
        "topic": topic,
        "provider": provider,
        "limit": limit,
        "holdout_percent": holdout_percent,
        "seed": seed,
        "parameters": arguments_of(arguments),
        "only": _as_fields(rules_of(only)),
        "without": without,
        "members_of": members_of,
        "priority": priority,
        "two_phase": two_phase or None,
        "subject": subject,
        "sender_name": sender_name,
        "sender_mailbox": sender_mailbox,
        "account": account,
    }
    request = _request(live=live, **{name: value for name, value in fields.items() if value is not None})
    _check_account(account)
    with prefect_api.client() as connected:
        return _start(connected, request, wait=wait, as_json=as_json)


def _as_fields(rules: Sequence["Rule"]) -> list[dict[str, Any]]:
    from tasks.request import as_field

    return [as_field(rule) for rule in rules]


_OPTIONS = {"campaign": "CAMPAIGN", "parameters": "--with", "only": "--only"}


def _request(*, live: bool, **fields: Any) -> dict[str, Any]:
    """Check the fields with the very model of the form. Raises Mistake."""
    from tasks.request import CampaignRequest, Mode

    try:
        checked = CampaignRequest(mode=Mode.LIVE if live else Mode.DRY_RUN, **fields)
    except ValidationError as error:
        raise Mistake(_told(error.errors()[0])) from error
    return checked.model_dump(mode="json")


def _told(fault: Any) -> str:
    """One fault of the form's model, by the name of the option. A fault of several fields names them itself."""
    from tasks.request import CampaignRequest

    if not fault["loc"]:
        return str(fault["msg"])
    name = str(fault["loc"][0])
    says = CampaignRequest.model_fields[name].description if "pattern" in fault["type"] else fault["msg"]
    if name == "parameters" and fault["type"] == "extra_forbidden":
        says = f"no segment has a parameter {str(fault['loc'][-1])!r}; `campaigns segments show` names them"
    return f"{_OPTIONS.get(name) or '--' + name.replace('_', '-')}: {says}"


def _check_account(account: str | None) -> None:
    from data import database

    with database.read(store.engine()) as connection:
        store.account_id(connection, account)


def _start(connected: prefect_api.Client, request: dict[str, Any], *, wait: bool, as_json: bool) -> int:
    flow_run = prefect_api.start(connected, "run-campaign", {"request": request})
    if wait:
        flow_run = prefect_api.wait(connected, flow_run.id, seconds=math.inf)
    lines = [f"{flow_run.name}: {flow_run.state}", *filter(None, [flow_run.message]), flow_run.page]
    answer(fields_of(flow_run), as_json=as_json, text="\n".join(lines))
    return _FAILED if flow_run.final and not flow_run.completed else 0


def fields_of(flow_run: prefect_api.FlowRun) -> dict[str, str]:
    """A flow run as JSON answers tell of it."""
    return {
        "flow_run": str(flow_run.id),
        "name": flow_run.name,
        "state": flow_run.state,
        "message": flow_run.message,
        "page": flow_run.page,
    }
