"""Zones of sending domains: three that are right, and more than twenty each of which has one fault.

A broken zone is the right one of our own relay with one thing changed, so that nothing but that thing can be to blame.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.dns_answers import DnsRecord
from domain.sender_domain import DomainRequest
from providers.mailchimp.sender_domain import marketing_request
from providers.sendgrid.sender_domain import request_for

RELAY = "198.51.100.7"
REVERSE = "7.100.51.198.in-addr.arpa"
WEAK = (  # RSA of 512 bits, which `cryptography` makes no more
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAPFqPP1m1J+bsqHZ5q6zhDqkCWDsjRo37DyzYnx1AFg4YytQzISX+Qv4haKy2o/CsWXP8bNQnc06ne9O"
    "/z/IBvMCAwEAAQ=="
)

Records = dict[str, dict[str, list[str]]]


@lru_cache
def rsa_key(bits: int = 2048, which: int = 0) -> str:
    """A public key as p= has it; `which` tells keys of one length apart."""
    del which
    key = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def ed25519_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def dkim(key: str, more: str = "") -> list[str]:
    return [f"v=DKIM1; k=rsa; {more}p={key}"]


def own_zone() -> Records:
    """shop.com by its own relay: everything is there and right."""
    return {
        "shop.com": {
            "TXT": ["v=spf1 mx include:_spf.partner.net -all", "google-site-verification=abc"],
            "MX": ["10 mail.shop.com"],
        },
        "mail.shop.com": {"A": [RELAY]},
        "_spf.partner.net": {"TXT": ["v=spf1 ip4:203.0.113.0/24 ~all"]},
        "a._domainkey.shop.com": {"TXT": dkim(rsa_key())},
        "b._domainkey.shop.com": {"TXT": dkim(rsa_key(which=1))},
        "_dmarc.shop.com": {"TXT": ["v=DMARC1; p=quarantine; rua=mailto:reports@shop.com"]},
        REVERSE: {"PTR": ["mail.shop.com"]},
    }


OWN = DomainRequest("shop.com", relays=(RELAY,), selectors=("a", "b"))


@dataclass(frozen=True)
class Broken:
    """One fault: what is changed in the zone (None: the name is no more), and what must be said of it, by area."""

    change: Mapping[str, dict[str, list[str]] | None]
    said: Mapping[str, str]  # area → words of its RED line; no other area has one
    request: DomainRequest = OWN


def _spf(*texts: str) -> dict[str, list[str]]:
    return {"TXT": list(texts), "MX": ["10 mail.shop.com"]}


def _dmarc(*texts: str) -> dict[str, dict[str, list[str]] | None]:
    return {"_dmarc.shop.com": {"TXT": list(texts)}}


def _key(*texts: str) -> dict[str, dict[str, list[str]] | None]:
    return {"a._domainkey.shop.com": {"TXT": list(texts)}}


ELEVEN = {f"i{number}.partner.net": {"TXT": ["v=spf1 ip4:203.0.113.1 -all"]} for number in range(11)}
_ELEVEN_TEXT = "v=spf1 ip4:198.51.100.7 " + " ".join(f"include:{name}" for name in ELEVEN) + " -all"
_NO_ALIGNMENT = "neither SPF of bounce.mailer.net nor DKIM of mailer.net"

BROKEN: dict[str, Broken] = {
    "no SPF": Broken({"shop.com": _spf("google-site-verification=abc")}, {"spf": "no SPF record"}),
    "two SPF records": Broken(
        {"shop.com": _spf("v=spf1 mx -all", "v=spf1 include:_spf.partner.net ~all")}, {"spf": "2 SPF records"}
    ),
    "eleven look-ups": Broken({**ELEVEN, "shop.com": _spf(_ELEVEN_TEXT)}, {"spf": "11 look-ups, of which 10"}),
    "eleven look-ups, nested": Broken(
        {
            **ELEVEN,
            "shop.com": _spf("v=spf1 ip4:198.51.100.7 redirect=all.partner.net"),
            "all.partner.net": {
                "TXT": ["v=spf1 " + " ".join(f"include:{name}" for name in list(ELEVEN)[:10]) + " -all"]
            },
        },
        {"spf": "11 look-ups, of which 10"},
    ),
    "+all": Broken({"shop.com": _spf("v=spf1 mx +all")}, {"spf": "anybody"}),
    "the whole Internet": Broken({"shop.com": _spf("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all")}, {"spf": "anybody"}),
    "a loop of includes": Broken(
        {
            "shop.com": _spf("v=spf1 include:one.net -all"),
            "one.net": {"TXT": ["v=spf1 include:two.net -all"]},
            "two.net": {"TXT": ["v=spf1 include:one.net -all"]},
        },
        {"spf": "one.net -> two.net -> one.net"},
    ),
    "three void look-ups": Broken(
        {"shop.com": _spf("v=spf1 ip4:198.51.100.7 a:x.gone.net a:y.gone.net mx:z.gone.net -all")},
        {"spf": "3 look-ups lead to nothing"},
    ),
    "an include of nothing": Broken(
        {"shop.com": _spf("v=spf1 mx include:gone.net -all")},
        {"spf": "No valid SPF record for included domain: gone.net"},
    ),
    "SPF with a wrong word": Broken(
        {"shop.com": _spf("v=spf1 mx ipv4:198.51.100.7 -all")}, {"spf": "Unknown mechanism"}
    ),
    "SPF with a wrong address": Broken({"shop.com": _spf("v=spf1 ip4:198.51.100.777 -all")}, {"spf": "Invalid IP4"}),
    "SPF without our relay": Broken(
        {"shop.com": _spf("v=spf1 include:_spf.partner.net -all")}, {"spf": f"{RELAY}, from which we send, gets fail"}
    ),
    "no DKIM": Broken({"a._domainkey.shop.com": None}, {"dkim": "no key: no such name"}),
    "a revoked key": Broken(_key("v=DKIM1; k=rsa; p="), {"dkim": "revoked"}),
    "a key of 512 bits": Broken(_key(f"v=DKIM1; p={WEAK}"), {"dkim": "512 bits"}),
    "a key cut off": Broken(_key(f"v=DKIM1; p={rsa_key()[:200]}"), {"dkim": "cannot be read"}),
    "a key of rubbish": Broken(_key("v=DKIM1; p=!!not base64!!"), {"dkim": "not Base64"}),
    "a key for SHA-1": Broken(_key(f"v=DKIM1; h=sha1; p={rsa_key()}"), {"dkim": "SHA-1"}),
    "two keys at a selector": Broken(_key(f"p={rsa_key()}", f"p={rsa_key(which=1)}"), {"dkim": "2 TXT records"}),
    "a CNAME to nowhere": Broken(
        {"a._domainkey.shop.com": {"CNAME": ["dkim.gone.net"]}}, {"dkim": "a CNAME leads to dkim.gone.net"}
    ),
    "no DMARC": Broken({"_dmarc.shop.com": None}, {"dmarc": "no DMARC record"}),
    "two DMARC records": Broken(_dmarc("v=DMARC1; p=none", "v=DMARC1; p=reject"), {"dmarc": "2 DMARC records"}),
    "DMARC without policy": Broken(_dmarc("v=DMARC1; rua=mailto:reports@shop.com"), {"dmarc": "no p="}),
    "DMARC with a wrong policy": Broken(_dmarc("v=DMARC1; p=monitor"), {"dmarc": "p=monitor is no policy"}),
    "DMARC without semicolons": Broken(_dmarc("v=DMARC1 p=none"), {"dmarc": "is no DMARC record"}),
    "DMARC in small letters": Broken(_dmarc("v=dmarc1; p=none"), {"dmarc": "is no DMARC record"}),
    "nothing aligns": Broken(
        {
            "bounce.mailer.net": {"TXT": ["v=spf1 ip4:198.51.100.7 -all"]},
            "a._domainkey.mailer.net": {"TXT": dkim(rsa_key())},
            "b._domainkey.mailer.net": {"TXT": dkim(rsa_key(which=1))},
        },
        {"dmarc": _NO_ALIGNMENT},
        DomainRequest(
            "shop.com", return_path="bounce.mailer.net", dkim_domain="mailer.net", relays=(RELAY,), selectors=("a", "b")
        ),
    ),
    "strict alignment of a subdomain": Broken(
        {
            **_dmarc("v=DMARC1; p=none; aspf=s; adkim=s; rua=mailto:reports@shop.com"),
            "news.shop.com": {"TXT": ["v=spf1 ip4:198.51.100.7 -all"], "MX": ["10 mail.shop.com"]},
        },
        {"dmarc": "the very same name"},
        DomainRequest(
            "news.shop.com", return_path="shop.com", dkim_domain="shop.com", relays=(RELAY,), selectors=("a", "b")
        ),
    ),
    "null MX": Broken({"shop.com": {"TXT": ["v=spf1 ip4:198.51.100.7 -all"], "MX": ["0 ."]}}, {"mx": "null MX"}),
    "MX to nowhere": Broken(
        {"shop.com": {"TXT": ["v=spf1 ip4:198.51.100.7 -all"], "MX": ["10 mx.gone.net"]}}, {"mx": "none of the hosts"}
    ),
    "no PTR": Broken({REVERSE: None}, {"ptr": "no PTR record"}),
    "a PTR that does not lead back": Broken(
        {REVERSE: {"PTR": ["host-7.isp.net"]}, "host-7.isp.net": {"A": ["198.51.100.8"]}}, {"ptr": "does not lead back"}
    ),
}


def broken_zone(change: Mapping[str, dict[str, list[str]] | None]) -> Records:
    zone = own_zone()
    for name, records in change.items():
        if records is None:
            zone.pop(name, None)
        else:
            zone[name] = records
    return zone


SENDGRID_SAYS = {  # as GET /v3/whitelabel/domains answers with automatic security
    "id": 302,
    "domain": "shop.com",
    "subdomain": "em123",
    "automatic_security": True,
    "valid": True,
    "dns": {
        "mail_cname": {"valid": True, "type": "cname", "host": "em123.shop.com", "data": "u99.wl.sendgrid.net"},
        "dkim1": {
            "valid": True,
            "type": "cname",
            "host": "s1._domainkey.shop.com",
            "data": "s1.domainkey.u99.wl.sendgrid.net",
        },
        "dkim2": {
            "valid": True,
            "type": "cname",
            "host": "s2._domainkey.shop.com",
            "data": "s2.domainkey.u99.wl.sendgrid.net",
        },
    },
}


def good_zones() -> dict[str, tuple[DomainRequest, Records]]:
    """Three domains that may send: SendGrid with automatic security, our own relay with a German name, Mailchimp."""
    sendgrid: Records = {
        "shop.com": {"MX": ["10 mail.shop.com"], "TXT": ["v=spf1 include:_spf.partner.net ~all"]},
        "mail.shop.com": {"AAAA": ["2001:db8::25"]},
        "em123.shop.com": {"CNAME": ["u99.wl.sendgrid.net"]},
        "u99.wl.sendgrid.net": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
        "s1._domainkey.shop.com": {"CNAME": ["s1.domainkey.u99.wl.sendgrid.net"]},
        "s2._domainkey.shop.com": {"CNAME": ["S2.DomainKey.u99.wl.sendgrid.net"]},
        "s1.domainkey.u99.wl.sendgrid.net": {"TXT": [f"k=rsa; t=s; p={rsa_key()}"]},
        "s2.domainkey.u99.wl.sendgrid.net": {"TXT": [f"k=rsa; t=s; p={rsa_key(which=1)}"]},
        "_dmarc.shop.com": {"TXT": ["v=DMARC1; p=reject; aspf=r; rua=mailto:a@reports.dmarc.net"]},
        "shop.com._report._dmarc.reports.dmarc.net": {"TXT": ["v=DMARC1"]},
    }
    own: Records = {
        "xn--mller-kva.de": {
            "TXT": ["V=SPF1 IP4:198.51.100.7 ip6:2001:db8::7 -ALL"],
            "MX": ["10 mail.xn--mller-kva.de"],
        },
        "mail.xn--mller-kva.de": {"A": [RELAY], "AAAA": ["2001:db8::7"]},
        "2026a._domainkey.xn--mller-kva.de": {"TXT": dkim(rsa_key())},
        "2026b._domainkey.xn--mller-kva.de": {"TXT": dkim(rsa_key(which=1))},
        "_dmarc.xn--mller-kva.de": {"TXT": ["v=DMARC1; p=none; adkim=s; aspf=s; rua=mailto:dmarc@xn--mller-kva.de"]},
        REVERSE: {"PTR": ["Mail.xn--mller-kva.de"]},
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": {"PTR": ["mail.xn--mller-kva.de"]},
    }
    mailchimp: Records = {
        "news.shop.co.uk": {"MX": ["10 mail.shop.co.uk"]},
        "mail.shop.co.uk": {"A": ["192.0.2.9"]},
        "k2._domainkey.news.shop.co.uk": {"CNAME": ["dkim2.mcsv.net"]},
        "k3._domainkey.news.shop.co.uk": {"CNAME": ["dkim3.mcsv.net"]},
        "dkim2.mcsv.net": {"TXT": dkim(rsa_key())},
        "dkim3.mcsv.net": {"TXT": dkim(rsa_key(which=1))},
        "_dmarc.shop.co.uk": {"TXT": ["v=DMARC1;p=reject;sp=quarantine;rua=mailto:d@shop.co.uk!10m"]},
    }
    return {
        "SendGrid": (request_for("shop.com", authenticated=SENDGRID_SAYS), sendgrid),
        "our own relay": (
            DomainRequest("Müller.de.", relays=(RELAY, "2001:db8::7"), selectors=("2026a", "2026b")),
            own,
        ),
        "Mailchimp": (marketing_request("news.shop.co.uk"), mailchimp),
    }


def expected_of_sendgrid() -> tuple[DnsRecord, ...]:
    return request_for("shop.com", authenticated=SENDGRID_SAYS).expected
