"""Why there is no message about an order, for support: in one sentence."""

from datetime import timedelta
from pathlib import Path

from data import message_rules
from data.channels import connections, registry
from data.channels.connections import UnusableConnections
from data.message_rules import UnusableMessages
from data.order_lookup import FoundOrder
from domain.orders import OrderKind
from domain.triggers import Rules


def why(order: FoundOrder, messages: Path, channels: Path) -> str:
    """What kept every message from being asked for, the plainest reason first. The files: messages.yaml, channels.yaml."""
    return f"no message: {_of_order(order) or _of_rules(order, messages, channels)}"


def _of_order(order: FoundOrder) -> str | None:
    """What the order itself says."""
    if not order.notify:
        return f"the channel {order.channel} mails its customers itself, or asked that nobody be mailed"
    if order.is_test:
        return "it is a test order of the channel"
    if not order.mailable:
        return "the order came without an address that mail could go to"
    return None if order.kind == OrderKind.SALE else f"it is a {order.kind}, and no order of the customer's own"


def _of_rules(order: FoundOrder, messages: Path, channels: Path) -> str:
    """What the shop's files say of such orders."""
    try:
        declared = connections.load(channels).connections
        file = message_rules.load(messages)
    except (UnusableConnections, UnusableMessages) as error:
        return f"the files that say what asks for one cannot be used ({error})"
    named = (one.reader for one in declared if (one.account, one.channel) == (order.account_id, order.channel))
    adapter = next(named, order.channel)
    itself = registry.mails_customers(order.channel, adapter)
    rules = file.rules(order.account_id, order.channel, adapter, itself=itself)
    if rules is None:
        return f"{messages.name} says nothing of the account {order.account_id}, so no order of it asks for mail"
    if not rules.templates:
        mails = "the channel mails its customers itself, and " if itself else ""
        return f"{mails}{messages.name} asks for no mail about orders of {order.channel}"
    return _of_time(order, rules)


def _of_time(order: FoundOrder, rules: Rules) -> str:
    """There are rules, and none was met."""
    if order.channel_status.casefold() in rules.not_while:
        return f"while {order.channel} calls it {order.channel_status!r} it is no order yet"
    if order.placed_at < rules.since:
        return f"it is older than {rules.since:%Y-%m-%d %H:%M} UTC, since when its channel's orders ask for mail"
    hours = rules.fresh / timedelta(hours=1)
    if order.recorded_at is not None and order.recorded_at - order.placed_at > rules.fresh:
        return f"it was older than {hours:g} hours (fresh_hours) when it came to us"
    steps = ", ".join(sorted(rules.templates))
    return f"nothing that happened to it within {hours:g} hours asks for one: its channel's rules are for {steps}"
