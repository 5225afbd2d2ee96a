"""Is the order mail switched on as it was meant? The part of `campaigns doctor` that asks this."""

from collections.abc import Iterator

from cli import message_commands
from cli.check import Check, usable_engine
from settings import Settings

_WHAT = "order mail"


def order_mail(config: Settings) -> Iterator[Check]:
    """The file that says which change of an order asks for which mail."""
    path = config.messages.file
    if not path.exists():
        named = path != type(config.messages)().file
        told = f"OMS_MESSAGES_FILE names {path}, and there is no such file" if named else f"off: there is no {path}"
        yield Check(_WHAT, ok=not named, found=told)
        return
    if usable_engine() is None:
        return
    found = message_commands.examine(path)
    if wrong := [*found.faults, *found.warnings]:
        waits = "; orders wait until it is mended" if found.faults else ""
        yield Check(_WHAT, ok=False, found=f"{'; '.join(wrong)}{waits}")
        return
    mailed = [account for account, said in found.said.accounts.items() if said.templates] if found.said else []
    told = f"on for {', '.join(mailed)}" if mailed else "off for all accounts"
    yield Check(_WHAT, ok=True, found=f"{told} in {path}; `campaigns messages rules` shows it")
