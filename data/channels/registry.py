"""Which channels can be read: one line each. docs/add-a-channel.md tells how to add one."""

from collections.abc import Mapping

from data.channels import adobe, amazon, csv_orders, mapped, medusa, shopify, woocommerce
from data.channels.channel import Channel


class UnknownChannel(LookupError):
    """Nothing here can read that channel; the message names what can."""


CHANNELS: Mapping[str, Channel] = {
    one.name: one
    for one in (
        adobe.CHANNEL,
        amazon.CHANNEL,
        csv_orders.CHANNEL,
        mapped.CHANNEL,
        medusa.CHANNEL,
        shopify.CHANNEL,
        woocommerce.CHANNEL,
    )
}


def get(name: str) -> Channel:
    """The adapter of that name. Raises UnknownChannel."""
    try:
        return CHANNELS[name]
    except KeyError as error:
        raise UnknownChannel(f"there is no adapter {name!r}; there are: {', '.join(sorted(CHANNELS))}") from error


def mails_customers(channel: str, adapter: str = "") -> bool:
    """Whether the channel mails its customers itself, by its adapter or its name: amazon-de may come as files."""
    themselves = {one.name for one in CHANNELS.values() if one.mails_customers}
    return adapter in themselves or any(
        channel == name or channel.startswith((f"{name}-", f"{name}_")) for name in themselves
    )
