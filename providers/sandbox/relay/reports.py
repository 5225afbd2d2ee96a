"""What comes back by mail: bounces, delays and successes (RFC 3464), complaints (RFC 5965), requests to unsubscribe."""

import re
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from domain import message_ids
from providers.sandbox import events
from providers.sandbox.fate import End, Kind

_HOST = "mx.sandbox.test"
_DAEMON = f"MAILER-DAEMON@{_HOST}"
_BOUNDARY = "=_sandbox_report"
_MAILTO = re.compile(r"<(mailto:[^>]+)>", re.IGNORECASE)
# By which event: RFC 3464's action, and RFC 3461's word by which such a report is asked for.
_REPORTED = {
    Kind.BOUNCE: ("failed", "FAILURE"),
    Kind.DEFERRED: ("delayed", "DELAY"),
    Kind.DELIVERED: ("delivered", "SUCCESS"),
}


class Report(NamedTuple):
    """A mail to whoever sent the mail."""

    sender: str
    recipient: str
    content: bytes


def of(row: Mapping[str, Any]) -> Report | None:
    """The mail by which an event is told, if one is."""
    kind, told = Kind(row["kind"]), orjson.loads(row["custom_args"])
    if not told["return_path"]:
        return None  # a report of a report
    if kind in _REPORTED and _REPORTED[kind][1] in told["notify"].split(","):
        return Report("", told["return_path"], _status(row, told, kind))
    if kind is Kind.SPAM_REPORT:
        return Report("", message_ids.mailbox_of(told["return_path"]), _complaint(row, told))
    return _leaving(row) if kind is Kind.UNSUBSCRIBE else None


def _status(row: Mapping[str, Any], told: Mapping[str, str], kind: Kind) -> bytes:
    action, _ = _REPORTED[kind]
    reason, status = _words(row, kind)
    fields = [f"Reporting-MTA: dns; {_HOST}"]
    if told["envid"]:
        fields.append(f"Original-Envelope-Id: {told['envid']}")
    fields.append("")
    if told["orcpt"]:
        fields.append(f"Original-Recipient: {told['orcpt'].replace(';', '; ', 1)}")
    fields += [f"Final-Recipient: rfc822; {row['address']}", f"Action: {action}", f"Status: {status}"]
    fields.append(f"Diagnostic-Code: smtp; {reason}")
    text = f"This is the mail system at host {_HOST}.\r\n\r\n<{row['address']}>: host said: {reason}"
    return _report(
        row, "delivery-status", told["return_path"], f"Delivery Status Notification ({action})", text, fields
    )


def _words(row: Mapping[str, Any], kind: Kind) -> tuple[str, str]:
    if kind is Kind.BOUNCE:
        no = events.refusal(End(row["fate"]), row["address"])
        return no.reason, no.status
    if kind is Kind.DEFERRED:
        return "451 4.7.1 Try again later, too many connections", "4.7.1"
    return "250 2.0.0 Ok", "2.0.0"


def _complaint(row: Mapping[str, Any], told: Mapping[str, str]) -> bytes:
    fields = [
        "Feedback-Type: abuse",
        "User-Agent: Sandbox/1.0",
        "Version: 1",
        f"Original-Mail-From: <{told['return_path']}>",
        f"Original-Rcpt-To: <{row['address']}>",
        f"Arrival-Date: {formatdate(row['occurred_at'])}",
    ]
    text = "This is an email abuse report for an email message."
    to = message_ids.mailbox_of(told["return_path"])
    return _report(row, "feedback-report", to, "Abuse report", text, fields)


def _report(row: Mapping[str, Any], kind: str, to: str, subject: str, text: str, fields: list[str]) -> bytes:
    """A multipart/report (RFC 6522): for people, for programs, and the headers of the mail that it speaks of."""
    lines = [
        f"From: Mail Delivery System <{_DAEMON}>",
        f"To: {to}",
        f"Subject: {subject}",
        f"Date: {formatdate(row['occurred_at'])}",
        f"Message-ID: {make_msgid(domain=_HOST)}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={kind}; boundary="{_BOUNDARY}"',
        "",
    ]
    parts = (
        ("text/plain; charset=utf-8", [text]),
        (f"message/{kind}", fields),
        ("text/rfc822-headers", orjson.loads(row["common"])["headers"]),
    )
    for content_type, body in parts:
        lines += [f"--{_BOUNDARY}", f"Content-Type: {content_type}", "", *body, ""]
    return "\r\n".join([*lines, f"--{_BOUNDARY}--", ""]).encode()


def _leaving(row: Mapping[str, Any]) -> Report | None:
    """Where the mail offers an address to leave by, a mail to it."""
    headers = "\n".join(orjson.loads(row["common"])["headers"])
    offered = _MAILTO.search(headers)
    if offered is None:
        return None
    to = urlsplit(offered[1])
    mail = EmailMessage()
    mail["From"], mail["To"] = row["address"], unquote(to.path)
    mail["Subject"] = parse_qs(to.query).get("subject", ["unsubscribe"])[0]
    mail["Date"], mail["Message-ID"] = formatdate(row["occurred_at"]), make_msgid(domain=_HOST)
    mail.set_content("unsubscribe\r\n")
    return Report(row["address"], unquote(to.path), mail.as_bytes(policy=mail.policy.clone(linesep="\r\n")))
