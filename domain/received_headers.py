"""What the header of a mail that arrived says: who vouched for it, what was signed, and how it came in.

Results are read with authres (RFC 8601), one method at a time, because no large provider keeps to the grammar: Microsoft
gives no name of its own, Yahoo ends with a semicolon, Apple writes a header a method. Trusted is only what stands above
the part that the sender's side wrote: headers are put on top as a mail travels.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import NamedTuple

import authres

from domain.mail_links import related

ONE_CLICK = ("list-unsubscribe", "list-unsubscribe-post")
_MOST_BYTES = 256 * 1024
_LONGEST = 16_000  # characters of one header; real ones have a few hundred
# A result with its comments and quoted strings, up to the next semicolon outside of them.
_PIECE = re.compile(r'(?:"(?:\\.|[^"\\])*"|\((?:\\.|[^()\\]|\((?:\\.|[^()\\])*\))*\)|[^;"(])+')
_METHOD = re.compile(r"\s*[A-Za-z][\w-]*(?:\s*/\s*\d+)?\s*=")
_TLS = re.compile(
    r"\bwith\s+(?:UTF8)?(?:E?SMTPSA?|LMTPSA?)\b|\bversion=TLS|\busing\s+TLS|\(TLS\d?[\w.]*", re.IGNORECASE
)
_VERSION = re.compile(r"\bTLS\s?v?_?(1[._][0-3])", re.IGNORECASE)
_BY = re.compile(r"\bby\s+([^\s;()]+)", re.IGNORECASE)
_FROM = re.compile(r"^\s*from\s+(\S+)(.*?)(?=\sby\s|$)", re.IGNORECASE | re.DOTALL)
_IP = re.compile(
    r"(?<![\w.:])(?:IPv6:)?(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?![\w.:])",
    re.IGNORECASE,
)
# Several domains of one provider, between whose machines a mail passes on its way in.
_OWNERS = {
    "office365.com": "outlook.com",
    "hotmail.com": "outlook.com",
    "icloud.com": "apple.com",
    "me.com": "apple.com",
}


class Signature(NamedTuple):
    """A DKIM signature as its header tells it: whose, by which key, over which headers (lower case)."""

    domain: str
    selector: str
    covers: frozenset[str]


class Result(NamedTuple):
    """What the receiving side found by one method, for whom."""

    method: str  # spf, dkim, dmarc
    result: str  # pass, fail, …
    domain: str  # that of the signature, the envelope sender or the From
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """The header of one mail that arrived. `encrypted` None: it does not say how it came in."""

    from_domain: str
    results: tuple[Result, ...]
    signatures: tuple[Signature, ...]
    one_click: bool  # both headers of RFC 8058 are there, with an https link
    encrypted: bool | None
    tls_version: str
    received_by: str  # the host that took it in

    def of(self, method: str) -> list[Result]:
        """All results of a method, the one for the From's own domain first."""
        found = [one for one in self.results if one.method == method]
        return sorted(found, key=lambda one: (not self.aligned(one.domain), one.result != "pass"))

    def aligned(self, domain: str) -> bool:
        """Does it belong to the domain of the From (DMARC's relaxed alignment, as far as names tell)?"""
        return bool(domain) and bool(self.from_domain) and related(domain, self.from_domain)

    @property
    def one_click_signed(self) -> bool:
        """Whether a signature of the sender's domain covers both (RFC 8058, section 4). Its being valid is `of("dkim")`."""
        passed = {(one.domain, one.selector) for one in self.of("dkim") if one.result == "pass"}
        trusted = [one for one in self.signatures if self.aligned(one.domain) and _vouched(one, passed)]
        return any(one.covers.issuperset(ONE_CLICK) for one in trusted)


def _vouched(signature: Signature, passed: Iterable[tuple[str, str]]) -> bool:
    """Providers name domain and selector, or the domain alone; where none passed, the signature speaks for itself."""
    pairs = list(passed)
    return not pairs or any(
        domain == signature.domain and selector in {"", signature.selector} for domain, selector in pairs
    )


