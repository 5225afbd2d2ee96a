"""Complaints of feedback loops: ARF (RFC 5965), and what Microsoft's loop sends without it.

Yahoo, Comcast and others blacken the address in the report and in the returned mail, so the names that we sign
(domain/message_ids.py) are what tells whose mail it was.
"""

from collections.abc import Iterator
from email.message import Message

from domain.bounces import Verdict
from domain.delivery import EventKind
from domain.suppression import Reason
from providers.smtp import mail
from providers.smtp.findings import Finding, address_in
from providers.smtp.mail import Mail, Part

FEEDBACK = "message/feedback-report"
_COMPLAINED = Verdict(suppresses=Reason.COMPLAINT)
_UNSUBSCRIBED = Verdict(suppresses=Reason.UNSUBSCRIBE)
# RFC 5965 section 7.3, and opt-out, opt-out-list of its drafts. `not-spam` takes a complaint back; that is for people
# to decide. `auth-failure` (RFC 6591) is about somebody who uses our name.
TYPES = {
    "abuse": (EventKind.COMPLAINED, _COMPLAINED),
    "fraud": (EventKind.COMPLAINED, _COMPLAINED),
    "virus": (EventKind.COMPLAINED, _COMPLAINED),
    "other": (EventKind.COMPLAINED, _COMPLAINED),
    "complaint": (EventKind.COMPLAINED, _COMPLAINED),
    "opt-out": (EventKind.UNSUBSCRIBED, _UNSUBSCRIBED),
    "opt-out-list": (EventKind.UNSUBSCRIBED, _UNSUBSCRIBED),
}
_RECIPIENT_FIELDS = ("original-rcpt-to", "removal-recipient", "original-recipient")
_MICROSOFT = "x-hmxmroriginalrecipient"


def found_in(returned: Mail) -> Iterator[Finding]:
    """The complaint that a mail is, if it is one."""
    reports = returned.of_kind(FEEDBACK)
    if reports:
        yield _feedback(reports[0], returned)
    elif (who := _microsoft(returned)) is not None:
        yield Finding(EventKind.COMPLAINED, who, _COMPLAINED, "complaint of Microsoft's feedback loop")


def _feedback(report: Part, returned: Mail) -> Finding:
    fields = mail.fields_of(report.original())
    word = mail.field(fields, "feedback-type").lower()
    kind, verdict = TYPES.get(word, (EventKind.UNKNOWN, Verdict()))
    named = (address_in(mail.field(fields, name)) for name in _RECIPIENT_FIELDS)
    who = next((one for one in named if one), None) or _microsoft(returned) or _addressee(returned)
    return Finding(kind, who, verdict, f"feedback: {word[:40] or 'without a type'}")


def _originals(returned: Mail) -> Iterator["Message[str, str]"]:
    for part in returned.of_kind(*mail.ORIGINALS):
        yield mail.fields_of(part.original().lstrip("\n"))


def _addressee(returned: Mail) -> str | None:
    return next((who for one in _originals(returned) if (who := address_in(mail.field(one, "to")))), None)


def _microsoft(returned: Mail) -> str | None:
    """To whom it was delivered: Microsoft says so in a field of the mail that it returns, or of its own."""
    fields = (mail.field(one, _MICROSOFT) for one in (returned.headers, *_originals(returned)))
    return next((who for one in fields if (who := address_in(one))), None)
