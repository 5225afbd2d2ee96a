"""Commands for support and operators: what became of a transactional message, once more, and how the lane does."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import typer

import settings
from cli import lane_tables, store
from cli.output import AsJson, Mistake, answer
from cli.suppression_commands import hash_of, must_say
from domain import message_history
from domain.message_history import MessageHistory, Say

if TYPE_CHECKING:
    import sqlalchemy as sa

    from data.order_lookup import FoundOrder

_DAYS = Annotated[int, typer.Option(min=1, max=90, help="How many days back.")]
MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="Its id, such as `messages show` tells.")]


def register(group: typer.Typer) -> None:
    """Add these commands to the group `messages`."""
    group.command("show")(show)
    group.command("resend")(resend)
    group.command("health")(health)
    group.command("failed")(failed)
    group.command("audit")(audit)


def show(
    message: Annotated[str | None, typer.Argument(metavar="MESSAGE", help="One message, by its id.")] = None,
    order: Annotated[str | None, typer.Option(help="All messages about this order, by its number or id.")] = None,
    email: Annotated[str | None, typer.Option(help="All messages to this address; it is not stored.")] = None,
    channel: Annotated[str | None, typer.Option(help="Of which channel the order is.")] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """What became of each transactional message: of an order, to an address, or of one id.

    Addresses are shown masked. The audit log notes who asked.
    """
    if [message, order, email].count(None) != 2:  # noqa: PLR2004 - one of the three
        raise Mistake("say which: a message's id, --order NUMBER, or --email ADDRESS")
    if message is not None:
        _show_one(message, as_json=as_json)
    elif order is not None:
        _show_order(order, channel, account, as_json=as_json)
    else:
        _show_address(str(email), account, as_json=as_json)


def _show_one(message_id: str, *, as_json: bool) -> None:
    from data import database, transactional_history

    engine = store.engine()
    with database.read(engine) as connection:
        found = transactional_history.of_message(connection, message_id)
        say, stuck = _words(connection, found.account_id)
    store.note_reading(engine, found.account_id, f"message:{found.id}", {})
    answer(_payload([found], say, stuck), as_json=as_json, text=lane_tables.messages([found], say, stuck))


def _show_order(number: str, channel: str | None, account: str | None, *, as_json: bool) -> None:
    from data import database, order_lookup, order_silence, transactional_history

    engine = store.engine()
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
        order = order_lookup.find(connection, account_id, number, channel=channel)
        found = transactional_history.of_order(connection, order)
        say, stuck = _words(connection, account_id)
    store.note_reading(engine, account_id, f"order:{order.id}", {"messages": len(found)})
    config = settings.load()
    silence = None if found else order_silence.why(order, config.messages.file, config.intake.channels_file)
    head = f"Order {order.number} of {order.channel}, {order.status}, placed {say(order.placed_at)}:"
    body = silence or lane_tables.messages(found, say, stuck)
    payload = {"order": order.number, "channel": order.channel, "page": page_of(order), "no_message": silence}
    text = f"{head}\n{body}\n\nThe same as a page: {page_of(order)}"
    answer(payload | _payload(found, say, stuck), as_json=as_json, text=text)


def _show_address(email: str, account: str | None, *, as_json: bool) -> None:
    from data import database, transactional_history

    engine, hashed = store.engine(), hash_of(email)
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
        found = transactional_history.of_address(connection, account_id, hashed)
        say, stuck = _words(connection, account_id)
    store.note_reading(engine, account_id, f"address:{hashed}", {"messages": len(found)})
    text = lane_tables.messages(found, say, stuck) if found else "No transactional message went, or was to go, there."
    answer(_payload(found, say, stuck), as_json=as_json, text=text)


def page_of(order: "FoundOrder") -> str:
    """Where the gateway shows the order."""
    base = settings.load().gateway.public_url.rstrip("/")
    return f"{base}/support/{quote(order.account_id)}/{quote(order.external_id, safe='')}"


def _words(connection: "sa.Connection", account_id: str) -> tuple[Say, str | None]:
    """How an instant is written in the account's zone, and why nothing of it can go now."""
    from data import accounts
    from tasks import lane_state, wiring

    account = accounts.get(connection, account_id)
    return message_history.in_zone(ZoneInfo(account.timezone)), lane_state.stuck(connection, account, wiring.clock())


