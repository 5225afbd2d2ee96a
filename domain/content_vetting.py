"""Vetting of content before a launch: what filters, mailbox providers and the law hold against a mail.

Few rules, each with its source: word lists ("free", "sale") are left out, as filters learn such words by sender. RED is a
hard violation and blocks a launch, YELLOW a warning, BLUE a hint. Sizes, alternative texts and contrast are the template's
own checks. No attachment can be among a campaign's content (domain/templates.Content), so none is looked for.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from domain import mail_links, mail_page
from domain.mail_links import AREA
from domain.mail_page import Page
from domain.preflight import Light, Line

_GMAIL = "Gmail's sender guidelines, support.google.com/mail/answer/81126 (2026-03)"
_CAN_SPAM = "CAN-SPAM Act, 15 U.S.C. 7704(a)"
_RFC_8058 = "RFC 8058; Gmail and Yahoo require it of marketing mail"
# A reply or a forwarded mail as mail programs of several languages write it: Re, Aw, Sv, Fwd, Wg, Tr, Rv, Enc, I …
_REPLY = re.compile(
    r"(?i)^\s*(?:re|aw|antw|sv|vs|res|rif|odp|ynt|fwd?|wg|tr|rv|enc|vb)\s*(?:\[\d+\]|\(\d+\))?\s*[:\uff1a]"
)
_THREAD = re.compile(r"\(\d+\)|\[\d+\]|\[[vxz✓✔]\]", re.IGNORECASE)
_GMAIL_DOMAINS = re.compile(r"(?i)\b(?:gmail|googlemail)\.com\b")
_CAPITALS_FROM = 10  # letters; SpamAssassin's SUBJ_ALL_CAPS leaves shorter subjects and single words alone
_EXCLAMATIONS = 3
_LONG_SUBJECT = 200  # characters; rspamd's LONG_SUBJ
_SHOWN_SUBJECT = 70  # characters that Gmail shows beside a short sender on a desktop; a phone shows about 40
_LITTLE_TEXT = 200  # characters beside a picture; SpamAssassin's HTML_IMAGE_ONLY_* begin below 400 to 3,200 bytes
_LOW_SHARE = 0.002  # characters of text a square pixel of picture: SpamAssassin's HTML_IMAGE_RATIO_02
_LARGE_PICTURES = 100_000  # square pixels in all; of smaller ones no share is reckoned
_HIDDEN = 20  # characters; less is a label for screen readers
_LONG_PREHEADER = 250  # characters; mail programs preview 140 at most
_SAME_WORDS = 0.5  # of the text part's words in the HTML part
_FEW_WORDS = 10
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as a sample recipient would get it, with what is known around it.

    `recipient`: the sample's own values, such as her name. `domains`: those that the run's routes sign for. `rehearsal`:
    it is delivered to nobody, so its links need not lead anywhere yet.
    """

    template: str
    subject: str
    html: str
    text: str
    sender_name: str
    sender_domain: str
    domains: Sequence[str]
    unsubscribe_url: str
    postal_address: str
    recipient: Sequence[str] = ()
    marketing: bool = True
    rehearsal: bool = False
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "page", mail_page.read(self.html))


def vet(mail: Mail) -> list[Line]:
    """Every finding, the worst first; one GREEN line where there is none. Links are not tried: `mail_links.judged`."""
    rules = (_subject, _subject_style, _sender, _way_out, _law, _parts, _hidden, _pictures, _rendered)
    found = [line for rule in rules for line in rule(mail)]
    found += mail_links.vet(mail.page.links, mail.template)
    if not found:
        return [Line(AREA, mail.template, Light.GREEN, "subject, sender and text are in order; links are tried apart")]
    return sorted(found, key=lambda line: [Light.RED, Light.YELLOW, Light.BLUE].index(line.light))


def _hard(mail: Mail, found: str, mend: str = "", source: str = "") -> Line:
    return Line(AREA, mail.template, Light.RED, found, mend, source)


