"""Reports in the form of RFC 3464 (what became of a mail) and RFC 8098 (that it was read), also of RFC 6533."""

import re
from collections.abc import Iterator
from email.message import Message

from domain.delivery import EventKind
from providers.smtp import mail
from providers.smtp.findings import Finding, address_in, code_in, refused
from providers.smtp.mail import Mail, Part

STATUS = ("message/delivery-status", "message/global-delivery-status")
DISPOSITION = ("message/disposition-notification", "message/global-disposition-notification")

# RFC 3464 section 2.3.3. `relayed`: handed to a server that sends no further report; `expanded`: to a list.
ACTIONS = {
    "failed": EventKind.BOUNCED,
    "delayed": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "relayed": EventKind.DELIVERED,
    "expanded": EventKind.PROCESSED,
}
# Where a report says no action, as some do: the class of its status.
_CLASSES = {"2": EventKind.DELIVERED, "4": EventKind.DEFERRED, "5": EventKind.BOUNCED}
_MOST_RECIPIENTS = 100
_BLANK_LINE = re.compile(r"\n(?:[ \t]*\n)+")
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_REJECTED = re.compile(r"was automatically rejected:\s*", re.IGNORECASE)
_STATUS = re.compile(r"([245])\.\d{1,3}\.\d{1,3}")


def recipients(part: Part, prose: str) -> Iterator[Finding]:
    """One finding for each recipient; where its server's words are missing, the report's prose speaks."""
    # Some wrap the report in base64, which RFC 2046 forbids; `original` undoes it.
    for number, block in enumerate(_BLANK_LINE.split(part.original())):
        fields = mail.fields_of(block)
        if number > _MOST_RECIPIENTS:
            return
        if (action := _action(fields)) is None:
            continue
        who = address_of(mail.field(fields, "original-recipient")) or address_of(mail.field(fields, "final-recipient"))
        if action not in {EventKind.BOUNCED, EventKind.DEFERRED}:
            yield Finding(action, who)
            continue
        status = _STATUS.search(mail.field(fields, "status"))
        said = mail.field(fields, "diagnostic-code") or prose[:2000]
        yield refused(action, who, status=status[0] if status else "", text=said)


def _action(fields: "Message[str, str]") -> EventKind | None:
    """What was done; None of a block that is about the whole mail."""
    if "final-recipient" not in fields and "original-recipient" not in fields and "action" not in fields:
        return None
    word = mail.field(fields, "action").partition(" ")[0].strip("();").lower()
    status = _STATUS.search(mail.field(fields, "status"))
    return ACTIONS.get(word) or (_CLASSES[status[1]] if status else None)


def disposition(part: Part, prose: str) -> Finding:
    """A receipt. Only `displayed` says that a mail was opened, and a program may have said it by itself.

    Dovecot bounces in this form what a mailbox has no room for, or its owner's filter rejects.
    """
    fields = mail.fields_of(part.original())
    words = mail.field(fields, "disposition").lower().replace(" ", "")
    who = address_of(mail.field(fields, "original-recipient")) or address_of(mail.field(fields, "final-recipient"))
    mode, _, result = words.partition(";")
    if result.partition("/")[0] == "displayed":
        return Finding(EventKind.OPENED, who, machine=mode.startswith("automatic-action"))
    if (rejected := _REJECTED.search(prose[:4000])) is not None:
        reason = prose[rejected.end() :][:500]
        return refused(EventKind.BOUNCED, who, status=code_in(reason), text=reason)
    return Finding(EventKind.UNKNOWN, who, detail=f"receipt: {result[:40] or 'without a disposition'}")


def original_id(part: Part) -> str:
    """The Message-ID of the mail that a receipt is for."""
    return mail.field(mail.fields_of(part.original()), "original-message-id")


def address_of(value: str) -> str | None:
    r"""The address behind its type (`rfc822; a@b`, `utf-8; …` with \x{…} for what is not ASCII)."""
    _, semicolon, rest = value.partition(";")
    spelled = _HEX.sub(_character, rest if semicolon else value)
    return address_in(spelled)


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    half = 0xD800 <= number <= 0xDFFF  # noqa: PLR2004 - half of a surrogate pair is no character
    return "" if half or number > 0x10FFFF else chr(number)  # noqa: PLR2004 - the last character of Unicode


def readable(returned: Mail) -> list[Part]:
    """The reports of a mail; those of the outermost mail that has one."""
    found = returned.of_kind(*STATUS)
    return [part for part in found if part.level == found[0].level]
