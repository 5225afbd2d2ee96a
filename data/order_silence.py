"""Why there is no message about an order, for support: in one sentence."""

from collections.abc import Callable

from data.transactional_history import FoundOrder

# What the shop's file of triggers says of an order that asked for nothing, where it is at hand; None: it does not know.
Rules = Callable[[FoundOrder], str | None]


def why(order: FoundOrder, rules: Rules | None = None) -> str:
    """What kept every message from being asked for, the plainest reason first."""
    if not order.notify:
        return f"no message: the channel {order.channel} mails its customers itself, or asked that nobody be mailed"
    if order.is_test:
        return "no message: it is a test order of the channel"
    if not order.mailable:
        return "no message: the order came without an address that mail could go to"
    if rules is not None and (told := rules(order)) is not None:
        return f"no message: {told}"
    return f"no message: nothing that happened to it asks for one (messages.yaml says what does, for {order.channel})"
