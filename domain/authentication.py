"""Whether a domain may send: all lines about it, and whether a marketing launch may go out by them.

The rules are the mailbox providers' own for bulk senders (Line.source names them); docs/sender-authentication.md tells
them in words. Everything here is pure: providers/authentication.py asks the DNS.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.dkim_judgement import dkim_lines
from domain.dmarc_judgement import dmarc_lines
from domain.dns_answers import Answer, Malformed, quoted, tags
from domain.preflight import Light, Line
from domain.reachability import reply_lines, reverse_lines
from domain.sender_domain import Evidence, organisation
from domain.spf_judgement import spf_lines

REQUIRED = ("spf", "dkim", "dmarc", "mx", "ptr")  # a GREY line of another area refuses nothing
ALWAYS_JUDGED = ("spf", "dkim", "dmarc")
GOOD_FOR = timedelta(days=7)  # as long as the DNS was found right, its trouble of today refuses nothing

_EXTRAS = {
    "bimi": (
        "BIMI1",
        "shows your logo beside the mail; it needs a policy of quarantine or reject",
        "Gmail, Yahoo, Apple",
    ),
    "mta-sts": ("STSv1", "makes others encrypt mail to you", "RFC 8461"),
    "tls-rpt": ("TLSRPTv1", "has others report when they cannot encrypt mail to you", "RFC 8460"),
}
_EXTRA_NAMES = {"bimi": "default._bimi.", "mta-sts": "_mta-sts.", "tls-rpt": "_smtp._tls."}


def judge(evidence: Evidence) -> list[Line]:
    """Every line about a sending domain, what is required first."""
    return [
        *spf_lines(evidence),
        *dkim_lines(evidence),
        *dmarc_lines(evidence),
        *reverse_lines(evidence),
        *reply_lines(evidence),
        *(_extra_line(answer) for answer in evidence.extras),
    ]


def extra_names(domain: str) -> list[tuple[str, ...]]:
    """Where BIMI, MTA-STS and TLS-RPT have their TXT records: of each the names to ask, until one has a record."""
    owner = organisation(domain)
    bimi, *others = _EXTRA_NAMES.values()
    return [tuple(dict.fromkeys((f"{bimi}{domain}", f"{bimi}{owner}"))), *((f"{prefix}{domain}",) for prefix in others)]


def _extra_line(answer: Answer) -> Line:
    area = next(area for area, prefix in _EXTRA_NAMES.items() if answer.name.startswith(prefix))
    version, use, source = _EXTRAS[area]
    if answer.unclear:
        return Line(area, answer.name, Light.GREY, f"cannot tell: {answer.trouble}", "", source)
    found = [value for value in answer.values if _version(value) == version]
    if not found:
        return Line(area, answer.name, Light.BLUE, f"not published; it {use}", "", source)
    words = f"“{quoted(found[0])}”" if len(found) == 1 else f"{len(found)} records, of which receivers take none"
    return Line(area, answer.name, Light.BLUE, words, "", source)


def _version(text: str) -> str:
    try:
        return tags(text).get("v", "")
    except Malformed:
        return ""


def passes(lines: Iterable[Line]) -> bool:
    """Whether all that is required was looked at and is right: the instant of such a judgement is worth remembering."""
    required = [line for line in lines if line.area in REQUIRED]
    seen = {line.area for line in required}
    return seen.issuperset(ALWAYS_JUDGED) and not any(one.light in (Light.RED, Light.GREY) for one in required)


def may_launch_marketing(lines: Iterable[Line], *, now: datetime, last_good: datetime | None) -> list[str]:
    """Why a marketing launch from this domain is refused; empty: it may go out.

    A RED line refuses. A GREY one is no pass: it refuses too, unless the domain passed (see `passes`) at `last_good`,
    at most seven days ago: a name server that is down for an hour stops no shop that was right yesterday.
    """
    required = [line for line in lines if line.area in REQUIRED]
    seen = {line.area for line in required}
    reasons = [f"{area} was not looked at" for area in ALWAYS_JUDGED if area not in seen]
    reasons += [f"{one.area} of {one.subject}: {one.found}" for one in required if one.light is Light.RED]
    if last_good is not None and timedelta(0) <= now - last_good <= GOOD_FOR:
        return reasons
    again = "try again in some minutes, or ask who runs the name server"
    return reasons + [
        f"{one.area} of {one.subject}: {one.found}; {one.publish or again}"
        for one in required
        if one.light is Light.GREY
    ]
