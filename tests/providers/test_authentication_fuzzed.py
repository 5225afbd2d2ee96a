"""No DNS answer whatsoever raises, and trouble is never taken for a verdict."""

import random
import socket
import threading
import zlib
from datetime import UTC, datetime
from typing import Any

import dns.message
import dns.rdatatype
import dns.rrset
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.authentication import ALWAYS_JUDGED, REQUIRED, may_launch_marketing, passes
from domain.dns_answers import Answer, Standing
from domain.preflight import Light
from domain.sender_domain import DomainRequest
from providers.authentication import judge_domain
from providers.dkim_keys import key_in
from providers.dns import DnsConfig
from providers.dns_records import DnsLooks
from providers.mailchimp.sender_domain import marketing_request
from providers.sendgrid.sender_domain import request_for
from providers.spf_walk import walked
from tests.providers.sending_zones import OWN, SENDGRID_SAYS, rsa_key

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RESULTS = {"pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"}
PIECES = [
    *(
        "v=spf1",
        "v=spf1 ",
        "V=SPF1",
        "v=DMARC1",
        "v=DMARC1; ",
        "v=DKIM1; ",
        "p=",
        "p=none",
        "sp=",
        "pct=",
        "rua=mailto:",
        ";",
    ),
    *(
        "include:",
        "redirect=",
        "exists:",
        "a:",
        "mx",
        "ptr",
        "ip4:",
        "ip6:",
        "exp=",
        "all",
        "-all",
        "+all",
        "?",
        "~",
        "-",
        "/",
    ),
    *(
        "%{i}",
        "%{d2r}",
        "%{p}",
        "%{l}",
        "%{z}",
        "%{",
        "%",
        "//64",
        "/33",
        "/0",
        "192.0.2.1",
        "2001:db8::1",
        "shop.com",
        "gone.net",
    ),
    *(
        "k=rsa",
        "k=ed25519",
        "h=sha1",
        "t=y",
        "s=email",
        "=",
        ":",
        ",",
        " ",
        "\t",
        "\n",
        "\x00",
        "é",
        "ÿ",
        '"',
        "\\",
        "@",
        "a@b.com",
    ),
    *("..", ".", "-", "_", "x" * 64, "1" * 40, "aGk=", "=" * 5, rsa_key(), "!10m", "<script>", "|", "`"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(st.characters(max_codepoint=255), max_size=8), max_size=9).map(
    "".join
)
NAMES = st.sampled_from(
    ["shop.com", "mail.shop.com", "a..b", ".", "x" * 64 + ".com", "gone.net", "a b.com", "*.com", "-"]
)
VALUES = {
    "TXT": TEXTS,
    "MX": st.builds("{} {}".format, st.integers(0, 65535), NAMES.filter(lambda name: " " not in name)),
    "PTR": NAMES,
    "A": st.ip_addresses(v=4).map(str),
    "AAAA": st.ip_addresses(v=6).map(str),
}
REQUESTS = [
    OWN,
    DomainRequest(
        "news.shop.com", relays=("2001:db8::7",), selectors=("a",), further_selectors=("b",), reply_to="müller.de"
    ),
    request_for("shop.com", authenticated=SENDGRID_SAYS),
    marketing_request("news.shop.co.uk"),
    DomainRequest("shop.com", spf_senders=("sendgrid.net", "gone.net")),
]


SAID = {
    kind: st.lists(
        st.tuples(
            st.sampled_from([*Standing, Standing.THERE, Standing.THERE, Standing.THERE]),
            st.lists(values, min_size=1, max_size=3).map(tuple),
            st.lists(NAMES, max_size=1).map(tuple),
        ),
        min_size=1,
        max_size=6,
    )
    for kind, values in VALUES.items()
}


class Whimsical:
    """A DNS that says anything, and the same to the same question, whichever thread asks."""

    def __init__(self, said: dict[str, list[tuple[Standing, tuple[str, ...], tuple[str, ...]]]]) -> None:
        self._said = said

    def ask(self, name: str, kind: str) -> Answer:
        says = self._said[kind]
        standing, values, via = says[zlib.crc32(name.encode()) % len(says)]
        if standing is Standing.UNCLEAR:
            return Answer(name, kind, standing, trouble="no answer in time")
        return Answer(name, kind, standing, values if standing is Standing.THERE else (), via)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries(SAID), st.sampled_from(REQUESTS))
def test_no_answer_raises(said: dict[str, Any], request: DomainRequest) -> None:
    lines = judge_domain(Whimsical(said), request)
    assert {line.area for line in lines} >= set(ALWAYS_JUDGED)
    for line in lines:
        assert line.found.replace("“", "").replace("”", "").replace("…", "").isascii()
        assert line.found.isprintable()
        assert "a@b.com" not in f"{line.found} {line.publish} {line.subject}"
    refused = may_launch_marketing(lines, now=NOW, last_good=None)
    assert bool(refused) == (not passes(lines))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_no_record_raises_where_it_is_evaluated(text: str) -> None:
    class One:
        def ask(self, name: str, kind: str) -> Answer:
            there = kind == "TXT"
            return Answer(name, kind, Standing.THERE if there else Standing.NO_NAME, (text,) if there else ())

    assert walked(One(), "shop.com").result in RESULTS
    assert walked(One(), "shop.com", "2001:db8::1").result in RESULTS
    key_in(text)


def test_a_dns_that_never_answers_says_nothing_of_any_domain() -> None:
    class Silent:
        def ask(self, name: str, kind: str) -> Answer:
            return Answer(name, kind, Standing.UNCLEAR, trouble="no answer in time")

    for request in REQUESTS[:4]:
        lines = judge_domain(Silent(), request)
        lights = {line.light for line in lines if line.area in REQUIRED}
        assert lights <= {Light.GREY, Light.BLUE}
        assert may_launch_marketing(lines, now=NOW, last_good=None)
        assert may_launch_marketing(lines, now=NOW, last_good=NOW) == []


def test_rubbish_on_the_wire_is_no_answer() -> None:
    """A name server whose answers have some octets changed, cut off or added."""
    noise = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_babble, args=(door, noise))
        thread.start()
        config = DnsConfig(nameservers=[f"127.0.0.1:{door.getsockname()[1]}"], timeout_seconds=0.02)
        for number in range(150):
            for kind in ("TXT", "MX"):
                answer = DnsLooks(config).ask(f"n{number}.com", kind)
                assert isinstance(answer, Answer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"end", door.getsockname())
        thread.join(10)


def _babble(door: socket.socket, noise: random.Random) -> None:
    while True:
        data, sender = door.recvfrom(4096)
        if data == b"end":
            return
        question = dns.message.from_wire(data)
        reply = dns.message.make_response(question)
        owner, kind = question.question[0].name, question.question[0].rdtype
        text = '"v=spf1 -all"' if kind == dns.rdatatype.TXT else "10 mx.shop.com."
        reply.answer.append(dns.rrset.from_text(owner, 300, "IN", dns.rdatatype.to_text(kind), text))
        wire = bytearray(reply.to_wire())
        for _ in range(noise.randint(1, 4)):
            wire[noise.randrange(2, len(wire))] = noise.randrange(256)
        door.sendto(
            bytes(wire[: noise.randint(len(wire) // 2, len(wire))] + noise.randbytes(noise.choice([0, 0, 3]))), sender
        )
