"""What Mailchimp posts, by the documented shapes, with the two products' signatures made as the vendor says."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

SECRET = "whsec_0123456789abcdef"
KEY = "rLN4k9ej4NJgRtLPJqz_Ng"
URL = "https://shop.example.com/webhooks/mailchimp-transactional"
ADDRESS = "secret.person@example.com"


def marketing(kind: str, *, fired_at: str = "2026-11-22 09:00:00", **data: str) -> bytes:
    """A body of Marketing; what each type holds is in `data`, `merges__FNAME` becomes data[merges][FNAME]."""
    fields = {"type": kind, "fired_at": fired_at}
    for name, value in data.items():
        fields["data[" + name.replace("__", "][") + "]"] = value
    return urlencode(fields).encode()


def unsubscribed(**changes: str) -> bytes:
    facts = {
        "action": "unsub",
        "reason": "manual",
        "id": "8a25ff1d98",
        "list_id": "a6b5da1054",
        "email": ADDRESS,
        "email_type": "html",
        "ip_opt": "10.20.10.30",
        "campaign_id": "cb398d21d2",
        "merges__EMAIL": ADDRESS,
        "merges__FNAME": "Änn",
    }
    return marketing("unsubscribe", **{**facts, **changes})


def cleaned(**changes: str) -> bytes:
    facts = {"list_id": "a6b5da1054", "campaign_id": "4fjk2ma9xd", "reason": "hard", "email": ADDRESS}
    return marketing("cleaned", **{**facts, **changes})


def marketing_headers(body: bytes, *secrets: str, at: int = 1795338000) -> dict[str, str]:
    signed = [hmac.new(one.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest() for one in secrets]
    return {"X-Mailchimp-Signature": ",".join([f"t={at}", *(f"v1={one}" for one in signed)])}


def message(**changes: Any) -> dict[str, Any]:
    """The `msg` of a message event."""
    facts = {
        "ts": 1795337990,
        "_id": "exampleaaaaaaaaaaaaaaaaaaaaaaaaa",
        "_version": "exampleaaaaaaaaaaaaaaa",
        "email": ADDRESS,
        "sender": "news@shop.example.com",
        "subject": "Win back",
        "state": "sent",
        "tags": ["win-back"],
        "opens": [],
        "clicks": [],
        "smtp_events": [],
        "resends": [],
        "template": None,
        "metadata": {"message_id": "r1.0", "attempt_id": "a1"},
    }
    return {**facts, **changes}


def event(word: str, *, ts: Any = 1795338000, msg: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    msg = message() if msg is None else msg
    return {"event": word, "_id": msg.get("_id"), "ts": ts, "msg": msg, **more}


def bounced(word: str = "hard_bounce", **changes: Any) -> dict[str, Any]:
    facts = {
        "state": "bounced" if word == "hard_bounce" else "soft-bounced",
        "bounce_description": "bad_mailbox",
        "bgtools_code": 10,
        "diag": f"smtp;550 5.1.1 The email account that you tried to reach ({ADDRESS}) does not exist.",
    }
    return event(word, msg=message(**{**facts, **changes}))


def sync(
    action: str = "add", reason: str = "hard-bounce", detail: str = "550 mailbox does not exist"
) -> dict[str, Any]:
    reject = {
        "reason": reason,
        "detail": detail,
        "last_event_at": "2026-11-22 08:59:00",
        "email": ADDRESS,
        "created_at": "2026-11-22 08:59:00",
        "expires_at": "2027-11-22 08:59:00",
        "expired": False,
        "subaccount": None,
        "sender": "news@shop.example.com",
    }
    return {"type": "blacklist", "action": action, "reject": reject, "ts": 1795338000}


def transactional(*elements: Any) -> bytes:
    return urlencode({"mandrill_events": json.dumps(list(elements))}).encode()


def transactional_headers(body: bytes, key: str = KEY, url: str = URL) -> dict[str, str]:
    from urllib.parse import parse_qsl

    text = url + "".join(name + value for name, value in sorted(parse_qsl(body.decode(), keep_blank_values=True)))
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()
    return {"X-Mandrill-Signature": base64.b64encode(digest).decode()}
