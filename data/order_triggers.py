"""The outbox: what a changed order asks for is written in the transaction of the change.

So there is no order without its intents, and no intent without its order, wherever the process dies. The id of an intent
says order, step and reference: whatever is replayed asks for nothing new.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from data import content, transactional
from data.channels import registry
from data.channels.connections import Connections
from data.message_rules import MessageRules, UnusableMessages
from data.template_engine import TemplateError
from data.transactional import AskedBy, Wanted
from domain import triggers
from domain.orders import Order
from domain.template_fields import Purpose
from domain.transactional import Timing, Urgency, id_of
from domain.triggers import Rules

# What a mail about an order can be written from; a password reset needs values that no order has.
PURPOSES = (Purpose.ORDER, Purpose.SHIPMENT)


@dataclass(frozen=True, slots=True)
class Triggers:
    """What the orders of one channel of one account ask for, and how urgent the mail of each template is."""

    rules: Rules
    timings: Mapping[str, Timing]


@dataclass(frozen=True, slots=True)
class TriggerBook:
    """The whole of messages.yaml, ready for use. An empty one asks for nothing."""

    file: MessageRules = field(default_factory=MessageRules)
    timings: Mapping[str, Timing] = field(default_factory=dict)

    def of(self, account_id: str, channel: str, adapter: str = "") -> Triggers | None:
        """Those of this channel, read by that adapter; None where nothing asks for mail."""
        rules = self.file.rules(account_id, channel, adapter, itself=registry.mails_customers(channel, adapter))
        return Triggers(rules, self.timings) if rules is not None and rules.templates else None


def book(file: MessageRules, connections: Connections, own: Path | None) -> TriggerBook:
    """Make it ready. Raises UnusableMessages where it names what there is not: nobody knows then what was meant."""
    if found := faults(file, connections, own):
        raise UnusableMessages("; ".join(found))
    return TriggerBook(file, {name: _timing(name, own) for name in sorted(file.templates)})


def faults(file: MessageRules, connections: Connections, own: Path | None) -> list[str]:
    """Which templates and channels it names that there are not, each with those that there are."""
    found = []
    if file.templates:
        known = {name for purpose in PURPOSES for name in content.names(own, purpose=purpose)}
        found += [_no_template(name, known, own) for name in sorted(file.templates - known)]
    for account, section in file.accounts.items():
        there = {one.channel for one in connections.connections if one.account == account} | set(registry.CHANNELS)
        found += [
            f"accounts.{account}.channels.{name}: neither channels.yaml nor an adapter is called so;"
            f" there are: {', '.join(sorted(there))}"
            for name in section.channels
            if name not in there
        ]
    return found


def _no_template(name: str, known: Collection[str], own: Path | None) -> str:
    why = "is for no order" if name in content.names(own) else "is not there"
    return f"the template {name} {why}; for orders there are: {', '.join(sorted(known))}"


def _timing(name: str, own: Path | None) -> Timing:
    """As its author says. A template that is broken now may be mended before its mail is due: it is asked for."""
    try:
        return content.load(name, own).timing
    except TemplateError:
        return Timing(Urgency.CONFIRMATION)


def ask(
    connection: sa.Connection,
    asked: Triggers,
    account_id: str,
    channel: str,
    written: Iterable[tuple[Order, int]],
    *,
    now: datetime,
) -> list[str]:
    """Keep what these orders (with their row ids) ask for, in the caller's transaction; the ids of what is new."""
    wanted = [
        Wanted(
            id=id_of(account_id, channel, order.external_id, one.step, one.key),
            account_id=account_id,
            template=one.template,
            timing=asked.timings[one.template],
            asked_by=AskedBy.ORDER,
            order_id=order_id,
            step=one.step,
            reference=one.reference or None,
        )
        for order, order_id in written
        for one in triggers.wanted(order, asked.rules, now)
    ]
    return transactional.ask(connection, wanted, now=now)