def read(raw: bytes) -> Received:
    """Read the header of a mail; what is broken in it is left out. Never raises."""
    header = _headers(raw)
    own, border = _receiving_side(header)
    came_in = header[border][1] if border is not None else ""
    sender = next((value for name, value in header if name == "from"), "")
    values: dict[str, str] = {}
    for name, value in header:
        values.setdefault(name, value)
    return Received(
        from_domain=_domain(sender.rpartition("<")[2].partition(">")[0]),
        results=tuple(result for name, value in own if name == "authentication-results" for result in _results(value)),
        signatures=tuple(filter(None, (_signature(value) for name, value in header if name == "dkim-signature"))),
        one_click=_is_one_click(values),
        encrypted=_encrypted(came_in),
        tls_version=found[1].replace("_", ".") if (found := _VERSION.search(came_in)) else "",
        received_by=found[1].lower() if (found := _BY.search(came_in)) else "",
    )


def _headers(raw: bytes) -> list[tuple[str, str]]:
    """Names in lower case, values on one line. Bytes beyond ASCII are replaced: nothing here needs them."""
    head = raw[:_MOST_BYTES].partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
    text = head.decode("ascii", "replace").replace("\ufffd", "?").replace("\0", "")
    parsed = BytesHeaderParser().parsebytes(text.encode() + b"\n\n")
    return [(name.lower().strip(), " ".join(str(value).split())) for name, value in parsed.items()]


def _receiving_side(header: Sequence[tuple[str, str]]) -> tuple[Sequence[tuple[str, str]], int | None]:
    """The headers that the mailbox's own provider wrote, and where it took the mail in.

    That is the first trace of a hop from a public address of another owner. Below it Gmail and others still write their
    findings; the sender's side begins with the next trace or signature.
    """
    border = next((n for n, (name, value) in enumerate(header) if name == "received" and _crosses(value)), None)
    if border is None:
        first = next((n for n, (name, _) in enumerate(header) if name == "dkim-signature"), len(header))
        return header[:first], None
    for place in range(border + 1, len(header)):
        if header[place][0] in {"received", "dkim-signature"}:
            return header[:place], border
    return header, border


def _crosses(trace: str) -> bool:
    """Does this trace tell of a mail that came from outside?"""
    found = _FROM.match(trace)
    by = _BY.search(trace)
    if found is None or by is None:
        return False
    name, rest = found[1], found[2]
    public = [one for one in _IP.findall(f"{name} {rest}") if _is_public(one)]
    return bool(public) and not _of_one_owner(name.strip("[]()"), by[1])


def _of_one_owner(one: str, other: str) -> bool:
    """Machines that a provider passes mail between, as far as their names tell."""
    names = [".".join(host.lower().rstrip(".").split(".")[-2:]) for host in (one, other)]
    return related(one, other) or len({_OWNERS.get(name, name) for name in names}) == 1


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _encrypted(trace: str) -> bool | None:
    return bool(_TLS.search(trace)) if trace else None


def _results(value: str) -> Iterator[Result]:
    """Each method that authres can read, by itself: one that is out of form does not hide the others."""
    for piece in _PIECE.findall(value[:_LONGEST]):
        if not _METHOD.match(piece):
            continue  # the provider's own name, or a stray word of Microsoft's
        try:
            parsed = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: x; {piece.strip()}")
        except (authres.AuthResError, ValueError, TypeError, AttributeError):
            continue
        for one in parsed.results:
            if one.method in {"spf", "dkim", "dmarc"}:
                named = {f"{it.type}.{it.name}": str(it.value) for it in one.properties}
                yield Result(one.method, str(one.result).lower(), _named(one.method, named), named.get("header.s", ""))


_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "spf": ("smtp.mailfrom", "smtp.helo"),
    "dkim": ("header.d", "header.i"),
    "dmarc": ("header.from",),
}


def _named(method: str, properties: Mapping[str, str]) -> str:
    return next((_domain(properties[name]) for name in _PROPERTIES[method] if name in properties), "")


def _domain(address: str) -> str:
    return address.strip().strip('"').rpartition("@")[2].strip(" .\"'").lower()


def _signature(value: str) -> Signature | None:
    tags = {
        name.strip().lower(): "".join(content.split())
        for name, _, content in (part.partition("=") for part in value.split(";"))
    }
    if not tags.get("d") or "h" not in tags:
        return None
    return Signature(tags["d"].lower(), tags.get("s", "").lower(), frozenset(tags["h"].lower().split(":")))


def _is_one_click(values: Mapping[str, str]) -> bool:
    post = "".join(values.get("list-unsubscribe-post", "").split()).lower()
    return post == "list-unsubscribe=one-click" and "<https://" in "".join(
        values.get("list-unsubscribe", "").lower().split()
    )