def _warning(mail: Mail, found: str, mend: str = "", source: str = "") -> Line:
    return Line(AREA, mail.template, Light.YELLOW, found, mend, source)


def _hint(mail: Mail, found: str, mend: str = "", source: str = "") -> Line:
    return Line(AREA, mail.template, Light.BLUE, found, mend, source)


def _subject(mail: Mail) -> Iterator[Line]:
    subject = mail.subject
    if not subject.strip():
        yield _hard(mail, "there is no subject", source="RFC 5322; filters refuse such mail")
    if any(unicodedata.category(one) == "Cc" for one in subject):
        yield _hard(mail, "the subject holds a line break or a control character", "write it in one line", "RFC 5322")
    if found := _REPLY.match(subject):
        told = f"the subject begins with “{found[0].strip()}”, as if the mail were an answer"
        yield _hard(mail, told, "begin with what the mail is about", f"{_GMAIL}; {_CAN_SPAM}(2)")


def _subject_style(mail: Mail) -> Iterator[Line]:
    subject = mail.subject.strip()
    letters = [one for one in subject if one.isalpha() and one.lower() != one.upper()]
    if len(letters) >= _CAPITALS_FROM and " " in subject and all(one.isupper() for one in letters):
        yield _warning(mail, "the subject is all capitals", "write it in small letters", "SpamAssassin SUBJ_ALL_CAPS")
    if subject.count("!") >= _EXCLAMATIONS or "!!" in subject:
        yield _warning(mail, "the subject has many exclamation marks", "leave one at most", "SpamAssassin PLING_PLING")
    if len(subject) > _LONG_SUBJECT:
        told = f"the subject has {len(subject)} characters, more than {_LONG_SUBJECT}"
        yield _warning(mail, told, "shorten it", "rspamd LONG_SUBJ")
    elif len(subject) > _SHOWN_SUBJECT:
        told = f"the subject has {len(subject)} characters: inboxes cut it off at about {_SHOWN_SUBJECT}, phones at 40"
        yield _hint(mail, told, "say what matters first")


def _sender(mail: Mail) -> Iterator[Line]:
    name = mail.sender_name
    if mail.sender_domain.lower() not in {one.lower() for one in mail.domains}:
        told = f"the sender's domain {mail.sender_domain} is none that a route of this run signs for"
        signed = ", ".join(sorted(set(mail.domains))) or "none"
        yield _hard(mail, told, f"send from one of: {signed}", "DMARC alignment; Gmail, Yahoo and Microsoft require it")
    words = name.casefold()
    subject = mail.subject.strip().casefold()
    if (len(subject) > _CAPITALS_FROM and subject in words) or (len(words) > _CAPITALS_FROM and words in subject):
        yield _hard(mail, "the sender's name holds the subject", "name the shop and nothing else", _GMAIL)
    if any(_holds(words, value.casefold()) for value in mail.recipient) or mail_links.unfilled(name):
        yield _hard(mail, "the sender's name holds the recipient's", "name the shop and nothing else", _GMAIL)
    if _THREAD.search(name) or _REPLY.match(name):
        yield _hard(
            mail, "the sender's name looks like a conversation or a badge", "name the shop and nothing else", _GMAIL
        )
    if _GMAIL_DOMAINS.search(name):
        yield _hard(mail, "the sender's name holds a Gmail domain", "name the shop and nothing else", _GMAIL)
    if any(unicodedata.category(one) == "So" for one in name):
        told = "the sender's name holds an emoji or a symbol, which must not imitate a badge"
        yield _warning(mail, told, "name the shop in letters", _GMAIL)


def _holds(name: str, value: str) -> bool:
    return len(value) > 1 and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", name) is not None


