"""The judgement of a sending domain: what refuses a launch, and the small rules that the lines stand on."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.authentication import GOOD_FOR, may_launch_marketing, passes
from domain.dns_answers import DnsRecord, Malformed, quoted, same_name, tags, within
from domain.preflight import Light, Line
from domain.sender_domain import DomainRequest, InvalidDomain, ascii_domain, organisation, upwards
from domain.spf_judgement import merged

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GREEN = [Line(area, "shop.com", Light.GREEN, "right") for area in ("spf", "dkim", "dmarc")]


def line(light: Light, area: str = "spf") -> Line:
    return Line(area, "shop.com", light, "why")


@pytest.mark.parametrize(
    ("lines", "last_good", "refused"),
    [
        (GREEN, None, []),
        ([*GREEN, line(Light.YELLOW), line(Light.BLUE)], None, []),
        ([*GREEN, line(Light.RED)], None, ["spf of shop.com: why"]),
        ([*GREEN, line(Light.RED)], NOW, ["spf of shop.com: why"]),
        ([*GREEN, line(Light.RED, "mx"), line(Light.RED, "ptr")], NOW, ["mx of shop.com: why", "ptr of shop.com: why"]),
        ([*GREEN, line(Light.GREY)], NOW, []),
        ([*GREEN, line(Light.GREY)], NOW - GOOD_FOR, []),
        ([*GREEN, line(Light.GREY, "audience"), line(Light.GREY, "bimi"), line(Light.RED, "audience")], None, []),
        (GREEN[1:], NOW, ["spf was not looked at"]),
        ([], None, ["spf was not looked at", "dkim was not looked at", "dmarc was not looked at"]),
    ],
)
def test_what_refuses_a_launch(lines: list[Line], last_good: datetime | None, refused: list[str]) -> None:
    assert may_launch_marketing(lines, now=NOW, last_good=last_good) == refused


@pytest.mark.parametrize("last_good", [None, NOW - GOOD_FOR - timedelta(seconds=1), NOW + timedelta(hours=1)])
def test_what_nobody_can_tell_refuses_unless_it_was_right_within_a_week(last_good: datetime | None) -> None:
    (reason,) = may_launch_marketing([*GREEN, line(Light.GREY)], now=NOW, last_good=last_good)
    assert reason.startswith("spf of shop.com: why; try again")


def test_what_nobody_can_tell_for_want_of_a_setting_asks_for_the_setting() -> None:
    unknown = Line("dkim", "shop.com", Light.GREY, "why", "set OMS_PREFLIGHT_DKIM_SELECTORS")
    (reason,) = may_launch_marketing([*GREEN, unknown], now=NOW, last_good=None)
    assert reason == "dkim of shop.com: why; set OMS_PREFLIGHT_DKIM_SELECTORS"


def test_only_a_whole_and_clear_judgement_is_remembered() -> None:
    assert passes([*GREEN, line(Light.YELLOW), line(Light.GREY, "bimi")])
    assert not passes([*GREEN, line(Light.GREY)])
    assert not passes([*GREEN, line(Light.RED, "mx")])
    assert not passes(GREEN[:2])


@pytest.mark.parametrize(
    ("texts", "terms", "record"),
    [
        ([], ["include:sendgrid.net"], "v=spf1 include:sendgrid.net ~all"),
        (["v=spf1 mx -all"], ["include:sendgrid.net"], "v=spf1 mx include:sendgrid.net -all"),
        (["v=spf1 Include:SendGrid.net +all"], ["include:sendgrid.net"], "v=spf1 Include:SendGrid.net ~all"),
        (["v=spf1 mx a ?all", "V=SPF1 A include:x.net -all"], [], "v=spf1 A include:x.net mx -all"),
        (["v=spf1 redirect=_spf.x.net"], ["ip4:192.0.2.1"], "v=spf1 include:_spf.x.net ip4:192.0.2.1 ~all"),
        (["v=spf1"], [], "v=spf1 include:<SPF-domain-of-your-relay> ~all"),
        ([], [], "v=spf1 include:<SPF-domain-of-your-relay> ~all"),
        (
            ["v=spf1 jane@shop.com a:m\u00fcller.de \x00 mx/24//64 exists:%{i}._spf.%{d} -all"],
            [],
            "v=spf1 mx/24//64 exists:%{i}._spf.%{d} -all",
        ),
    ],
)
def test_a_record_keeps_what_is_there_and_never_lets_everybody_through(
    texts: list[str], terms: list[str], record: str
) -> None:
    assert merged(texts, terms) == record
    assert merged([record], terms) == record


def test_a_record_is_written_as_a_zone_file_has_it() -> None:
    assert str(DnsRecord("a.com", "CNAME", "b.com")) == "a.com CNAME b.com"
    assert str(DnsRecord("a.com", "TXT", 'say "hi"\\')) == 'a.com TXT "say \\"hi\\"\\\\"'
    written = str(DnsRecord("a.com", "TXT", "x" * 600))
    assert [len(part) for part in written.split('"')[1::2]] == [255, 255, 90]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=DMARC1; p=none", {"v": "DMARC1", "p": "none"}),
        (" V = DMARC1 ;P=none;", {"v": "DMARC1", "p": "none"}),
        ("k=rsa; p=abc=\n def==", {"k": "rsa", "p": "abc=\n def=="}),
        ("p=", {"p": ""}),
    ],
)
def test_a_list_of_tags(text: str, found: dict[str, str]) -> None:
    assert tags(text) == found


@pytest.mark.parametrize("text", ["", "v=DMARC1;; p=none", "v=DMARC1 none; p", "p=none; p=reject", "=x", "1a=2"])
def test_no_list_of_tags(text: str) -> None:
    with pytest.raises(Malformed):
        tags(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("v=DMARC1; rua=mailto:jane.doe@shop.com,mailto:x@y.net", "v=DMARC1; rua=mailto:…@shop.com,mailto:…@y.net"),
        ("a\x00b\né", "a?b??"),
        ("x" * 200, "x" * 120 + "…"),
        ("müller@shop.de", "…@shop.de"),
    ],
)
def test_a_strangers_text_is_shown_short_and_without_mailboxes(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_names() -> None:
    assert same_name("Shop.COM.", "shop.com")
    assert within("u1.wl.SendGrid.net", "sendgrid.net")
    assert not within("notsendgrid.net", "sendgrid.net")


@pytest.mark.parametrize(
    ("domain", "owner", "way"),
    [
        ("shop.com", "shop.com", ("shop.com",)),
        ("a.news.shop.co.uk", "shop.co.uk", ("a.news.shop.co.uk", "news.shop.co.uk", "shop.co.uk")),
        ("shop.github.io", "shop.github.io", ("shop.github.io",)),
        ("co.uk", "co.uk", ("co.uk",)),
        ("1.2.3.4.5.6.7.8.9.shop.com", "shop.com", None),
    ],
)
def test_the_owner_of_a_name(domain: str, owner: str, way: tuple[str, ...] | None) -> None:
    assert organisation(domain) == owner
    names = upwards(domain)
    assert len(names) <= 8
    assert (names[0], names[-1]) == (domain, owner) if way is None else names == way


@pytest.mark.parametrize(
    ("text", "domain"),
    [("Shop.COM.", "shop.com"), ("MÜLLER.de", "xn--mller-kva.de"), (" news.shop.com ", "news.shop.com")],
)
def test_a_domain_as_people_write_it(text: str, domain: str) -> None:
    assert ascii_domain(text) == domain


@pytest.mark.parametrize(
    "text", ["", "shop", "shop..com", "jane@shop.com", "http://shop.com", "a b.com", "x" * 64 + ".com"]
)
def test_what_is_no_domain_is_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidDomain):
        DomainRequest(text)


def test_what_the_esp_shows_tells_selectors_and_return_path() -> None:
    request = DomainRequest("shop.com", selectors=("old",)).expecting(
        [
            DnsRecord("em1.shop.com", "CNAME", "u1.wl.sendgrid.net"),
            DnsRecord("s1._domainkey.shop.com", "CNAME", "s1.domainkey.u1.wl.sendgrid.net"),
            DnsRecord("_dmarc.shop.com", "TXT", "v=DMARC1; p=none"),
        ]
    )
    assert (request.return_path, request.selectors) == ("em1.shop.com", ("s1",))
    assert request.wanted("em1.shop.com", "CNAME") == request.expected[0]
    assert request.wanted("em1.shop.com", "TXT") is None
