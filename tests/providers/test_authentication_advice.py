"""What is wrong and refuses nothing, and the record that mends it, ready to be copied."""

import pytest

from domain.dns_answers import DnsRecord
from domain.preflight import Light, Line
from domain.sender_domain import DomainRequest
from providers.mailchimp.sender_domain import marketing_request, transactional_request
from providers.sendgrid.sender_domain import records_of, request_for
from tests.providers.name_server import serving
from tests.providers.sending_zones import (
    OWN,
    RELAY,
    SENDGRID_SAYS,
    Records,
    broken_zone,
    dkim,
    ed25519_key,
    good_zones,
    own_zone,
    rsa_key,
)
from tests.providers.test_authentication import judged

RUA = "rua=mailto:<a mailbox of yours that takes the reports>"


def looked_at(zone: Records, request: DomainRequest = OWN) -> list[Line]:
    with serving(zone) as server:
        return judged(server, request)


def shop(text: str) -> dict[str, dict[str, list[str]]]:
    return {"shop.com": {"TXT": [text], "MX": ["10 mail.shop.com"]}}


@pytest.mark.parametrize(
    ("change", "area", "words", "publish"),
    [
        (shop("v=spf1 mx ?all"), "spf", "without -all or ~all", 'shop.com TXT "v=spf1 mx ip4:198.51.100.7 ~all"'),
        (shop("v=spf1 mx"), "spf", "without -all or ~all", 'shop.com TXT "v=spf1 mx ip4:198.51.100.7 ~all"'),
        (shop("v=spf1 mx ptr -all"), "spf", "ptr is slow", ""),
        ({"a._domainkey.shop.com": {"TXT": dkim(rsa_key(1024))}}, "dkim", "1024 bits: enough", None),
        ({"a._domainkey.shop.com": {"TXT": dkim(rsa_key(), "t=y:s; ")}}, "dkim", "marked as a test", None),
        ({"a._domainkey.shop.com": {"TXT": [f"k=ed25519; p={ed25519_key()}"]}}, "dkim", "Ed25519", None),
        (
            {"_dmarc.shop.com": {"TXT": ["v=DMARC1; p=reject; adkim=r"]}},
            "dmarc-reports",
            "no mailbox receives reports",
            f'_dmarc.shop.com TXT "v=DMARC1; p=reject; adkim=r; {RUA}"',
        ),
        (
            {"_dmarc.shop.com": {"TXT": ["v=DMARC1; p=none; pct=200; sp=never; rua=mailto:x@shop.com"]}},
            "dmarc",
            "sp, pct has a value",
            '_dmarc.shop.com TXT "v=DMARC1; p=none; rua=<as it is>"',
        ),
        (
            {"_dmarc.shop.com": {"TXT": ["v=DMARC1; p=none; rua=mailto:x@stranger.net"]}},
            "dmarc-reports",
            "reports go to stranger.net",
            'shop.com._report._dmarc.stranger.net TXT "v=DMARC1"',
        ),
        (
            {"shop.com": {"TXT": ["v=spf1 ip4:198.51.100.7 -all"], "A": ["192.0.2.1"]}},
            "mx",
            "by its address alone",
            "shop.com MX 10 <the host that takes your mail>",
        ),
    ],
)
def test_a_warning_refuses_nothing(
    change: dict[str, dict[str, list[str]] | None], area: str, words: str, publish: str | None
) -> None:
    lines = looked_at(broken_zone(change))
    (warning,) = [line for line in lines if line.light is Light.YELLOW]
    assert (warning.area, warning.publish) == (area, warning.publish if publish is None else publish)
    assert words in warning.found
    assert {line.light for line in lines} <= {Light.YELLOW, Light.GREEN, Light.BLUE}


def red(lines: list[Line]) -> dict[str, str]:
    return {line.area: line.publish for line in lines if line.light is Light.RED}


def test_what_is_missing_is_told_as_the_record_to_publish() -> None:
    zone = own_zone()
    zone["shop.com"]["TXT"] = ["v=spf1 include:_spf.partner.net -all"]
    for name in ("_dmarc.shop.com", "7.100.51.198.in-addr.arpa"):
        del zone[name]
    assert red(looked_at(zone)) == {
        "spf": 'shop.com TXT "v=spf1 include:_spf.partner.net ip4:198.51.100.7 -all"',
        "dmarc": f'_dmarc.shop.com TXT "v=DMARC1; p=none; {RUA}"',
        "ptr": "7.100.51.198.in-addr.arpa PTR <the relay's name, such as mail.shop.com>",
    }


