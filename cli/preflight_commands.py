"""The command `preflight`: is everything right before the first real mail?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli import store
from cli.output import AsJson, answer, moment, table
from domain.preflight import Light

if TYPE_CHECKING:
    from tasks.preflight_looks import Report

_BAD_NEWS = 1


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("preflight")(preflight)


def preflight(
    *,
    template: Annotated[
        str | None,
        typer.Option(help="Whose mail is looked at; the first one unless given. esp:NAME is one that the ESP keeps."),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="By which ESP; every one that is set up unless given.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="MAILBOX", help="Send the mail to this internal mailbox; may be repeated."),
    ] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> int:
    """Look at connectivity, the DNS of the sending domains, and the mail; send test messages with --to.

    Exit status 1 where a line is red or a launch would be refused.
    """
    from tasks import preflight as looking

    engine = store.engine()
    report = looking.examine(
        account=store.chosen_account(engine, account),
        template=template or "",
        provider=provider or "",
        mailboxes=to or (),
    )
    payload = {
        "account": report.account_id,
        "template": report.template,
        "worst": report.worst,
        "refused": report.refused,
        "looked_at": report.looked_at,
        "lines": [asdict(line) for line in report.lines],
    }
    answer(payload, as_json=as_json, text=_text(report))
    return _BAD_NEWS if report.refused or report.worst is Light.RED else 0


def _text(report: "Report") -> str:
    from tasks import preflight_words

    lines = preflight_words.in_order(report.lines)
    verdict = preflight_words.headline(report.worst, report.refused, lines)
    head = f"{verdict} ({report.template}, {moment(report.looked_at)} UTC)"
    rows = [(f"{preflight_words.LIGHTS[one.light]} {one.light}", one.area, one.subject, one.found) for one in lines]
    parts = ["\n".join([head, *(f"  - {reason}" for reason in preflight_words.untold(lines, report.refused))])]
    parts += [table("", ["", "what", "of", "found"], rows)]
    records, advice = preflight_words.mends(lines)
    for one in records:
        indented = "\n".join(f"    {line}" for line in one.publish.splitlines())
        parts += [f"{preflight_words.LIGHTS[one.light]} {one.area}, {one.subject}: to publish\n{indented}"]
    told = [f"{preflight_words.LIGHTS[one.light]} {one.found}: {one.publish}" for one in advice]
    parts += ["\n".join(["To do:", *told])] * bool(told)
    return "\n\n".join(parts)
