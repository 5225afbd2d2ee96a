"""Bounces that are written for people only: qmail, Exim, Lotus, Exchange in its own words, old Postfix, and others.

Who says that a bounce is one: a mail daemon as sender, a subject, a sentence; two of them, or Exim's own field. Then
each line that begins with an address is a recipient, and what stands by it is the reason.
"""

import re
from collections.abc import Iterator

from domain.delivery import EventKind
from providers.smtp.findings import Finding, address_in, code_in, refused
from providers.smtp.mail import Mail

_MOST_LINES = 400
_LINE_CHARACTERS = 1000
_REASON_LINES = 8
_MOST_RECIPIENTS = 50

_DAEMON = re.compile(
    r"(?:^|<|\s|\")(?:mailer[-_. ]?daemon|post[-_.]?master|mail[-_. ]?(?:daemon|delivery|system|admin)|maildelivery|mdaemon"
    r"|mailerdaemon|majordomo|smtp[-_]?daemon|bounces?|inet4?mail|microsoftexchange\w*)\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver|returned mail|delivery (?:status|fail|notif|err|problem|report|unsuccess|has fail|subsystem)|failure notice"
    r"|mail (?:delivery|fail|system err|status)|failed mail|failure delivery|processing error|message (?:status|delivery|undeliver)|non[- ]?deliver|not deliver|nondeliver"
    r"|could(?: ?n[o']t|n.t) (?:be )?(?:send|sent|deliver)|can(?:not|'t) (?:be )?deliver|user unknown|delayed|warning: "
    r"|bounced|returning message|rejected:|mail.{0,20}not sent|nicht zugestellt|unzustellbar|non remis|non distribu"
    r"|no (?:se ha podido )?entreg|mancata consegna|niet bezorg|недостав|не доставлен|配信|送信できません|エラー|退信",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?:could|can|was|were|been|is)(?: ?not|n.t| un)\s*(?:be\s+|been\s+)?(?:able\s+to\s+)?(?:deliver|sent|send|reach|able to deliver)"
    r"|delivery (?:to the following|has failed|failed|attempt|error|is delayed)|fail(?:ed|ure)\s+(?:to\s+)?deliver"
    r"|unable to (?:deliver|send)|undeliver|user unknown|unknown user|(?:has been|was) returned|no such (?:user|recipient|mailbox)|permanent (?:fatal )?error|fatal errors"
    r"|did(?: not|n't) reach|not delivered|returned to (?:you|sender)|mailbox (?:is )?full|over ?quota|bounced|not listed in"
    r"|(?:user|account|address|mailbox|recipient)\b.{0,80}(?:unknown|not found|does ?n.t exist|not exist|disabled|unavailable)"
    r"|rejected (?:by|your)|been delayed|still being retried|error transferring|zugestellt werden|non trov|n'a pas pu",
    re.IGNORECASE | re.DOTALL,
)
_WARNING = re.compile(
    r"(?:has been|was|is being|is|delivery) delayed|warning only|will (?:continue|keep|be) (?:to )?(?:try|retr)"
    r"|still being retried|not yet (?:been )?deliver|no action is required|do not need to resend|temporarily deferred"
    r"|will be (?:re)?tried|delayed mail|could not send message for past|wird weiterhin versucht|delivery status notification \(delay\)",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(
    r"giv(?:ing|en) up|permanent(?:ly)?\b|fatal error|undeliverable|could not be delivered to", re.IGNORECASE
)
_DELIVERED = re.compile(r"(?:was|been) successfully (?:delivered|relayed)|success(?:fully)? delivered", re.IGNORECASE)
# Here the returned mail begins: what it says is ours and no reason of anybody.
_RETURNED = re.compile(
    r"^[\s>*|-]*(?:return-path|received|dkim-signature|message-id|x-originating-ip)\s*:"
    r"|^\W{0,10}(?:below (?:this line )?is a copy|this is a copy of (?:the|your) message|(?:the )?(?:original|unsent|returned|failed) message"
    r"|(?:the )?headers? of the original|message (?:text|header|headers|contents) follow|a copy of (?:the|your)"
    r"|original message|included is a copy|the following (?:is|are) the (?:text|header)|your original mail)",
    re.IGNORECASE,
)
# What is told of the returned mail between the reasons: our own subject is no reason of anybody.
_OURS = re.compile(
    r"^[ \t]*(?:from|cc|subject|sent(?: date)?|date|mail from|message-id|size(?: \(in bytes\))?|number of lines"
    r"|original sender|(?:sender|remote|reporting)-mta|messagename|last-attempt-date)[ \t]*:",
    re.IGNORECASE,
)
_LIST = re.compile(r"did not reach the following|cannot be delivered to the following", re.IGNORECASE)
# A line that begins with an address, perhaps behind a word or two for it.
_ADDRESS_LINE = re.compile(
    r"^[\s>*|.\-]{0,20}(?:(?:rcpt\s+to|to|recipient|failed\s+recipient|user|address|for|delivery\s+to|e-?mail"
    r"|original-recipient|final-recipient|smtp|rfc822)(?:\s*[:;=]\s*|\s+)){0,2}(?:[245]\d\d\s+(?:[245]\.\d+\.\d+\s+)?)?"
    r"[\"'<(\[]{0,3}(?:mailto:)?([^\s<>()\[\],;:\"'@]{1,64}@[^\s<>()\[\],;:\"'@]{1,255})(.*)$",
    re.IGNORECASE,
)
_JUNK = re.compile(r"^[\s>)\]\"':;,.\-]+")


def found_in(returned: Mail, text: str) -> Iterator[Finding]:
    """What the prose of a bounce says of each recipient; nothing where it is no bounce."""
    if not is_bounce(returned, text):
        return
    head = _head(text)
    kind = _kind(returned.field("subject"), "\n".join(head))
    if kind is EventKind.DELIVERED:
        yield Finding(kind, address_in("\n".join(head)))
        return
    reasons = _reasons(returned, head)
    for address, reason in list(reasons.items())[:_MOST_RECIPIENTS]:
        yield refused(kind, address, status=code_in(reason), text=reason)
    if not reasons:
        said = _telling(head)
        yield refused(kind, address_in(said) or address_in(" ".join(head)), status=code_in(said), text=said)


def is_bounce(returned: Mail, text: str) -> bool:
    """Two signs, or the field that Exim and Gmail write into bounces only.

    An empty return path counts beside a subject alone: answers have it too, and may speak of full mailboxes.
    """
    subject = _SUBJECT.search(returned.field("subject")) is not None
    signs = (
        of_mail_system(returned),
        subject,
        subject and returned.field("return-path") == "<>",
        _SENTENCE.search(text[:8000]) is not None,
    )
    return bool(returned.field("x-failed-recipients")) or sum(signs) > 1


def of_mail_system(returned: Mail) -> bool:
    """Whether a mail system wrote it, and no person's mailbox."""
    if returned.field("x-failed-recipients") or "delivery-status" in returned.field("content-type").lower():
        return True
    return any(_DAEMON.search(returned.field(name)) for name in ("from", "return-path"))


def _kind(subject: str, head: str) -> EventKind:
    if _DELIVERED.search(head):
        return EventKind.DELIVERED
    if _WARNING.search(f"{subject}\n{head}") and not _GIVEN_UP.search(head):
        return EventKind.DEFERRED
    return EventKind.BOUNCED


def _head(text: str) -> list[str]:
    """The lines before the returned mail, without the headers that Exchange repeats above its list of recipients."""
    lines: list[str] = []
    for line in text[: _MOST_LINES * 200].split("\n")[:_MOST_LINES]:
        if lines and _RETURNED.match(line[:_LINE_CHARACTERS]):
            break
        lines.append("" if _OURS.match(line) else line[:_LINE_CHARACTERS].rstrip())
    lists = [number for number, line in enumerate(lines) if _LIST.search(line)]
    return lines[lists[-1] :] if lists and address_in("\n".join(lines[lists[-1] :])) else lines


def _reasons(returned: Mail, head: list[str]) -> dict[str, str]:
    """Each recipient with what is said of him."""
    own = {address_in(returned.field(name)) for name in ("from", "to", "reply-to")}
    named = {
        one
        for value in returned.fields("x-failed-recipients")
        for part in value.split(",")
        if (one := address_in(part))
    }
    starts = {
        number: found
        for number, line in enumerate(head)
        if (found := _ADDRESS_LINE.match(line)) is not None
        and (address := found[1].strip(".`")) not in own
        # A reply may speak of the sender's address: where the header names the recipients, it begins none.
        and (not named or address.lower() in named or not line.lstrip()[:1].isdigit())
    }
    reasons: dict[str, str] = {}
    for number, found in starts.items():
        said = [_JUNK.sub("", found[2]), *_following(head, number + 1, starts)]
        address, reason = found[1].strip(".`"), " ".join(filter(None, said))
        reasons[address] = f"{reasons[address]} {reason}".strip() if address in reasons else reason
    if len(reasons) == 1 and not any(map(code_in, reasons.values())):
        reasons = {address: f"{reason} {_telling(head)}".strip() for address, reason in reasons.items()}
    if named:
        return {one: reasons.get(one) or _telling(head) for one in sorted(named)}
    return {address: reason or _telling(head) for address, reason in reasons.items()}


def _following(head: list[str], start: int, starts: dict[int, "re.Match[str]"]) -> Iterator[str]:
    """The lines by an address: up to a gap after them, or the next address."""
    begun = False
    for number in range(start, min(start + _REASON_LINES, len(head))):
        line = head[number].strip()
        if number in starts or (begun and not line):
            return
        begun = begun or bool(line)
        if line:
            yield line


def _telling(head: list[str]) -> str:
    """The first lines with a code or a refusal, for a bounce that does not set its reason by an address."""
    for number, line in enumerate(head):
        if code_in(line):
            return " ".join(head[number : number + 3])
    sentence = _SENTENCE.search("\n".join(head))
    return (
        " ".join("\n".join(head)[sentence.start() :][:600].split())
        if sentence
        else " ".join(" ".join(head).split())[:600]
    )
