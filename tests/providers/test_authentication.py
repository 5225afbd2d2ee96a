"""Sending domains judged at a real name server: each broken one for its own reason, and the right ones let through."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from domain.authentication import ALWAYS_JUDGED, REQUIRED, may_launch_marketing, passes
from domain.preflight import Light, Line
from domain.reachability import audience_lines
from domain.sender_domain import DomainRequest
from providers.authentication import judge_audience, judge_domain
from providers.dns import DnsConfig
from providers.dns_records import DnsLooks
from tests.providers.name_server import NameServer, serving
from tests.providers.sending_zones import BROKEN, OWN, Records, broken_zone, good_zones, own_zone

# Asked all the same, and the verdict stands without: an address of the other kind answers
NOT_NEEDED = {("mail.shop.com", "A")}
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def judged(server: NameServer, request: DomainRequest, *, timeout: float = 2.0, within: float = 20.0) -> list[Line]:
    return judge_domain(
        DnsLooks(DnsConfig(nameservers=[server.address], timeout_seconds=timeout), within=within), request
    )


def of(lines: Iterable[Line], light: Light) -> dict[str, str]:
    return {line.area: line.found for line in lines if line.light is light}


@pytest.mark.parametrize("name", list(good_zones()))
def test_a_domain_that_is_right_may_send(name: str) -> None:
    request, zone = good_zones()[name]
    with serving(zone) as server:
        lines = judged(server, request)
    assert {line.light for line in lines} <= {Light.GREEN, Light.BLUE}, [x for x in lines if x.light is not Light.GREEN]
    assert may_launch_marketing(lines, now=NOW, last_good=None) == []
    assert passes(lines)


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_domain_is_refused_for_its_own_reason(name: str) -> None:
    case = BROKEN[name]
    with serving(broken_zone(case.change)) as server:
        lines = judged(server, case.request)
    red = of(lines, Light.RED)
    assert set(red) == set(case.said), red
    assert all(words in red[area] for area, words in case.said.items()), red
    assert not of(lines, Light.GREY)
    assert may_launch_marketing(lines, now=NOW, last_good=NOW)  # what was right once does not excuse what is wrong
    assert not passes(lines)


def test_the_zone_that_is_broken_above_is_right_before() -> None:
    with serving(own_zone()) as server:
        assert {line.light for line in judged(server, OWN)} <= {Light.GREEN, Light.BLUE}


def questions(request: DomainRequest, zone: Records) -> list[tuple[str, str]]:
    with serving(zone) as server:
        judged(server, request)
        return sorted({(name, kind) for name, kind, _ in server.asked})


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", "GARBLED", "CUT", "SILENT"])
@pytest.mark.parametrize("name", list(good_zones()))
def test_trouble_with_any_question_is_neither_pass_nor_fail(name: str, fault: str) -> None:
    request, zone = good_zones()[name]
    asked = questions(request, zone)
    assert len(asked) >= 10
    for question in asked:
        with serving(zone, {question: fault}) as server:
            lines = judged(server, request, timeout=0.15)
        assert not of(lines, Light.RED), question
        assert not of(lines, Light.YELLOW), question
        assert of(lines, Light.GREY) or question in NOT_NEEDED, question
        required = [line for line in lines if line.light is Light.GREY and line.area in REQUIRED]
        assert bool(may_launch_marketing(lines, now=NOW, last_good=None)) == bool(required)
        assert may_launch_marketing(lines, now=NOW, last_good=NOW - timedelta(days=3)) == []
        assert passes(lines) == (not required)


def test_a_name_server_that_is_silent_altogether_is_not_waited_for_beyond_the_time_given() -> None:
    seconds = iter(range(0, 10_000, 4))  # each look at the clock is four seconds later
    with serving({}, {("*", "*"): "SILENT"}) as server:
        config = DnsConfig(nameservers=[server.address], timeout_seconds=0.2)
        lines = judge_domain(DnsLooks(config, within=10, clock=lambda: next(seconds)), OWN)
        assert len(server.asked) <= 3
    assert {line.light for line in lines if line.area in ALWAYS_JUDGED} == {Light.GREY}
    assert any("no time was left of 10 s" in line.found for line in lines)


@pytest.mark.parametrize("name", list(good_zones()))
def test_long_answers_come_by_tcp(name: str) -> None:
    request, zone = good_zones()[name]
    with serving(zone, {(owner, "*"): "TRUNCATED" for owner in zone}) as server:
        lines = judged(server, request)
        assert {"tcp"} <= {transport for _, _, transport in server.asked}
    assert {line.light for line in lines} <= {Light.GREEN, Light.BLUE}


def test_each_question_is_put_once() -> None:
    with serving(own_zone()) as server:
        judged(server, OWN)
    assert len(server.asked) == len(set(server.asked))


def test_no_line_shows_a_mailbox() -> None:
    zone = own_zone()
    zone["_dmarc.shop.com"] = {
        "TXT": ["v=DMARC1; p=nune; rua=mailto:jane.doe@shop.com; sp=x; ruf=mailto:jane.doe@shop.com"]
    }
    zone["shop.com"]["TXT"] = ["v=spf1 include:jane.doe@shop.com mx -all"]
    zone["_smtp._tls.shop.com"] = {"TXT": ["v=TLSRPTv1; rua=mailto:jane.doe@shop.com"]}
    with serving(zone) as server:
        lines = judged(server, OWN)
    assert not any("jane" in f"{line.found}{line.publish}{line.subject}" for line in lines)
    assert '_dmarc.shop.com TXT "v=DMARC1; p=none; rua=<as it is>; sp=x; ruf=<as it is>"' in {x.publish for x in lines}


def test_who_of_an_audience_cannot_be_reached() -> None:
    zone = {
        "firm.com": {"MX": ["10 mx.firm.com"]},
        "mx.firm.com": {"A": ["192.0.2.1"]},
        "bare.com": {"A": ["192.0.2.2"]},
        "nothing.com": {"MX": ["0 ."]},
        "lost.com": {"MX": ["10 mx.gone.net"]},
        "empty.com": {"TXT": ["nothing else"]},
    }
    counts = {"firm.com": 900, "bare.com": 20, "nothing.com": 30, "lost.com": 7, "gone.com": 3, "empty.com": 2}
    with serving(zone, {("slow.com", "*"): "SERVFAIL"}) as server:
        config = DnsConfig(nameservers=[server.address], timeout_seconds=2)
        found = judge_audience(
            DnsLooks(config, within=20), {**counts, "slow.com": 38, "müller..de": 1, "small.com": 1}, most=8
        )
    assert (found.reachable, found.unclear) == (920, 39)  # small.com was not among the eight that are asked
    assert found.nowhere == {"nothing.com": 30, "lost.com": 7, "gone.com": 3, "empty.com": 2, "müller..de": 1}
    yellow, grey = audience_lines(found)
    assert (
        yellow.found == "43 of 1,002 recipients (4.29%) are at domains that receive no mail: nothing.com 30, lost.com 7"
    )
    assert (yellow.light, grey.light) == (Light.YELLOW, Light.GREY)
    assert "39 of 1,002" in grey.found
