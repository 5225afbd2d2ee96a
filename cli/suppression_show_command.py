"""The command that shows what stands against mail to one person, and what she chose."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import explain_command, store
from cli.output import AsJson, Mistake, answer, moment, table
from cli.suppression_commands import hash_of, must_say
from domain.preferences import Frequency, Topic

if TYPE_CHECKING:
    import sqlalchemy as sa

_OF_ROW = ("reason", "scope", "source", "created_at", "expires_at", "lifted_at", "evidence")
_OF_LISTING = ("provider", "listing", "reason", "listed_at", "expires_at", "pushed_at", "words")
_OF_TOPIC = ("topic", "source", "evidence", "created_at", "lifted_at")
_OF_FREQUENCY = ("frequency", "source", "evidence", "chosen_at")
_AT_MOST = {Frequency.WEEKLY: "one marketing mail a week", Frequency.MONTHLY: "one marketing mail in 30 days"}


def register(app: typer.Typer) -> None:
    """Add the command to the group `suppressions`."""
    app.command("show")(show)


def show(
    who: Annotated[
        str, typer.Argument(metavar="ADDRESS|CUSTOMER", help="An e-mail address, or the customer's number.")
    ],
    by: Annotated[str, typer.Option(help="Who looks; kept in the audit log.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """All that was ever said against mail to a person, and what she chose.

    Suppressions (lifted and expired ones too), topics that she left, how often she wants mail, and on which ESPs' lists
    the address is. The address itself is not shown.
    """
    from data import database, esp_listings, frequencies, suppressions, topics
    from tasks import wiring

    must_say(by=by)
    now = wiring.clock()
    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        hashed = hash_of(who) if "@" in who else _mailbox_of(connection, account_id, who)
        rows = suppressions.history(connection, account_id, hashed, actor=by, now=now)
        listings = esp_listings.of_address(connection, hashed, now=now)
        left = topics.history(connection, account_id, hashed)
        offered = topics.listing(connection, account_id)
        often = frequencies.record(connection, account_id, hashed)
    facts = {
        "account": account_id,
        "address_hash": hashed,
        "suppressions": [_picked(row, _OF_ROW) | {"state": _state(row, now)} for row in rows],
        "topics": [_picked(row, _OF_TOPIC) for row in left],
        "frequency": None if often is None else _picked(often, _OF_FREQUENCY),
        "lists": [_picked(one, _OF_LISTING) for one in listings],
    }
    parts = [
        _said_against(rows, now),
        "\n".join([*_of_topics(left, offered), _of_frequency(often)]),
        _on_lists(listings),
    ]
    answer(facts, as_json=as_json, text="\n\n".join(filter(None, parts)))


def _mailbox_of(connection: "sa.Connection", account_id: str, customer: str) -> str:
    """The hash of a customer's present address. Raises Mistake."""
    from data import addresses_of, message_fate, preferences
    from tasks import wiring

    found = message_fate.persons(connection, account_id, customer)
    party = explain_command.only_one(found, customer, account_id)
    hashed = addresses_of.hashed(preferences.contact(connection, party).email, wiring.pepper())
    if hashed is None:
        raise Mistake(f"customer {customer!r} has no address that mail could go to (erased, or a marketplace's relay)")
    return hashed


def _picked(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _said_against(rows: Sequence[Any], now: datetime) -> str:
    cells = [(row.reason, row.scope, _state(row, now), row.source, row.created_at, row.evidence) for row in rows]
    heads = ["reason", "stops", "state", "source", "since", "evidence"]
    return table("", heads, cells) if rows else "Nothing was ever said against mail to this address."


def _state(row: Any, now: datetime) -> str:
    if row.lifted_at is not None:
        return f"lifted {moment(row.lifted_at)}"
    if row.expires_at is None:
        return "stands"
    return f"{'until' if row.expires_at > now else 'expired'} {moment(row.expires_at)}"


def _of_topics(rows: Sequence[Any], offered: Sequence[Topic]) -> list[str]:
    titles = {one.name: one.title() for one in offered}
    lines = [_of_topic(row, titles) for row in rows]
    return lines or ["No topic was ever refused."]


def _of_topic(row: Any, titles: dict[str, str]) -> str:
    called = f"{row.topic} ({titles[row.topic]})" if row.topic in titles else f"{row.topic} (offered no more)"
    since = f"{moment(row.created_at)} UTC ({row.source}, {row.evidence})"
    if row.lifted_at is None:
        return f"Wants no mail about {called}, since {since}."
    return f"Wants mail about {called} again since {moment(row.lifted_at)} UTC; refused it on {since}."


def _of_frequency(row: Any) -> str:
    if row is None:
        return "Mail as often as usual: no wish for less."
    most = _AT_MOST[Frequency(row.frequency)]
    return f"Wants at most {most}, since {moment(row.chosen_at)} UTC ({row.source}, {row.evidence})."


def _on_lists(listings: Sequence[Any]) -> str:
    on = [
        (one.provider, one.listing, one.reason or "evidence only", one.listed_at, one.words or "") for one in listings
    ]
    return table("On lists of ESPs:", ["ESP", "list", "means", "since", "its words"], on) if on else ""