def test_void_look_ups_are_counted_for_the_relays_kind_of_address() -> None:
    zone = own_zone()
    zone["shop.com"]["TXT"] = ["v=spf1 a:mail.shop.com a:one.net a:two.net ip4:198.51.100.7 ip6:2001:db8::7 -all"]
    zone |= {name: {"A": ["192.0.2.1"]} for name in ("one.net", "two.net")}
    assert not red(looked_at(zone))
    request = DomainRequest("shop.com", relays=("2001:db8::7",), selectors=("a", "b"))
    zone["7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"] = {"PTR": ["six.shop.com"]}
    zone["six.shop.com"] = {"AAAA": ["2001:db8::7"]}
    assert list(red(looked_at(zone, request))) == ["spf"]  # none of the three has an IPv6 address


@pytest.mark.parametrize("turned", [False, True])
def test_two_records_of_spf_become_one_in_whichever_order_they_are_told(turned: bool) -> None:
    zone = own_zone()
    records = ["v=spf1 mx -all", "v=spf1 include:_spf.partner.net ~all"]
    zone["shop.com"]["TXT"] = records[::-1] if turned else records
    assert red(looked_at(zone))["spf"] == 'shop.com TXT "v=spf1 include:_spf.partner.net mx ip4:198.51.100.7 ~all"'


def test_what_sendgrid_waits_for_is_published_as_sendgrid_names_it() -> None:
    request, zone = good_zones()["SendGrid"]
    for name in ("em123.shop.com", "s2._domainkey.shop.com"):
        del zone[name]
    assert red(looked_at(zone, request)) == {
        "spf": "em123.shop.com CNAME u99.wl.sendgrid.net",
        "dkim": "s2._domainkey.shop.com CNAME s2.domainkey.u99.wl.sendgrid.net",
        "dmarc": "mend SPF or DKIM as their own lines say: one is enough",
    }


def test_a_key_of_another_account_at_the_esp_is_no_key() -> None:
    request, zone = good_zones()["SendGrid"]
    zone["s1._domainkey.shop.com"] = {"TXT": [f"k=rsa; p={rsa_key(which=7)}"]}
    (line,) = [one for one in looked_at(zone, request) if one.light is Light.RED]
    assert "another key than the ESP signs with" in line.found
    assert line.publish == "s1._domainkey.shop.com CNAME s1.domainkey.u99.wl.sendgrid.net"


def test_a_copy_of_the_esps_key_is_as_good_as_a_cname() -> None:
    request, zone = good_zones()["SendGrid"]
    zone["s1._domainkey.shop.com"] = zone["s1.domainkey.u99.wl.sendgrid.net"]
    assert not red(looked_at(zone, request))


def test_sendgrid_has_to_be_let_through_by_our_own_envelope() -> None:
    _, zone = good_zones()["SendGrid"]
    zone |= {"_spf.partner.net": {"TXT": ["v=spf1 -all"]}, "sendgrid.net": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}}
    request = request_for("shop.com", return_path="shop.com")
    assert red(looked_at(zone, request)) == {
        "spf": 'shop.com TXT "v=spf1 include:_spf.partner.net include:sendgrid.net ~all"'
    }
    zone["shop.com"]["TXT"] = ["v=spf1 include:_spf.partner.net ?include:sendgrid.net ~all"]
    assert "spf" in red(looked_at(zone, request))  # ? lets nobody through


def test_without_automatic_security_sendgrid_waits_for_txt_and_mx() -> None:
    says = {
        "dns": {
            "mail_server": {"valid": False, "type": "mx", "host": "em9.shop.com", "data": "mx.sendgrid.net"},
            "subdomain_spf": {"type": "txt", "host": "em9.shop.com", "data": "v=spf1 include:sendgrid.net ~all"},
            "dkim": {"type": "txt", "host": "m1._domainkey.shop.com", "data": "k=rsa; t=s; p=MIGf"},
            "broken": {"type": "soa", "host": "x", "data": "y"},
            "nothing": None,
        }
    }
    assert list(records_of(says)) == [
        DnsRecord("em9.shop.com", "MX", "10 mx.sendgrid.net"),
        DnsRecord("em9.shop.com", "TXT", "v=spf1 include:sendgrid.net ~all"),
        DnsRecord("m1._domainkey.shop.com", "TXT", "k=rsa; t=s; p=MIGf"),
    ]
    request = request_for("shop.com", authenticated=says)
    assert (request.return_path, request.selectors) == ("em9.shop.com", ("m1",))
    lines = looked_at({"shop.com": {"MX": ["10 mail.shop.com"]}}, request)
    assert red(lines)["spf"] == 'em9.shop.com TXT "v=spf1 include:sendgrid.net ~all"'
    assert red(lines)["dkim"] == 'm1._domainkey.shop.com TXT "k=rsa; t=s; p=MIGf"'


