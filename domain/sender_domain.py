"""A domain that mail is sent from: what is asked about it, and what the DNS answered. Judged in authentication.py."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address

import idna
from publicsuffixlist import PublicSuffixList

from domain.dns_answers import Answer, DnsRecord

_MOST_LABELS = 8  # names asked on the way up to the organisation's (RFC 9989, 4.10, bounds its walk so)


class InvalidDomain(ValueError):
    """The text is no domain; the message says why."""


def ascii_domain(text: str) -> str:
    """A domain as the DNS has it: lower case, ASCII, no dot at the end. Raises InvalidDomain."""
    name = text.strip().rstrip(".")
    try:
        plain = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidDomain(f"no domain: {error}") from error
    labels = plain.split(".")
    if len(labels) < 2 or len(plain) > 253 or not all(_is_label(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        raise InvalidDomain("a domain is of labels of letters, digits and hyphens with dots between: news.shop.com")
    return plain


def _is_label(label: str) -> bool:
    return 0 < len(label) < 64 and all(letter.isalnum() or letter in "-_" for letter in label)  # noqa: PLR2004


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # 33 ms, from the file inside the package: nothing is downloaded


def organisation(domain: str) -> str:
    """The name that the owner registered: news.shop.co.uk → shop.co.uk (RFC 7489, 3.2, by the public suffix list)."""
    return _suffixes().privatesuffix(domain) or domain


def upwards(domain: str) -> tuple[str, ...]:
    """The domain, and each name above it up to the organisation's: at most eight, the lowest first."""
    top = organisation(domain)
    names = [domain]
    while names[-1] != top and "." in names[-1]:
        names.append(names[-1].partition(".")[2])
    return (*names[: _MOST_LABELS - 1], names[-1]) if len(names) > _MOST_LABELS else tuple(names)


@dataclass(frozen=True, slots=True)
class DomainRequest:
    """What is asked. All domains may be given as people write them (müller.de); addresses of relays as text.

    domain: that of From. return_path: that of the envelope, where SPF is judged; empty: that of From.
    esp_return_path: the envelope has the ESP's own domain (Mailchimp Marketing): SPF is its business and never aligns.
    spf_senders: domains of which SPF must include one (sendgrid.net). relays: our own IP addresses, which SPF must pass
    and whose names must lead there and back. selectors: those that must have a key; further_selectors: may have one.
    dkim_domain: d= of the signatures; empty: that of From. reply_to: domain of Reply-To, if another.
    expected: the records that the ESP's panel or API shows; what is missing is published as they say.
    """

    domain: str
    esp: str = ""
    return_path: str = ""
    esp_return_path: bool = False
    spf_senders: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    further_selectors: tuple[str, ...] = ()
    dkim_domain: str = ""
    reply_to: str = ""
    expected: tuple[DnsRecord, ...] = ()

    def __post_init__(self) -> None:
        """Bring all names into the form of the DNS. Raises InvalidDomain, and ValueError for an address."""
        own = ascii_domain(self.domain)
        names = {"domain": own}
        for name in ("return_path", "dkim_domain", "reply_to"):
            names[name] = ascii_domain(getattr(self, name) or own)
        for name, value in names.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "spf_senders", tuple(map(ascii_domain, self.spf_senders)))
        object.__setattr__(self, "relays", tuple(str(ip_address(one)) for one in self.relays))

    def key_name(self, selector: str) -> str:
        return f"{selector}._domainkey.{self.dkim_domain}".lower()

    def expecting(self, records: Iterable[DnsRecord]) -> "DomainRequest":
        """The request with what the ESP's panel shows: the records, the selectors among them and the return path."""
        found = tuple(records)
        names = [one.name.rstrip(".").lower() for one in found]
        selectors = tuple(name.partition("._domainkey.")[0] for name in names if "._domainkey." in name)
        paths = [name for name in names if "._domainkey." not in name and not name.startswith("_")]
        path = paths[0] if paths else self.return_path
        return replace(self.published_as(found), selectors=selectors or self.selectors, return_path=path)

    def published_as(self, records: Iterable[DnsRecord]) -> "DomainRequest":
        """The request with the records that the ESP publishes its part by."""
        return replace(self, expected=tuple(records))

    def wanted(self, name: str, *kinds: str) -> DnsRecord | None:
        """The record of one of these kinds that the ESP expects at a name."""
        found = (one for one in self.expected if one.kind in kinds and one.name.rstrip(".").lower() == name)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class SpfWalk:
    """One evaluation of a domain's SPF (RFC 7208) for one address.

    result: pass, fail, softfail, neutral, none, permerror or temperror, with the `problem` in words.
    visited: each domain whose record was read, in order, and the record.
    """

    result: str
    problem: str = ""
    look_ups: int = 0
    void: int = 0
    visited: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DkimKey:
    """What p= holds: kind rsa or ed25519, its length in bits, and a problem in words where nobody can read it."""

    kind: str = ""
    bits: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Selector:
    """One DKIM selector: the answer at its name, the keys of its records, and what stands where the ESP points."""

    name: str
    required: bool
    answer: Answer
    keys: tuple[DkimKey, ...] = ()
    at_esp: Answer | None = None


@dataclass(frozen=True, slots=True)
class MailHosts:
    """Where a domain receives: its MX, and the addresses of its hosts (or of the domain itself, without MX)."""

    domain: str
    mx: Answer
    addresses: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class ReverseName:
    """The names of one of our addresses, and the addresses of each name."""

    address: str
    names: Answer
    forward: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was asked and answered about one sending domain."""

    request: DomainRequest
    spf: Answer
    walk: SpfWalk | None
    relay_walks: Mapping[str, SpfWalk]
    selectors: tuple[Selector, ...]
    dmarc: tuple[Answer, ...]  # at the domain of From, then upwards, the organisation's last
    report_consents: Mapping[str, Answer]  # domain that shall receive reports, if a stranger's → its consent
    receives: tuple[MailHosts, ...]
    reverse: tuple[ReverseName, ...]
    extras: tuple[Answer, ...]  # BIMI, MTA-STS, TLS-RPT
