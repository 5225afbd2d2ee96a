"""Take a valid request on: its recipients, their fates, every event that will be due. One transaction, bulk inserts."""

import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from providers.sandbox import bypasses, fate, groups, suppressions

# What is clicked in a mail whose links are not in the request, as with a template stored at the ESP.
_SHOP = "https://shop.example.com/"
_LINK = re.compile(r"""href\s*=\s*["'](https?://[^"']+)["']""", re.IGNORECASE)


class Person(NamedTuple):
    """One address that a request names, and what travels with it. `copy`: a further one of the same personalization."""

    message_id: str
    attempt_id: str | None
    address: str
    copy: bool
    key: str
    custom_args: dict[str, str]
    send_at: float


class Taken(NamedTuple):
    """A request that passed its vendor's rules.

    `dropped`: why an address (in lower case) gets nothing; `listed`: onto which list an event puts an address.
    """

    vendor: str
    reference: str
    common: Mapping[str, Any]
    links: Sequence[str]
    people: Sequence[Person]
    dropped: Mapping[str, str]
    invalid_because: str
    listed: Callable[[fate.End, fate.Kind, str, float], suppressions.Entry | None]
    untold: frozenset[fate.Kind] = frozenset()  # what is not tracked is never heard of


class _Rows(NamedTuple):
    """What one request writes, in bulk."""

    recipients: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]
    suppressions: list[suppressions.Entry]


def new_reference() -> str:
    """An X-Message-Id."""
    return secrets.token_urlsafe(16)


def record(
    connection: sqlite3.Connection, payload: Mapping[str, Any], reference: str, *, seed: int, delay: float, now: float
) -> None:
    """Write down everything of SendGrid's mail/send under the X-Message-Id. `payload` has passed the rules."""
    people = list(_recipients(payload, reference))
    in_group = "asm" in payload and bypasses.heeds_groups(payload)
    group = groups.listing(payload["asm"]["group_id"]) if in_group else None
    addresses = [person.address.lower() for person in people]
    taken = Taken(
        "sendgrid",
        reference,
        _common(payload),
        _links(payload),
        people,
        suppressions.reasons(connection, addresses, now, heeded=bypasses.heeded(payload), group=group),
        suppressions.DROPPED_BECAUSE[suppressions.Listing.INVALID_EMAILS],
        suppressions.entry,
        _untracked(payload),
    )
    write(connection, taken, seed=seed, delay=delay, now=now)


