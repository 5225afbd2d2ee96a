"""E-mail addresses: one canonical form to match by, one keyed hash to look up by.

Mail is always sent to the address as the customer gave it; the canonical form is for matching only.
"""

import hashlib
import hmac
import re
import unicodedata

import idna

from domain import mailbox_groups

_GMAIL = {"gmail.com", "googlemail.com"}
# Amazon hands out an address a purchase and forwards. Its policy forbids marketing to it, whoever passes it on to us.
_RELAY = re.compile(r"@(?:[a-z0-9.-]+\.)?marketplace\.amazon(?:\.[a-z]{2,3}){1,2}$")

# Mailboxes of a function and of no person: nobody in particular agreed, several read them, and spam traps lie behind
# some. RFC 2142 (info@ of section 3, and sections 4 to 6), and what bulk senders' own lists of blocked imports have in
# common besides (Mailchimp, GetResponse, NationBuilder). Not sales@, support@, marketing@, billing@, contact@ or
# office@, though RFC 2142 or some of those name them: in a small firm that is where the person reads who ordered.
ROLES = frozenset(
    {
        *("info", "abuse", "noc", "security", "postmaster", "hostmaster", "usenet", "news", "webmaster", "www"),
        *("uucp", "ftp", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "mailer-daemon", "root"),
        *("maildaemon", "mailerdaemon", "admin", "sysadmin", "dns", "devnull", "null", "nobody", "list-request"),
        *("spam", "phish", "phishing", "privacy", "subscribe", "unsubscribe", "undisclosed-recipients"),
    }
)

# RFC 5321's atext and dots, and of RFC 6531 whatever is beyond ASCII.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a0-\U0010ffff-]+")


class InvalidAddress(ValueError):
    """The text cannot be an e-mail address; the message says why and never repeats the text."""


def canonical(address: str) -> str:
    """Return the form in which two spellings of one mailbox are equal.

    Domain: IDNA to ASCII, lower case. Local part: NFKC and case folding. Gmail ignores dots and what follows a plus.
    Raises InvalidAddress. Idempotent: canonical(canonical(x)) == canonical(x).
    """
    text = unicodedata.normalize("NFKC", address.strip())
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise InvalidAddress("an address needs a name, one @ and a domain")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidAddress("an address holds no spaces or control characters")
    if "@" in local or len(local) > 64:  # noqa: PLR2004 - RFC 5321
        raise InvalidAddress("the part before the @ holds a second @ or is longer than 64 characters")
    domain = _ascii_domain(domain)
    local = unicodedata.normalize("NFKC", local.casefold())
    if domain in _GMAIL:
        local = local.partition("+")[0].replace(".", "") or local
        domain = "gmail.com"
    return f"{local}@{domain}"


def _ascii_domain(domain: str) -> str:
    try:
        encoded = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidAddress("the domain is not a valid internationalised name") from error
    labels = encoded.split(".")
    if len(labels) < 2 or not all(_is_label(label) for label in labels):  # noqa: PLR2004 - a name and a top level
        raise InvalidAddress("the domain needs at least two labels of letters, digits and dashes")
    return encoded


def _is_label(label: str) -> bool:
    plain = label.replace("-", "")
    return 0 < len(label) <= 63 and plain.isalnum() and label[0] != "-" and label[-1] != "-"  # noqa: PLR2004 - RFC 1035


def in_envelope(address: str) -> str:
    """The address as it stands in an SMTP envelope: its domain in A-labels, its local part as given, quoted if need be.

    Raises InvalidAddress where it cannot stand there. The local part may hold what is not ASCII (RFC 6531).
    """
    canonical(address)
    local, _, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    if not _LOCAL.fullmatch(local):
        raise InvalidAddress("the part before the @ holds a character that no envelope takes")
    # Some Japanese mailboxes have two dots in a row, or one at the end: only quoted are they right (RFC 5321).
    quoted = f'"{local}"' if local[0] == "." or local[-1] == "." or ".." in local else local
    if len(quoted.encode()) > 64:  # noqa: PLR2004 - RFC 5321 section 4.5.3.1.1, octets
        raise InvalidAddress("the part before the @ is longer than 64 octets")
    return f"{quoted}@{_ascii_domain(unicodedata.normalize('NFKC', domain))}"


def is_valid(address: str | None) -> bool:
    """Say whether the text can be mailed at all."""
    try:
        return address is not None and bool(canonical(address))
    except InvalidAddress:
        return False


def is_relay(address: str) -> bool:
    """Does a marketplace stand between? Such an address tells nothing of who it is and is never mailed."""
    return _RELAY.search(address.strip().lower()) is not None


def is_role(address: str) -> bool:
    """Does the mailbox belong to a function rather than to a person? A tag after a plus changes nothing."""
    return address.strip().lower().partition("@")[0].partition("+")[0] in ROLES


def address_hash(address: str, pepper: str) -> str:
    """HMAC-SHA256 of the canonical address as 64 hex digits: the key of suppressions and look-ups."""
    return hmac.new(pepper.encode(), canonical(address).encode(), hashlib.sha256).hexdigest()


def domain_of(address: str) -> str:
    """What follows the @, in lower case."""
    return address.strip().rpartition("@")[2].lower()


def mailbox_provider(address: str) -> str:
    """Name the group whose rules govern this mailbox, as far as the domain alone tells it; `other` where it does not."""
    return mailbox_groups.of_domain(domain_of(address)) or mailbox_groups.OTHER


def masked(address: str) -> str:
    """Show enough to recognise a row and too little to write to it: a***@e***.com."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"
