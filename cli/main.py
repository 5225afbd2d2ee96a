"""The `campaigns` command.

Exit status: 0 done; 1 the answer is bad news (an audit that does not balance, a finding of doctor, a failed run);
2 wrong input, or something that is needed is missing; 130 Ctrl-C.
"""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import typer
from typer.exceptions import TyperException

from cli import (
    account_commands,
    bounce_commands,
    bounce_unknown_command,
    control_commands,
    data_commands,
    environment_commands,
    esp_template_commands,
    event_commands,
    explain_command,
    gate_commands,
    guard_commands,
    intake_commands,
    kpi_commands,
    message_preview,
    mistakes,
    operate,
    plan_command,
    preflight_commands,
    preview_commands,
    rate_commands,
    reconcile_commands,
    report_commands,
    return_commands,
    route_commands,
    run_commands,
    segment_commands,
    suppression_commands,
    suppression_show_command,
    template_commands,
    topic_commands,
    webhook_commands,
)

app = typer.Typer(
    name="campaigns",
    help="The campaign engine of an online shop: segments, campaign runs, and what became of every mail.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
operate.register(app)
data_commands.register(app)
run_commands.register(app)
plan_command.register(app)
preflight_commands.register(app)
control_commands.register(app)
report_commands.register(app)
explain_command.register(app)
message_preview.register(app)
route_commands.register(app)
app.add_typer(intake_commands.app, name="intake", help="Orders in: load files, and work on what could not be used.")
app.add_typer(gate_commands.app, name="gate", help="Whether the data is fit to be mailed to: check, accept a change.")
app.add_typer(guard_commands.app, name="guards", help="What holds a run back: show, lift a brake, let it go on.")
preview_commands.register(segment_commands.app)
app.add_typer(segment_commands.app, name="segments", help="Who: list, explain and preview segments.")
bounce_unknown_command.register(bounce_commands.app)
suppression_show_command.register(suppression_commands.app)
app.add_typer(bounce_commands.app, name="bounces", help="What refusals mean: judge a reply, list unknown texts.")
app.add_typer(account_commands.app, name="account", help="The shop or brand: its caps, its quiet hours, its record.")
app.add_typer(
    environment_commands.app, name="environment", help="Which environment this database belongs to: show, claim."
)
app.add_typer(
    event_commands.app, name="events", help="What webhooks and returned mail brought: what waits, reading it again."
)
app.add_typer(
    kpi_commands.app,
    name="kpis",
    help="Deliverability, bounces, complaints, opens: by day, mailbox provider, …; what each means.",
)
app.add_typer(
    reconcile_commands.app, name="reconcile", help="What the ESPs say against what we hold: compare, repair, history."
)
app.add_typer(rate_commands.app, name="rates", help="What currencies were worth: load and list dated rates.")
app.add_typer(return_commands.app, name="returns", help="Mail that comes back: listen for it, fetch it.")
esp_template_commands.register(template_commands.app)
app.add_typer(
    template_commands.app,
    name="templates",
    help="What they read: list, check, preview, make templates; push them to a provider, compare, pin.",
)
app.add_typer(
    webhook_commands.app, name="webhooks", help="Webhooks at Mailchimp Marketing: list, register, remove them."
)
app.add_typer(topic_commands.app, name="topics", help="What mail is about, for customers to choose: add, list, remove.")
app.add_typer(
    suppression_commands.app,
    name="suppressions",
    help="Whom not to mail, and why: list, show, add, remove, export, import.",
)

_WRONG_INPUT = 2


def main() -> None:
    """Run the command that the process was started with."""
    signal.signal(signal.SIGTERM, _end)  # so that services which we started are ended with us
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status. A mistake is one line on standard error; a fault of ours raises."""
    try:
        status = app(arguments, prog_name="campaigns", standalone_mode=False)
    except TyperException as error:
        return _told(error.format_message() or "which command? The help above lists them")
    except Exception as error:
        if (line := mistakes.line(error)) is None:
            raise
        return _told(line)
    return status if isinstance(status, int) else 0


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _told(message: str) -> int:
    text = " ".join(message.replace("Value error, ", "").split())
    sys.stderr.write(f"campaigns: {text}\n")
    return _WRONG_INPUT


if __name__ == "__main__":
    main()