def write(connection: sqlite3.Connection, taken: Taken, *, seed: int, delay: float, now: float) -> None:
    """Write down a request, its people, and every event that will be due."""
    request = connection.execute(
        "INSERT INTO requests (x_message_id, accepted_at, common, links, vendor) VALUES (?, ?, ?, ?, ?)",
        (taken.reference, now, _json(taken.common), _json(taken.links), taken.vendor),
    )
    (last,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM recipients").fetchone()
    rows = _Rows([], [], [])
    for row_id, person in enumerate(taken.people, start=last + 1):
        because = taken.dropped.get(person.address.lower())
        story = fate.of(seed=seed, key=person.key, address=person.address, suppressed=because is not None)
        if story.end is fate.End.INVALID:
            because = taken.invalid_because
        rows.recipients.append(_recipient_row(row_id, request.lastrowid, person, story.end, because))
        _add_events(rows, row_id, story, person, taken, now=now, delay=delay)
    _insert(connection, rows)


def _untracked(payload: Mapping[str, Any]) -> frozenset[fate.Kind]:
    """The reactions that SendGrid does not see, as the request's tracking settings say."""
    settings = payload.get("tracking_settings") or {}
    kinds = {"open_tracking": {fate.Kind.OPEN, fate.Kind.MACHINE_OPEN}, "click_tracking": {fate.Kind.CLICK}}
    off = [name for name in kinds if (settings.get(name) or {}).get("enable") is False]
    return frozenset(kind for name in off for kind in kinds[name])


def take_back(connection: sqlite3.Connection, reference: str, *, send_at: float) -> None:
    """Forget a request that was to go at `send_at` and does not: its people, its events, whom it would suppress."""
    people = connection.execute(
        "SELECT r.id, LOWER(r.address) AS email FROM recipients r JOIN requests q ON q.id = r.request_id"
        " WHERE q.x_message_id = ?",
        (reference,),
    ).fetchall()
    ids = [(person["id"],) for person in people]
    listed = [(person["email"], send_at) for person in people]
    connection.executemany("DELETE FROM suppressions WHERE email = ? AND created >= ?", listed)
    connection.executemany("DELETE FROM events WHERE recipient_id = ?", ids)
    connection.executemany("DELETE FROM recipients WHERE id = ?", ids)
    connection.execute("DELETE FROM requests WHERE x_message_id = ?", (reference,))


def _insert(connection: sqlite3.Connection, rows: _Rows) -> None:
    connection.executemany("INSERT INTO recipients VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.recipients)
    connection.executemany(
        "INSERT INTO events (recipient_id, position, kind, occurred_at, due_at, repeat, vendor)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows.events,
    )
    suppressions.add(connection, rows.suppressions)


def _recipients(payload: Mapping[str, Any], reference: str) -> Iterator[Person]:
    common_args = payload.get("custom_args", {})
    for position, personalization in enumerate(payload["personalizations"]):
        custom_args = {**common_args, **personalization.get("custom_args", {})}
        ours = custom_args.get("message_id")
        send_at = personalization.get("send_at", payload.get("send_at", 0))
        people = [*personalization["to"], *personalization.get("cc", ()), *personalization.get("bcc", ())]
        for order, person in enumerate(people):
            yield Person(
                message_id=ours or f"{reference}.{position}",
                attempt_id=custom_args.get("attempt_id"),
                address=person["email"],
                copy=order > 0,
                key=ours or person["email"].lower(),
                custom_args=custom_args,
                send_at=send_at,
            )


def _recipient_row(
    row_id: int, request_id: int | None, recipient: Person, end: fate.End, because: str | None
) -> tuple[Any, ...]:
    return (
        row_id,
        request_id,
        run_of(recipient.message_id),
        recipient.message_id,
        recipient.attempt_id,
        recipient.address,
        recipient.copy,
        end,
        because,
        _json(recipient.custom_args),
    )


def _add_events(
    rows: _Rows, row_id: int, story: fate.Fate, person: Person, taken: Taken, *, now: float, delay: float
) -> None:
    """Add each event, its repetition half a delay later where there is one, and what it means for the address."""
    start = max(now, person.send_at)
    for position, step in enumerate(story.steps):
        if step.kind in taken.untold:
            continue
        at = start + step.at * delay
        due_at = start + step.reported_at * delay
        rows.events.append((row_id, position, step.kind, at, due_at, fate.NONE, taken.vendor))
        if step.repeat != fate.NONE:
            rows.events.append((row_id, position, step.kind, at, due_at + 0.5 * delay, step.repeat, taken.vendor))
        if entry := taken.listed(story.end, step.kind, person.address, at):
            rows.suppressions.append(entry)


def run_of(message_id: str) -> str:
    """The run in `<run>.<ordinal>`."""
    return message_id.rpartition(".")[0]


def _common(payload: Mapping[str, Any]) -> dict[str, Any]:
    common: dict[str, Any] = {}
    if categories := payload.get("categories"):
        common["category"] = categories
    if asm := payload.get("asm"):
        common["asm_group_id"] = asm["group_id"]
    return common


def _links(payload: Mapping[str, Any]) -> list[str]:
    """The links that are the same for everyone; those with a variable in them are left out."""
    variables = tuple(payload["personalizations"][0].get("substitutions", ()))
    return links("".join(part["value"] for part in payload.get("content", ())), variables)


def links(text: str, variables: Sequence[str]) -> list[str]:
    """The links of a mail that are the same for everyone."""
    return [link for link in _LINK.findall(text) if not any(name in link for name in variables)] or [_SHOP]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