def _payload(found: Sequence[MessageHistory], say: Say, stuck: str | None) -> dict[str, Any]:
    return {
        "messages": [
            {
                "id": one.id,
                "template": one.template,
                "urgency": one.urgency.name.lower(),
                "state": one.state,
                "asked_by": one.asked_by,
                "order": one.order,
                "to": one.to,
                "asked_at": one.asked_at,
                "accepted_at": one.accepted_at,
                "possibly_twice": one.resent,
                "again_of": one.again_of,
                "again": one.again,
                "sentence": message_history.sentence(one, say, stuck=stuck),
                "story": [{"at": at, "what": what} for at, what in message_history.story(one)],
            }
            for one in found
        ]
    }


def resend(
    message: MessageId,
    why: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    although_delivered: Annotated[
        bool, typer.Option("--although-delivered", help="Also one that was delivered in the last seven days.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a message about an order once more, as a new message.

    Refused while the first may still go by itself, when it was delivered lately, and when the address gets no mail.
    """
    from data import database, transactional_again
    from tasks import wiring

    must_say(why=why)
    with database.write(store.engine()) as connection:
        new = transactional_again.once_more(
            connection,
            message,
            actor=store.person(),
            why=why,
            although_delivered=although_delivered,
            now=wiring.clock(),
        )
    text = f"It goes out once more as {new}: `campaigns messages show {new}` says what becomes of it."
    answer({"message": new, "again_of": message}, as_json=as_json, text=text)


def health(
    hours: Annotated[int, typer.Option(min=1, max=24 * 31, help="How many hours back.")] = 24,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """How the lane does: what waits, what became of it, how long the hand-over took, which ESP fails.

    Of all accounts unless one is named. Exit status 1 where an alarm would be raised now.
    """
    from data import database, dispatchers, lane_figures
    from tasks import lane_state, wiring

    now, engine = wiring.clock(), store.engine()
    with database.read(engine) as connection:
        account_id = None if account is None else store.account_id(connection, account)
        found = lane_figures.read(connection, now=now, window=timedelta(hours=hours), account_id=account_id)
        alive = dispatchers.alive(connection, now)
        alarms = lane_state.alarms(connection, now)
    text = lane_tables.health(found, alive, alarms, now)
    answer(lane_tables.health_payload(found, alive, alarms), as_json=as_json, text=text)
    if alarms:
        raise typer.Exit(1)


def failed(days: _DAYS = 7, account: store.Account = None, as_json: AsJson = False) -> None:
    """Messages that did not go, grouped by reason: refused, expired, suppressed, or possibly sent and held."""
    from data import database, lane_figures
    from tasks import wiring

    since = wiring.clock() - timedelta(days=days)
    with database.read(store.engine()) as connection:
        account_id = None if account is None else store.account_id(connection, account)
        found = lane_figures.failures(connection, since=since, account_id=account_id)
    text = lane_tables.failures(found) if found else f"Every message of the last {days} days went out, or waits."
    answer({"since": since, "failed": found}, as_json=as_json, text=text)


def audit(days: _DAYS = 2, account: store.Account = None, as_json: AsJson = False) -> None:
    """Whether the books of transactional mail balance, and agree with the sandbox's own record.

    Exit status 1 where they do not.
    """
    from tasks import lane_audits

    account_id = store.chosen_account(store.engine(), account)
    found = lane_audits.audit_of(account_id, timedelta(days=days))
    answer(found, as_json=as_json, text=lane_tables.audit(found))
    if not found.balanced:
        raise typer.Exit(1)
