"""Commands about bounces: what we would make of a refusal, and by which row."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import AsJson, Mistake, answer

if TYPE_CHECKING:
    from domain.bounces import Verdict

app = typer.Typer(no_args_is_help=True)
_SHOWN = 160  # characters of the reply that are told back


@app.command("judge")
def judge(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="The reply, as it came; quote it. '-' reads it from stdin.")
    ],
    status: Annotated[str, typer.Option("--status", help="The code that came beside it, such as 5.1.1 or 550.")] = "",
    event_type: Annotated[
        str, typer.Option("--type", help="SendGrid's `type` of the event: bounce, blocked or expired.")
    ] = "",
    classification: Annotated[
        str, typer.Option("--classification", help="SendGrid's `bounce_classification`, such as Reputation.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Class, fault and cause of a refusal, the row that says so with its source, and what would follow. Keeps nothing."""
    from domain import bounce_sources, bounces
    from domain.masking import masked
    from providers.sendgrid import bounces as sendgrid

    if text == "-":
        text = typer.get_text_stream("stdin").read()
    _refuse_nonsense(text, status=status, event_type=event_type, classification=classification)
    verdict = sendgrid.classify(event_type=event_type, classification=classification, status=status, text=text)
    payload = {
        "reply": masked(text)[:_SHOWN],
        "status": status,
        "class": verdict.bounce_class,
        "fault": verdict.fault,
        "cause": verdict.cause,
        "suppresses": verdict.suppresses,
        "rule": verdict.rule,
        "source": bounces.source_of(verdict.rule) or (bounce_sources.SENDGRID if verdict.rule else ""),
        "follows": bounces.what_follows(verdict),
    }
    answer(payload, as_json=as_json, text=_text(verdict, str(payload["source"]), str(payload["follows"])))


def _refuse_nonsense(text: str, *, status: str, event_type: str, classification: str) -> None:
    from domain import bounces
    from providers.sendgrid import bounces as sendgrid

    if not text.strip() and not status:
        raise Mistake("there is nothing to judge; give the reply in quotes, or --status CODE")
    if bounces.is_taken(text) or bounces.is_taken(status):
        raise Mistake("that is no refusal: a code that begins with 2 or 3 says that the mail was taken")
    if status and not bounces.is_status(status):
        raise Mistake(f"--status {status!r} is no status of a refusal; it is one such as 5.1.1 or 550")
    for option, told, known in (
        ("--type", event_type, sendgrid.KNOWN_TYPES),
        ("--classification", classification, sendgrid.KNOWN_CLASSIFICATIONS),
    ):
        if told and not sendgrid.is_one_of(told, known):
            raise Mistake(f"{option} {told!r} is none of SendGrid's words; it says {', '.join(sorted(known))}")


def _text(verdict: "Verdict", source: str, follows: str) -> str:
    said = f"{verdict.bounce_class}, the fault of the {verdict.fault}: {str(verdict.cause).replace('_', ' ')}."
    if verdict.fault == "unknown":
        said = f"{verdict.bounce_class}, nobody's fault that we know of: {str(verdict.cause).replace('_', ' ')}."
    row = f"Row {verdict.rule} ({source})." if verdict.rule else "No row knows it; docs/bounces.md says how to add one."
    return f"{said}\n{row}\n{follows}"
