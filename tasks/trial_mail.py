"""Test messages: the real mail, with sample values, to internal mailboxes only, followed until it lies in its folder.

Each is a seed message (data/seeds): written before it is sent, and known by its events. In the mailbox it is found by the
token of its unsubscribe link, which every ESP carries in List-Unsubscribe as it is.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import settings
from data import database, seeds
from domain import allow_list, arrivals, received_headers
from domain.arrivals import Arrival
from domain.campaigns import Sender
from domain.ledger import OutcomeKind
from domain.preflight import Light, Line
from domain.routes import Route
from domain.templates import Content
from providers.smtp import mailbox
from providers.smtp.config import ReturnsConfig
from providers.smtp.mailbox import MailboxUnavailable, UnreadableMail
from tasks import esps, seeding, wiring

AREA = "test message"
_PAUSE_SECONDS = 3.0
_MOST_BYTES = 2**18  # of a mail: the header is at its beginning
_HEADS_READ = 50  # new mails looked at in one folder, the newest; a busy mailbox is no test mailbox


class NotInternal(ValueError):
    """The mailbox is not on the list of internal addresses: nothing was sent."""


@dataclass
class _Trial:
    """One test message under way."""

    route: Route
    seed_id: str
    token: str
    handed_over_at: datetime
    heard_of: bool = True  # the ESP tells also of what is delivered
    told: str | None = None  # by its events
    arrival: Arrival | None = None


@dataclass
class _Folder:
    """A folder of the test mailbox, and up to where it was read."""

    config: ReturnsConfig
    last_uid: int = 0
    trouble: str = ""
    seen: set[int] = field(default_factory=set)


def check(addresses: Sequence[str]) -> None:
    """Raises NotInternal where one is not on the list, in production too."""
    allowed = settings.load().preflight.allowed
    if not all(map(allowed.allows, addresses)):
        raise NotInternal(
            "test messages go to internal mailboxes only, and this one is not on the list: add it, or @ and its domain, to"
            " OMS_PREFLIGHT_MAILBOXES; nothing was sent"
        )


def run(
    sender: Sender, content: Content, values: dict[str, str], ways: Sequence[Route], addresses: Sequence[str]
) -> list[Line]:
    """Send one by each way to each address, and tell what became of them. Raises NotInternal before anything is sent."""
    check(addresses)
    folders = [_Folder(config) for config in settings.load().preflight.folders()]
    for folder in folders:
        _read(folder, [])  # what lies there already is none of ours
    lines: list[Line] = []
    trials = []
    for route in ways:
        if esps.is_host(route.provider):
            told = "it sends whole campaigns by itself: each run has it send its draft to these mailboxes"
            lines.append(Line(AREA, route.provider, Light.BLUE, told))
            continue
        for address in addresses:
            found = _sent(sender, content, values, route, address)
            if isinstance(found, Line):
                lines.append(found)
            else:
                trials.append(found)
    _follow(trials, folders)
    return [*lines, *(line for one in trials for line in _told(one, folders))]


def _sent(sender: Sender, content: Content, values: dict[str, str], route: Route, address: str) -> _Trial | Line:
    """Write, send, write. A line where the ESP did not take it."""
    engine, allowed = wiring.engine(), settings.load().preflight.allowed
    with database.write(engine) as connection:
        seed_id = seeds.begin(connection, route, now=wiring.clock())
    columns = {name: [values.get(name, "")] for name in content.variables}
    batch = seeding.batch(sender, route, address, seed_id, content, columns)
    with closing(esps.mailer(route.provider)) as opened:
        # Whatever the environment, and whoever opened it: a test message goes to nobody else.
        outcome = allow_list.InternalMailer(opened, allowed).send(batch)
    with database.write(engine) as connection:
        seeds.finish(connection, seed_id, outcome)
    if outcome.kind is not OutcomeKind.ACCEPTED:
        light = Light.GREY if outcome.kind is OutcomeKind.UNKNOWN else Light.RED
        return Line(AREA, route.provider, light, f"{outcome.kind.replace('_', ' ')}: {outcome.detail}")
    token = batch.unsubscribe_urls[0].rstrip("/").rpartition("/")[2]
    return _Trial(route, seed_id, token, wiring.clock(), opened.capabilities.events)


def _follow(trials: Sequence[_Trial], folders: Sequence[_Folder]) -> None:
    """Look for events and arrivals until all are known or the time is over."""
    end = time.monotonic() + settings.load().preflight.wait_seconds
    while trials:
        for folder in folders:
            _read(folder, trials)
        with database.read(wiring.engine()) as connection:
            for one in trials:
                one.told = seeds.told(connection, one.seed_id)
        if not any(_awaited(one, folders) for one in trials) or time.monotonic() >= end:
            return
        time.sleep(min(_PAUSE_SECONDS, max(end - time.monotonic(), 0)))


def _awaited(one: _Trial, folders: Sequence[_Folder]) -> bool:
    """Whether more may come of it: events where there are any, and its arrival unless it met with trouble."""
    return (one.heard_of and one.told is None) or bool(folders and one.arrival is None and not one.told)


def _read(folder: _Folder, trials: Sequence[_Trial]) -> None:
    """Look at what is new in a folder. A mailbox that fails is told of, and asked again the next time."""
    try:
        with mailbox.opened(folder.config) as box:
            found = [uid for uid in box.uids(folder.last_uid) if uid not in folder.seen]
            if not trials:
                folder.last_uid = max(found, default=0)
                return
            for uid in found[-_HEADS_READ:]:
                folder.seen.add(uid)
                mail = box.read(uid)
                if mail is not None:
                    _match(mail.body[:_MOST_BYTES], mail.arrived_at, folder.config.imap_folder, trials)
        folder.trouble = ""
    except (MailboxUnavailable, UnreadableMail) as error:
        folder.trouble = f"{folder.config.imap_folder}: {error}"


def _match(raw: bytes, arrived_at: datetime, folder: str, trials: Sequence[_Trial]) -> None:
    head = raw.partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
    unfolded = b"".join(head.split())  # a long link is folded where a server likes
    for one in trials:
        if one.arrival is None and one.token.encode() in unfolded:
            # The mailbox counts in whole seconds: what it says lies up to one before the truth.
            took = max(arrived_at - one.handed_over_at, timedelta())
            one.arrival = Arrival(received_headers.read(raw), took, folder)


def _told(trial: _Trial, folders: Sequence[_Folder]) -> Iterator[Line]:
    provider = trial.route.provider
    waited = f"within {settings.load().preflight.wait_seconds:g} s"
    yield Line(AREA, provider, Light.GREEN, f"{provider} took it, from {trial.route.domain}")
    if trial.told:
        yield Line(AREA, provider, Light.RED, f"{provider} tells of trouble: {trial.told}")
    elif trial.told is None and not trial.heard_of:
        told = "a relay tells what it does not deliver; of mail that arrives it tells where it is asked to"
        yield Line(AREA, provider, Light.BLUE, told, 'OMS_SMTP_DSN_NOTIFY=["success","failure","delay"]')
    elif trial.told is None:
        mend = "is the gateway reached by its webhooks? `campaigns doctor` and docs/webhooks.md"
        yield Line(AREA, provider, Light.GREY, f"no event came of it {waited}", mend)
    else:
        yield Line(AREA, provider, Light.GREEN, "its events come in")
    if trial.arrival is not None:
        yield from arrivals.lines(trial.arrival, provider)
    elif folders:
        troubles = "; ".join(one.trouble for one in folders if one.trouble)
        told = troubles or f"it did not arrive {waited} in {', '.join(one.config.imap_folder for one in folders)}"
        yield Line(arrivals.AREA, provider, Light.GREY if troubles else Light.YELLOW, told)
    else:
        told = "no test mailbox is configured, so nothing is known of its arrival"
        yield Line(arrivals.AREA, provider, Light.BLUE, told, "OMS_PREFLIGHT_IMAP_HOST=…")
