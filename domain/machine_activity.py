"""Which opens and clicks a person made: rules by version, over facts that are kept, so that history can be judged anew.

A new rule is a new version; an old one stays as it was. What is kept of who opened is a shortened user agent and
nothing of the network address: it suffices for every rule here, and names nobody.

Sources. Apple's privacy opens: SendGrid says so itself (`sg_machine_open`), and Apple's proxy calls itself a bare
"Mozilla/5.0". Agents of scanners: gmass.co/blog/false-opens-in-gmail, jdavidbakr/mail-tracker#255 and #228,
phplist/phplist3#415 (BingPreview). Timing and link sweeps: Adobe Marketo (two activities within a second are a bot's),
suped.com on bot clicks (within the first second after delivery; several links almost together). The image proxies of
Gmail, Yahoo and Outlook fetch when the person looks: they hide the person but are none of the machines.

Not among the rules: the request method (no ESP tells it) and data-centre networks (scanners and people's proxies share
them: at Microsoft suppressing by network was found to drop real opens, warmbly/warmbly#412).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from domain.delivery import EventKind

# 1: what the ESP itself flags. 2: also known agents and what no person does.
VERSIONS = (1, 2)
CURRENT = 2

_AGENT_LENGTH = 120
_VERSION = re.compile(r"(\d+)[._][\d._]+")
_PEOPLES_PROXIES = re.compile(r"GoogleImageProxy|ggpht\.com|YahooMailProxy|OutlookImageProxy", re.IGNORECASE)
_SCANNERS = re.compile(
    r"barracuda|proofpoint|mimecast|safelinks|microsoft[ -]?defender|office[ -]?scanner|messagelabs|symantec|ironport"
    r"|ciscosecureemail|fireeye|trellix|fortimail|fortisandbox|sophos|trend ?micro|\btmes\b|mcafee|bitdefender|avanan"
    r"|f-?secure|kaspersky|zscaler|bingpreview|headless|phantomjs"
    r"|bot\b|crawl|spider|scanner"
    r"|^(curl|wget|python|java|go-http-client|okhttp|ahc|libwww-perl|amazon cloudfront|hubspot connect)\b",
    re.IGNORECASE,
)
# One scanner's agent, seen in the wild for years: an Edge of 2015 with a second "Mozilla" behind it.
_FALSE_EDGE = re.compile(r"Edge/12\b.*Mozilla")
_APPLE_PROXY = "Mozilla/5"
_TOO_SOON = timedelta(seconds=1)
_SWEEP, _SWEPT_LINKS = timedelta(seconds=5), 3
_LEAVING = "unsubscribe"
_UNSUBSCRIBE = re.compile(r"unsubscribe|opt-?out", re.IGNORECASE)


class UnknownRules(ValueError):
    """There are no rules of this version; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Act:
    """One open or click of a message. `machine`: the ESP says so. `agent` as `shortened` left it; `link`: the page."""

    kind: EventKind
    at: datetime
    machine: bool = False
    agent: str | None = None
    link: str | None = None


def shortened(client: str | None) -> str | None:
    """What is kept of a client ("user agent|ip"): the agent with major versions only, and never the address."""
    agent = (client or "").rpartition("|")[0] or ("" if _is_address(client or "") else client or "")
    return _without_versions(agent)


@lru_cache(maxsize=1024)  # a few hundred agents make nearly all opens
def _without_versions(agent: str) -> str | None:
    return _VERSION.sub(r"\1", agent).strip()[:_AGENT_LENGTH] or None


def page(url: str | None) -> str | None:
    """What is kept of a clicked link: its page. Of one that unsubscribes the word, as it may hold a token."""
    if url and _UNSUBSCRIBE.search(url):
        return _LEAVING
    return bare(url) if url else None


def bare(url: str) -> str | None:
    """Which page a link leads to. What follows often says whose it was: shops put addresses and tokens there."""
    return url.partition("?")[0].partition("#")[0] or None


def _is_address(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F:.]+", text) is not None


def check(version: int) -> int:
    """The version itself. Raises UnknownRules."""
    if version not in VERSIONS:
        raise UnknownRules(f"there are no rules {version}: {', '.join(map(str, VERSIONS))}")
    return version


def by_people(acts: Sequence[Act], delivered_at: datetime | None, version: int) -> tuple[bool, bool]:
    """Did a person open this message, and did a person click in it? `acts` are all of the message, in any order.

    Raises UnknownRules.
    """
    if check(version) == 1:
        people = [one for one in acts if not one.machine]
        return _any(people, EventKind.OPENED), _any(people, EventKind.CLICKED)
    swept = _swept([one for one in acts if one.kind is EventKind.CLICKED])
    people = [one for one in acts if not _is_machine(one, delivered_at)]
    clicks = [one for one in people if one not in swept and not _leaves(one)]
    return _any(people, EventKind.OPENED), _any(clicks, EventKind.CLICKED)


def _any(acts: Sequence[Act], kind: EventKind) -> bool:
    return any(one.kind is kind for one in acts)


def _is_machine(act: Act, delivered_at: datetime | None) -> bool:
    if act.machine or (delivered_at is not None and act.at - delivered_at < _TOO_SOON):
        return True  # before the delivery too: a gateway looks before it takes the mail
    return _scans(act.agent or "")


@lru_cache(maxsize=10_000)  # a few agents open most mail
def _scans(agent: str) -> bool:
    if _PEOPLES_PROXIES.search(agent):
        return False
    return agent == _APPLE_PROXY or bool(_SCANNERS.search(agent) or _FALSE_EDGE.search(agent))


def _swept(clicks: Sequence[Act]) -> frozenset[Act]:
    """Clicks on several links within a few seconds: a scanner follows them all, a person one."""
    ordered = sorted(clicks, key=lambda one: one.at)
    links: Counter[str | None] = Counter()  # of the clicks from `first` to this one
    found: set[Act] = set()
    first = judged = 0  # a scanner makes thousands of clicks of one message: each is looked at once
    for place, last in enumerate(ordered):
        links[last.link] += 1
        while last.at - ordered[first].at > _SWEEP:
            links[ordered[first].link] -= 1
            if not links[ordered[first].link]:
                del links[ordered[first].link]
            first += 1
        if len(links) - (None in links) >= _SWEPT_LINKS:
            found.update(ordered[max(judged, first) : place + 1])
            judged = place + 1
    return frozenset(found)


def _leaves(act: Act) -> bool:
    return act.link is not None and _UNSUBSCRIBE.search(act.link) is not None
