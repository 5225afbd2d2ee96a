"""Mailbox groups: whose servers, and so whose rules and patience, stand behind a mail domain.

What a large provider tolerates is counted over all domains that it receives for, so a domain's group is that of its MX,
as KumoMTA rolls up (docs.kumomta.com/userguide/trafficshaping/rollups). Two decisions follow its shaping.toml: Gmail and
Google Workspace are one group, since their MX are the same machines; Outlook.com and Microsoft 365 are two, since theirs
are not. A domain whose provider is no secret needs no look-up: the offline table says it, also where there is no DNS.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Group:
    """`domains` receive nowhere else, `mx` are endings of host names; both in lower case."""

    name: str
    shown: str
    domains: frozenset[str] = field(default_factory=frozenset)
    mx: tuple[str, ...] = ()


def _group(name: str, shown: str, domains: str = "", mx: str = "") -> _Group:
    return _Group(name, shown, frozenset(domains.split()), tuple(mx.split()))


# Only domains that are sure to stay: those that their owners sold or let others run (comcast.net, att.net, cox.net and
# verizon.net went to Yahoo one after the other) are told by their MX, which follows.
_WORLDWIDE = (
    _group("gmail", "Gmail", "gmail.com googlemail.com", "google.com googlemail.com"),
    _group(
        "outlook",
        "Outlook.com",
        "outlook.com hotmail.com live.com msn.com passport.com windowslive.com live.co.uk live.fr live.de live.nl live.it"
        " live.ca live.be live.se live.dk live.no live.at live.ie live.cn live.jp live.com.au live.com.mx live.com.pt"
        " live.com.ar live.com.my live.com.sg live.co.za live.cl live.hk live.ru",
        "olc.protection.outlook.com",
    ),
    _group("microsoft365", "Microsoft 365", "", "mail.protection.outlook.com mx.microsoft"),
    _group(
        "yahoo",
        "Yahoo and AOL",
        "yahoo.com ymail.com rocketmail.com myyahoo.com aol.com aol.co.uk aol.de aol.fr aim.com netscape.net",
        "yahoodns.net",
    ),
    _group("icloud", "iCloud", "icloud.com me.com mac.com", "icloud.com"),
    _group("proton", "Proton", "proton.me protonmail.com protonmail.ch pm.me", "protonmail.ch"),
    _group(
        "zoho",
        "Zoho",
        "zoho.com zoho.eu zoho.in zohomail.com zohomail.eu zohomail.in",
        "zoho.com zoho.eu zoho.in zoho.com.au zoho.jp zohomail.com",
    ),
    _group("fastmail", "Fastmail", "fastmail.com fastmail.fm", "messagingengine.com"),
)
_EUROPE = (
    # United Internet runs both under one postmaster (postmaster.gmx.net).
    _group(
        "gmx",
        "GMX and WEB.DE",
        "gmx.de gmx.net gmx.at gmx.ch gmx.com gmx.eu gmx.info gmx.org gmx.biz gmx.li gmx.fr gmx.es gmx.us gmx.co.uk web.de",
        "gmx.net web.de",
    ),
    _group("mailcom", "mail.com", "mail.com", "mail.com"),
    _group("t-online", "T-Online", "t-online.de magenta.de", "t-online.de"),
    _group("freenet", "freenet", "freenet.de", "freenet.de"),
    _group("orange", "Orange", "orange.fr wanadoo.fr", "orange.fr wanadoo.fr"),
    _group("laposte", "La Poste", "laposte.net", "laposte.net"),
    _group("free", "Free", "free.fr", "free.fr proxad.net"),
    _group("sfr", "SFR", "sfr.fr neuf.fr cegetel.net club-internet.fr", "sfr.fr"),
    _group("libero", "Libero", "libero.it virgilio.it inwind.it iol.it blu.it giallo.it", "libero.it"),
    _group("aruba", "Aruba", "aruba.it", "aruba.it"),
    _group("seznam", "Seznam", "seznam.cz email.cz post.cz", "seznam.cz"),
    _group("wp", "WP and o2.pl", "wp.pl o2.pl tlen.pl", "wp.pl o2.pl"),
    _group("onet", "Onet", "onet.pl onet.eu op.pl vp.pl poczta.onet.pl", "onet.pl"),
    _group("interia", "Interia", "interia.pl interia.eu poczta.fm", "interia.pl"),
    _group("mailru", "Mail.ru", "mail.ru inbox.ru list.ru bk.ru internet.ru", "mail.ru"),
    _group("yandex", "Yandex", "yandex.ru yandex.com yandex.by yandex.kz ya.ru", "yandex.ru yandex.net"),
    _group("rambler", "Rambler", "rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru", "rambler.ru"),
)
_ASIA_AND_AMERICA = (
    _group("qq", "QQ", "qq.com vip.qq.com foxmail.com", "qq.com"),
    _group("netease", "NetEase", "163.com 126.com yeah.net", "netease.com"),
    _group("sina", "Sina", "sina.com sina.cn", "sina.com sina.com.cn"),
    _group("naver", "Naver", "naver.com", "naver.com"),
    _group("kakao", "Kakao and Daum", "daum.net hanmail.net kakao.com", "daum.net hanmail.net kakao.com"),
    _group(
        "yahoo-japan", "Yahoo! Japan", "yahoo.co.jp ymail.ne.jp", "mail.yahoo.co.jp"
    ),  # another company's since 2019
    _group("docomo", "docomo", "docomo.ne.jp", "docomo.ne.jp"),
    _group("au", "au", "ezweb.ne.jp au.com", "ezweb.ne.jp au.com"),
    _group("softbank", "SoftBank", "softbank.ne.jp i.softbank.jp", "softbank.ne.jp softbank.jp"),
    _group("uol", "UOL", "uol.com.br bol.com.br", "uol.com.br"),
    _group("comcast", "Comcast", "", "comcast.net"),
    _group("att", "AT&T", "", "prodigy.net"),
    _group("charter", "Spectrum", "", "charter.net"),
)
# Firms let others receive for them: a filter in front of their own servers, or the provider of their web site.
_FOR_FIRMS = (
    _group("mimecast", "Mimecast", "", "mimecast.com mimecast.co.za mimecast-offshore.com"),
    _group("proofpoint", "Proofpoint", "", "pphosted.com ppe-hosted.com"),
    _group("barracuda", "Barracuda", "", "barracudanetworks.com"),
    _group("cisco", "Cisco", "", "iphmx.com"),
    _group("symantec", "Symantec", "", "messagelabs.com"),
    _group("hornetsecurity", "Hornetsecurity", "", "hornetsecurity.com antispameurope.com"),
    _group(
        "ionos", "IONOS", "", "kundenserver.de perfora.net ionos.com ionos.de ionos.co.uk ionos.fr ionos.es ionos.it"
    ),
    _group("strato", "STRATO", "", "rzone.de"),
    _group("ovh", "OVH", "", "ovh.net"),
    _group("godaddy", "GoDaddy", "", "secureserver.net"),
    _group("rackspace", "Rackspace", "", "emailsrvr.com"),
)
_GROUPS = (*_WORLDWIDE, *_EUROPE, *_ASIA_AND_AMERICA, *_FOR_FIRMS)

# What a route's `release` may name.
NAMES = (*(one.name for one in _GROUPS), OTHER)
_SHOWN = {one.name: one.shown for one in _GROUPS} | {OTHER: "All others"}
_DOMAINS = {domain: one.name for one in _GROUPS for domain in one.domains}
# Reserved twins (RFC 6761), by which the sandbox ESP plays the mailbox providers.
_DOMAINS |= {f"{one.name}.test": one.name for one in _GROUPS}
_MX = {ending: one.name for one in _GROUPS for ending in one.mx}
# A country's Yahoo, Hotmail or Outlook: yahoo.de, yahoo.co.uk, yahoo.com.br.
_REGIONAL = re.compile(r"(yahoo|hotmail|outlook)\.(?:(?:co|com)\.)?([a-z]{2})")
_REGIONAL_GROUP = {"yahoo": "yahoo", "hotmail": "outlook", "outlook": "outlook"}
# Never in the DNS (RFC 2606, RFC 6761): what stands there is our own sandbox's, or a test's.
_RESERVED = re.compile(r"(?:.*\.)?(?:test|example|invalid|localhost|example\.(?:com|net|org))")


def of_domain(domain: str) -> str | None:
    """The group of a domain (lower case) by the offline table; None where only its MX can tell."""
    if known := _DOMAINS.get(domain):
        return known
    if regional := _REGIONAL.fullmatch(domain):
        brand, country = regional.groups()
        # Yahoo in China was Alibaba's and is closed; in Japan it is another company.
        return None if brand == "yahoo" and country in {"cn", "jp"} else _REGIONAL_GROUP[brand]
    return OTHER if _RESERVED.fullmatch(domain) else None


def of_mx(hosts: Sequence[str]) -> str:
    """The group of a domain that receives at these hosts, the most preferred first.

    That one decides: what stands behind it receives only while it is down. No hosts at all are `other`.
    """
    labels = hosts[0].lower().rstrip(".").split(".") if hosts else []
    endings = (".".join(labels[place:]) for place in range(len(labels)))
    return next((_MX[ending] for ending in endings if ending in _MX), OTHER)


def shown(group: str) -> str:
    """A group's name as people read it."""
    return _SHOWN.get(group, group)