def test_mailchimp_signs_by_one_of_three_and_two_should_be_there() -> None:
    _, zone = good_zones()["Mailchimp"]
    request = marketing_request("news.shop.co.uk")
    del zone["k3._domainkey.news.shop.co.uk"]
    (warning,) = [line for line in looked_at(zone, request) if line.light is Light.YELLOW]
    assert "one selector only" in warning.found
    del zone["k2._domainkey.news.shop.co.uk"]
    lines = [line for line in looked_at(zone, request) if line.light is Light.RED]
    assert [line.area for line in lines] == ["dkim", "dmarc"]
    assert "k2._domainkey.news.shop.co.uk CNAME dkim2.mcsv.net" in lines[0].publish.splitlines()


def test_mailchimp_transactional_needs_both_of_its_keys() -> None:
    request = transactional_request("shop.com")
    zone = {name: records for name, records in own_zone().items() if "_domainkey" not in name}
    zone["mte1._domainkey.shop.com"] = {"CNAME": ["dkim1.mandrillapp.com"]}
    zone["dkim1.mandrillapp.com"] = {"TXT": dkim(rsa_key())}
    lines = looked_at(zone, request)
    assert red(lines)["dkim"] == "mte2._domainkey.shop.com CNAME dkim2.mandrillapp.com"
    zone["mte2._domainkey.shop.com"] = {"CNAME": ["dkim2.mandrillapp.com"]}
    zone["dkim2.mandrillapp.com"] = {"TXT": dkim(rsa_key(which=1))}
    assert not red(looked_at(zone, request))


def test_a_record_on_the_way_up_is_found_and_doubted() -> None:
    zone = own_zone()
    zone["_dmarc.eu.shop.com"] = zone.pop("_dmarc.shop.com")
    zone["news.eu.shop.com"] = {"MX": ["10 mail.shop.com"], "TXT": ["v=spf1 ip4:198.51.100.7 -all"]}
    request = DomainRequest("news.eu.shop.com", relays=(RELAY,), dkim_domain="shop.com", selectors=("a", "b"))
    (warning,) = [line for line in looked_at(zone, request) if line.light is Light.YELLOW]
    assert "found on the way up" in warning.found


def test_a_logo_of_the_owner_counts_for_a_subdomain() -> None:
    zone = own_zone() | {"default._bimi.shop.com": {"TXT": ["v=BIMI1; l=https://shop.com/logo.svg"]}}
    request = DomainRequest("news.shop.com", relays=(RELAY,), dkim_domain="shop.com", selectors=("a", "b"))
    (line,) = [one for one in looked_at(zone, request) if one.area == "bimi"]
    assert (line.light, line.subject) == (Light.BLUE, "default._bimi.shop.com")
    assert "v=BIMI1" in line.found


def test_no_selector_known_is_no_pass() -> None:
    lines = looked_at(own_zone(), DomainRequest("shop.com"))
    assert [(one.light, one.publish) for one in lines if one.area == "dkim"] == [
        (Light.GREY, "set OMS_PREFLIGHT_DKIM_SELECTORS")
    ]
    assert not any(one.light is Light.RED for one in lines)  # nothing was looked up, so nothing failed


def test_the_record_for_a_relay_of_unknown_address_never_shuts_it_out() -> None:
    zone = own_zone()
    zone["shop.com"]["TXT"] = ["google-site-verification=abc"]
    lines = looked_at(zone, DomainRequest("shop.com", selectors=("a", "b")))
    (line,) = [one for one in lines if one.area == "spf"]
    assert line.publish == 'shop.com TXT "v=spf1 include:<SPF-domain-of-your-relay> ~all"'
    assert "OMS_PREFLIGHT_RELAY_ADDRESSES" in line.found


def test_mail_signed_for_another_name_only_is_told_to_sign_for_its_own() -> None:
    zone = own_zone()
    zone["shop.com"]["TXT"] = ["google-site-verification=abc"]
    request = DomainRequest("shop.com", relays=(RELAY,), selectors=("a",), dkim_domain="relay.net")
    zone["a._domainkey.relay.net"] = zone["a._domainkey.shop.com"]
    (line,) = [one for one in looked_at(zone, request) if one.area == "dmarc" and one.light is Light.RED]
    assert line.publish == "have mail signed with d=shop.com"


def test_only_an_ed25519_key_is_not_enough() -> None:
    zone = own_zone()
    for name in ("a", "b"):
        zone[f"{name}._domainkey.shop.com"] = {"TXT": [f"k=ed25519; p={ed25519_key()}"]}
    assert "dkim" in red(looked_at(zone))


def test_what_sendgrid_says_is_in_our_words() -> None:
    assert [str(one) for one in records_of(SENDGRID_SAYS)] == [
        "em123.shop.com CNAME u99.wl.sendgrid.net",
        "s1._domainkey.shop.com CNAME s1.domainkey.u99.wl.sendgrid.net",
        "s2._domainkey.shop.com CNAME s2.domainkey.u99.wl.sendgrid.net",
    ]
