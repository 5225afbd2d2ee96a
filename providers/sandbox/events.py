"""Events in SendGrid's shape, with the texts that mailbox providers really answer.

Shapes: facts/esp-contracts.md 4.2. A mailbox that is full is `blocked` at SendGrid, not a bounce: the address stays
usable (sendgrid/docs pull request 3524).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from domain import addresses
from providers.sandbox import fate
from providers.sandbox.fate import End, Kind


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a receiving server said no, in its words and in SendGrid's classes."""

    reason: str
    status: str
    type: str
    classification: str


_HARD = {
    "gmail": "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the "
    "recipient's email address for typos or unnecessary spaces. - gsmtp",
    "outlook": "550 5.1.1 Requested action not taken: mailbox unavailable (S2017062302)",
    "yahoo": "550 5.1.1 delivery error: dd This user doesn't have a yahoo.com account",
}
_SOFT = {
    "gmail": "552 5.2.2 The recipient's inbox is out of storage space and inactive. - gsmtp",
    "outlook": "552 5.2.2 Mailbox full; STOREDRV.Deliver; quota exceeded",
}
_BLOCK = {
    "gmail": "550 5.7.1 Our system has detected that this message is likely unsolicited mail. - gsmtp",
    "outlook": "550 5.7.1 Unfortunately, messages from [198.51.100.7] weren't sent. Please contact your Internet "
    "service provider since part of their network is on our block list (S3150).",
    "yahoo": "550 5.7.1 [TSS09] All messages from 198.51.100.7 will be permanently deferred",
}
_DELIVERED = {
    "gmail": "250 2.0.0 OK  {stamp} {token} - gsmtp",
    "outlook": "250 2.6.0 <{token}@geopod-ismtpd-4> Queued mail for delivery -> 250 2.1.5",
    "yahoo": "250 ok dirdel",
}
_HUMAN_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
)
_MACHINE_AGENT = "Mozilla/5.0"  # all that Apple's mail privacy proxy says of itself
_OUR_IP = "198.51.100.7"
_ENGAGED = frozenset({Kind.OPEN, Kind.MACHINE_OPEN, Kind.CLICK, Kind.SPAM_REPORT, Kind.UNSUBSCRIBE})


def refusal(end: End, address: str) -> Refusal:
    """Say how the mailbox provider of an address refuses mail."""
    group = addresses.mailbox_provider(address)
    if end is End.HARD:
        reason = _HARD.get(group, "550 5.1.1 Recipient address rejected: User unknown in virtual mailbox table")
        return Refusal(reason, "5.1.1", "bounce", "Invalid Address")
    if end is End.SOFT:
        return Refusal(_SOFT.get(group, "552 5.2.2 Mailbox full"), "5.2.2", "blocked", "Mailbox Unavailable")
    reason = _BLOCK.get(group, "550 5.7.1 Message rejected due to the sender's reputation")
    return Refusal(reason, "5.7.1", "blocked", "Reputation")


def render(row: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Make one element of a webhook post. Our keys overwrite custom arguments of the same name, as SendGrid's do."""
    kind = Kind(row["kind"])
    token = _token(seed, row)
    reference = row["x_message_id"]
    event = {
        **orjson.loads(row["custom_args"]),
        **orjson.loads(row["common"]),
        "email": row["address"],
        "timestamp": int(row["occurred_at"]),
        "event": "open" if kind is Kind.MACHINE_OPEN else kind.value,
        "sg_event_id": token,
        "sg_message_id": f"{reference}.recvd-5f54b5d587-x7xkz-1-{int(row['accepted_at']):X}-{row['recipient_id']:X}.0",
    }
    if kind not in _ENGAGED:
        event["smtp-id"] = f"<{reference}@geopod-ismtpd-4>"
    return event | _particulars(kind, row, token)


def _token(seed: int, row: Mapping[str, Any]) -> str:
    """22 characters, one for each event; a repetition may have another, which SendGrid's receivers have seen."""
    changed = row["repeat"] == fate.CHANGED_ID
    parts = f"{seed}\0{row['x_message_id']}\0{row['recipient_id']}\0{row['position']}\0{changed}"
    return blake2b(parts.encode(), digest_size=11).hexdigest()


def _particulars(kind: Kind, row: Mapping[str, Any], token: str) -> dict[str, Any]:
    """What only this kind of event carries."""
    address = row["address"]
    domain = address.rpartition("@")[2]
    match kind:
        case Kind.DEFERRED:
            response = "450 4.7.1 Try again later, too many connections"
            return {"response": response, "attempt": "1", "domain": domain, "ip": _OUR_IP, "tls": 1}
        case Kind.DELIVERED:
            text = _DELIVERED.get(addresses.mailbox_provider(address), "250 2.0.0 Ok: queued as {token}")
            response = text.format(stamp=int(row["occurred_at"]), token=token)
            return {"response": response, "ip": _OUR_IP, "tls": 1}
        case Kind.DROPPED:
            return {"reason": row["dropped_because"], "status": "5.0.0"}
        case Kind.BOUNCE:
            no = refusal(End(row["fate"]), address)
            classes = {"type": no.type, "bounce_classification": no.classification}
            return {"reason": no.reason, "status": no.status, "ip": _OUR_IP, "tls": 1, **classes}
        case Kind.OPEN | Kind.MACHINE_OPEN | Kind.CLICK:
            return engagement(kind, row)
        case _:
            return {}


def engagement(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of whoever opened or clicked."""
    if kind is Kind.MACHINE_OPEN:
        return {"useragent": _MACHINE_AGENT, "ip": "203.0.113.1", "sg_machine_open": True, "sg_content_type": "html"}
    reader = {"useragent": _HUMAN_AGENT, "ip": f"203.0.113.{row['recipient_id'] % 250 + 2}"}
    if kind is Kind.OPEN:
        return {**reader, "sg_machine_open": False, "sg_content_type": "html"}
    links = orjson.loads(row["links"])
    index = row["recipient_id"] % len(links)
    return {**reader, "url": links[index], "url_offset": {"index": index, "type": "html"}}