def _way_out(mail: Mail) -> Iterator[Line]:
    """One-click headers are made of the same link by every mailer, so it must be what RFC 8058 asks for."""
    if not mail.marketing:
        return
    url = mail.unsubscribe_url
    if mail.html and not any(link.href.startswith(url) for link in mail.page.links):
        yield _hard(
            mail, "the HTML part has no link to unsubscribe", "place {{ unsubscribe_url }}", f"{_CAN_SPAM}(3); {_GMAIL}"
        )
    elif mail.html and not any(link.href.startswith(url) and link.text for link in mail.page.links):
        yield _hard(mail, "the link to unsubscribe cannot be seen: it has no text", "give it a text", _GMAIL)
    if mail.text.strip() and url not in mail.text:
        yield _hard(mail, "the text part has no link to unsubscribe", "place {{ unsubscribe_url }}", f"{_CAN_SPAM}(3)")
    if not url.lower().startswith("https://"):
        told = "the unsubscribe link is not https, so mail programs show no button of their own (one click)"
        one = _hint if mail.rehearsal else _hard
        yield one(mail, told, "set OMS_GATEWAY_PUBLIC_URL to an https address", _RFC_8058)


def _law(mail: Mail) -> Iterator[Line]:
    """A postal address that can be read, in either part: who reads one of them reads only that."""
    if not mail.marketing:
        return
    address = _letters(mail.postal_address)
    if not address:
        yield _hard(mail, "the account has no postal address", "set the account's postal address", f"{_CAN_SPAM}(5)")
        return
    parts = (("HTML", mail.html, mail.page.text), ("text", mail.text, mail.text))
    for name, there, read in parts:
        if there.strip() and address not in _letters(read):
            told = f"the {name} part lacks the shop's postal address"
            yield _hard(mail, told, "place {{ postal_address }}", f"{_CAN_SPAM}(5)(A)(iii)")


def _letters(text: str) -> str:
    return "".join(one for one in text.casefold() if one.isalnum())


def _parts(mail: Mail) -> Iterator[Line]:
    if not mail.text.strip():
        yield _warning(mail, "there is no text part", "write one", "SpamAssassin MIME_HTML_ONLY")
        return
    if not mail.html.strip():
        return
    words = {one.casefold() for one in _WORD.findall(re.sub(r"\S+://\S+", " ", mail.text))}
    shown = {one.casefold() for one in _WORD.findall(f"{mail.page.text} {mail.page.preheader}")}
    same = len(words & shown) / len(words) if words else 1.0
    if len(words) >= _FEW_WORDS and same < _SAME_WORDS:
        told = f"the text part says something else than the HTML part: {same:.0%} of its words are there"
        yield _warning(mail, told, "let both say the same", "SpamAssassin MPART_ALT_DIFF")


def _hidden(mail: Mail) -> Iterator[Line]:
    page = mail.page
    if len(page.hidden) > _HIDDEN:
        told = f"{len(page.hidden)} characters of text are hidden by style"
        yield _warning(mail, told, "take them out; only a preheader at the top may be hidden", _GMAIL)
    if len(page.preheader) > _LONG_PREHEADER:
        told = f"the hidden preheader has {len(page.preheader)} characters, more than any inbox shows"
        yield _warning(mail, told, f"leave {_LONG_PREHEADER} at most", _GMAIL)


def _pictures(mail: Mail) -> Iterator[Line]:
    page = mail.page
    if page.pictures and len(page.text) < _LITTLE_TEXT:
        told = f"the mail is pictures: {len(page.text)} characters of text beside {len(page.pictures)}"
        yield _warning(mail, told, f"write {_LITTLE_TEXT} characters or more as text", "SpamAssassin HTML_IMAGE_ONLY")
        return
    area = sum((one.width or 0) * (one.height or 0) for one in page.pictures)
    if area > _LARGE_PICTURES and len(page.text) / area < _LOW_SHARE:
        told = f"little text for its pictures: {len(page.text)} characters beside {area:,} square pixels"
        yield _hint(mail, told, "write more as text", "SpamAssassin HTML_IMAGE_RATIO_02")


def _rendered(mail: Mail) -> Iterator[Line]:
    """What would reach the customer as it stands in the template."""
    for name, part in (("subject", mail.subject), ("HTML part", mail.page.text), ("text part", mail.text)):
        if mail_links.unfilled(part):
            yield _hard(mail, f"a placeholder is left in the {name}", "name a variable that there is")
