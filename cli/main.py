"""The `campaigns` command."""

import signal
import sys
from types import FrameType

import typer

from cli import data_commands, operate, run_commands, segment_commands, suppression_commands
from cli.output import Mistake

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
app.add_typer(segment_commands.app, name="segments", help="Who: list, explain and preview segments.")
app.add_typer(suppression_commands.app, name="suppressions", help="Whom not to mail: list, add, remove, export.")

_WRONG_INPUT = 2


def main() -> None:
    """Run a command; a mistake is one line on standard error and exit status 2."""
    signal.signal(signal.SIGTERM, _end)  # so that services which we started are ended with us
    try:
        status = app(standalone_mode=False)
    except typer.Abort:
        _fail("aborted")
    except (Mistake, LookupError, ValueError) as error:
        _fail(_sentence(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's usage errors; it does not export their base class
            raise
        _fail(error.format_message())
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _sentence(error: Exception) -> str:
    if isinstance(error, LookupError) and type(error) in {KeyError, IndexError}:
        raise error  # a fault of ours, not the user's
    return " ".join(str(error).split())


def _fail(message: str) -> None:
    sys.stderr.write(f"campaigns: {message}\n")
    sys.exit(_WRONG_INPUT)
