"""Links of a mail: what filters and readers distrust, and whether they lead anywhere.

Whether a link works is asked of a `LinkProber`; what it cannot tell is neither good nor bad.
"""

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from domain.mail_page import Link
from domain.preflight import Light, Line
from domain.sender_domain import organisation

AREA = "content"
_GMAIL = "Gmail's sender guidelines: links are visible and easy to understand (support.google.com/mail/answer/81126)"
_SHORT = "public shorteners are on blocklists for what others link to; SpamAssassin scores them (DecodeShortURLs)"

# Public services that anybody can make a link with, the commonest of SpamAssassin's list of shorteners.
SHORTENERS = frozenset(
    {
        *("adf.ly", "bit.do", "bit.ly", "bitly.com", "bl.ink", "buff.ly", "clck.ru", "cutt.ly", "cutt.us", "dlvr.it"),
        *("goo.gl", "goo.su", "is.gd", "j.mp", "lnkd.in", "ow.ly", "qr.ae", "rb.gy", "rebrand.ly", "s.id", "short.gy"),
        *("shorte.st", "shorturl.at", "snip.ly", "t.co", "t.ly", "t2m.io", "tiny.cc", "tiny.one", "tinyurl.com"),
        *("tr.im", "trib.al", "u.to", "urlz.fr", "v.gd", "vk.cc", "x.co", "x.gd", "zws.im"),
    }
)
# A text that reads as an address of the web: with a scheme or www it is meant as one, else it may be a name in prose.
_ADDRESS = re.compile(r"(?i)^\W*(https?://|www\.)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?=$|[/?#:\s.,;!)])")
_HARMLESS = frozenset({"mailto", "tel", "sms"})
_DANGEROUS = frozenset({"javascript", "data", "vbscript", "file", "blob"})
_MOST_SHOWN = 60
_PLACEHOLDER = re.compile(r"{{|}}|\[%|%\]|\*\|")


class Reach(StrEnum):
    """What came of asking for a link."""

    WORKS = "works"
    BROKEN = "broken"  # its server said so (404, 410 …)
    NOWHERE = "nowhere"  # there is no such host
    FORBIDDEN = "forbidden"  # it leads into a private network
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer, and in a few words why."""

    reach: Reach
    detail: str = ""


class LinkProber(Protocol):
    """Asks for web pages, within bounds of time, and reaches no private network."""

    def probe(self, urls: Collection[str]) -> Mapping[str, Probe]:
        """Never raises for what the network does; a link that is missing in the answer was not asked for."""
        ...


def vet(links: Sequence[Link], subject: str) -> Iterator[Line]:
    """What is wrong with links as they are written, each address once."""
    for link in dict.fromkeys(links):
        yield from _vetted(link, subject)


def to_probe(links: Sequence[Link]) -> list[str]:
    """Those that can be asked for: of the web, in their order, each once."""
    return list(dict.fromkeys(one.href for one in links if _of_web(one.href)))


def judged(probes: Mapping[str, Probe], subject: str) -> Iterator[Line]:
    """What asking for them told. A page may still be made before the launch: only a host that is none blocks."""
    unsure = [(url, one) for url, one in probes.items() if one.reach is Reach.CANNOT_TELL]
    for url, one in probes.items():
        told = f"the link to {shown(url)} {{}} ({one.detail})"
        match one.reach:
            case Reach.BROKEN:
                yield Line(AREA, subject, Light.YELLOW, told.format("is broken"), "mend the link, or publish the page")
            case Reach.NOWHERE:
                yield Line(
                    AREA,
                    subject,
                    Light.RED,
                    told.format("leads to a host that does not exist"),
                    "correct it or take it out",
                )
            case Reach.FORBIDDEN:
                yield Line(
                    AREA, subject, Light.RED, told.format("leads into a private network"), "link to a public page"
                )
            case _:
                pass
    if unsure:
        reasons = ", ".join(sorted({one.detail for _, one in unsure}))
        yield Line(AREA, subject, Light.GREY, f"{len(unsure)} of {len(probes)} links could not be tried ({reasons})")


def shown(url: str) -> str:
    """A link as it may stand in a report: without query, which may hold a token, and cut to a line."""
    bare = url.partition("?")[0].partition("#")[0]
    bare = re.sub(r"//[^/@]*@", "//", bare)
    if len(bare) <= _MOST_SHOWN:
        return bare
    half = _MOST_SHOWN // 2
    return f"{bare[:half]}…{bare[1 - half :]}"  # links of one shop differ at the end


def host_of(url: str) -> str | None:
    """The host in lower case; None where there is none or the address cannot be read."""
    try:
        found = urlsplit(url)
        _ = found.port  # raises where it is no number
    except ValueError:
        return None
    return found.hostname


def _of_web(href: str) -> bool:
    return href.lower().startswith(("http://", "https://")) and host_of(href) is not None


def _vetted(link: Link, subject: str) -> Iterator[Line]:
    href, name = link.href, shown(link.href) or "(empty)"
    scheme = href.partition(":")[0].lower() if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href) else ""
    if scheme in _HARMLESS:
        return
    if scheme in _DANGEROUS:
        told = f"a link is no web address but {scheme}: mail programs remove it, filters refuse the mail"
        yield Line(AREA, subject, Light.RED, told, "write https://…")
        return
    if _PLACEHOLDER.search(href):
        yield Line(AREA, subject, Light.RED, f"a link holds a placeholder that nobody fills in: {name}")
        return
    host = host_of(href) if scheme in {"http", "https"} else None
    if href.startswith("#") and len(href) > 1:
        return
    if host is None or " " in href or ("." not in host.strip(".") and not _ip(host)):
        told = f"a link is broken as it is written: {name}"
        yield Line(AREA, subject, Light.RED, told, "write https://host/page")
        return
    yield from _distrusted(link, host, name, subject)


def _distrusted(link: Link, host: str, name: str, subject: str) -> Iterator[Line]:
    if _ip(host):
        told = f"a link names a machine by its number: {name}"
        yield Line(
            AREA, subject, Light.YELLOW, told, "link to a name", "SpamAssassin NUMERIC_HTTP_ADDR; phishing does so"
        )
    elif link.href.lower().startswith("http:"):
        told = f"a link is not encrypted: {name}"
        yield Line(AREA, subject, Light.YELLOW, told, "write https://", "browsers warn of such pages")
    if host.removeprefix("www.") in SHORTENERS:
        yield Line(AREA, subject, Light.YELLOW, f"a shortened link: {name}", "link to the page itself", _SHORT)
    found = _ADDRESS.match(link.text)
    if found and "@" not in link.text and not related(found[2].lower(), host):
        # A name with a dot may be a brand in prose (Booking.com); with https:// or www. it says where one will go.
        light = Light.RED if found[1] else Light.YELLOW
        told = f"a link reads {found[2].lower()} and leads to {host}"
        yield Line(AREA, subject, light, told, "let the text name the page, not another address", _GMAIL)


def _ip(host: str) -> bool:
    """Also in the other spellings that browsers take: 2130706433, 0x7f.1."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(re.fullmatch(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}", host))
    return True


def related(one: str, other: str) -> bool:
    """Of one owner, as far as names tell: of the same registered domain."""
    return organisation(one.lower().rstrip(".")) == organisation(other.lower().rstrip("."))


def unfilled(text: str) -> bool:
    """Does a placeholder stand in it still, ours or an ESP's?"""
    return bool(_PLACEHOLDER.search(text))
