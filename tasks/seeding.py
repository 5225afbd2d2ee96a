"""Sending seed messages by every route, and listening for what the ESPs tell of them."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import accounts, database, seeds
from data.seeds import SeedHealth, SeedState
from domain.accounts import Account
from domain.addresses import mailbox_provider
from domain.campaigns import Sender
from domain.ledger import Outcome
from domain.ports import Batch, Mailer
from domain.routes import Grant, Route
from domain.suppression import Stream
from domain.templates import Content
from tasks import esps, upkeep, wiring

_EVERY_SECONDS = 300
_LEASE = timedelta(minutes=5)
_SUBJECT = "Seed message"
_TEXT = "This mail shows that mail by this route arrives. It goes to the shop's own mailbox, and nothing is to be done."
_CONTENT = Content(
    name="seed",
    subject=_SUBJECT,
    html=f"<p>{_TEXT}</p>",
    text=_TEXT,
    variables=(),
    hash=hashlib.sha256(f"{_SUBJECT}\n{_TEXT}".encode()).hexdigest(),
)


class RouteUnwell(RuntimeError):
    """An ESP takes no seed message, loses it, or tells nothing of it; the message says which and what to look at."""


@task(task_run_name="send seed messages", cache_policy=NO_CACHE)
def send() -> dict[str, int]:
    """Send one by each route of each account whose ESP tells events. Without a seed mailbox nothing is sent."""
    logger, engine = get_run_logger(), wiring.engine()
    mailboxes = settings.load().seeds.mailboxes
    if not mailboxes:
        logger.info("No seed mailbox is set (OMS_SEEDS_MAILBOXES): no seed message is sent, and silence is not noticed")
        return {}
    with database.read(engine) as connection:
        known = [accounts.get(connection, name) for name in accounts.names(connection)]
    # Each in its turn, so that no mailbox gets the same mail by several routes at once for ever.
    turn = int(wiring.clock().timestamp()) // _EVERY_SECONDS
    counts: dict[str, int] = {}
    failures = upkeep.Failures()
    for account in known:
        for stream in Stream:
            for route in wiring.routes(account, stream):
                turn += 1
                with failures.kept(f"send a seed message by {route.name} of {account.id}"):
                    outcome = _probe(account, route, mailboxes[turn % len(mailboxes)])
                    counts[outcome] = counts.get(outcome, 0) + 1
    with database.write(engine) as connection:
        seeds.purge(connection, now=wiring.clock())
    logger.info("Seed messages: %s", counts)
    failures.raise_kept()
    return counts


def _probe(account: Account, route: Route, address: str) -> str:
    """Send one; in a word what came of it."""
    if esps.is_host(route.provider):  # it sends whole campaigns only
        return "without_messages"
    try:
        mailer = esps.mailer(route.provider)
    except esps.NOT_CONFIGURED:
        return "not_configured"  # no mail goes by it
    with closing(mailer):
        if not mailer.capabilities.events:
            return "without_events"
        return _send(mailer, account, route, address).kind


def _send(mailer: Mailer, account: Account, route: Route, address: str) -> Outcome:
    """Write, send, write: a seed message is never sent without a row either."""
    engine = wiring.engine()
    with database.write(engine) as connection:
        seed_id = seeds.begin(connection, route, now=wiring.clock())
    outcome = mailer.send(batch(Sender(account.sender_email, account.sender_name), route, address, seed_id))
    with database.write(engine) as connection:
        seeds.finish(connection, seed_id, outcome)
    return outcome


def batch(
    sender: Sender,
    route: Route,
    address: str,
    seed_id: str,
    content: Content = _CONTENT,
    variables: Mapping[str, Sequence[str]] | None = None,
) -> Batch:
    """One message to one address of our own, by one route, from the route's domain."""
    local, _, own = sender.email.rpartition("@")
    message_id = seeds.message_id(seed_id)
    return Batch(
        run_id="seed",
        batch_id=0,
        attempt_id=message_id,
        lease_expires_at=wiring.clock() + _LEASE,
        campaign="seed",
        content=content,
        sender=sender if own == route.domain else Sender(f"{local}@{route.domain}", sender.name, sender.reply_to),
        message_ids=(message_id,),
        addresses=(address,),
        variables=variables or {},
        unsubscribe_urls=wiring.links().unsubscribe([message_id]),
        grant=Grant(
            id=seed_id,
            batch_id=0,
            route=route,
            mailbox_group=mailbox_provider(address),
            messages=1,
            decision={"reason": "a seed message"},
        ),
    )


@task(task_run_name="listen for seed messages", cache_policy=NO_CACHE)
def listen() -> None:
    """Raise RouteUnwell where an ESP fails its seed messages."""
    if not settings.load().seeds.mailboxes:
        return
    now = wiring.clock()
    with database.read(wiring.engine()) as connection:
        known = [accounts.get(connection, name) for name in accounts.names(connection)]
        providers = {
            route.provider for account in known for stream in Stream for route in wiring.routes(account, stream)
        }
        found = [seeds.health(connection, provider, now) for provider in sorted(providers)]
    told = [sentence for one in found if (sentence := _sentence(one))]
    if told:
        raise RouteUnwell(" ".join(told))


def _sentence(health: SeedHealth) -> str | None:
    """What is wrong and where to look; None where nothing is."""
    since = f"{health.since:%H:%M} UTC" if health.since else "a while"
    provider = health.provider
    if health.state is SeedState.SILENT:
        return (
            f"{provider} takes mail and tells nothing: no event came within"
            f" {seeds.CONFIRMED_WITHIN.total_seconds() / 60:g} minutes for any seed message since {since}. Bounces and"
            " complaints are not heard of either: look at its webhook settings, the gateway, and the flow"
            " process-delivery-events."
        )
    if health.state is SeedState.REFUSED:
        return f"{provider} did not take the seed message of {since}: {health.detail}."
    if health.state is SeedState.BOUNCED:
        return f"The seed message of {since} by {provider} did not reach the shop's own mailbox: {health.detail}."
    return None
