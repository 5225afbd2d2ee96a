"""Looking up where a domain receives mail, at a real name server on loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from pydantic import ValidationError

from providers.dns import DnsConfig, DnsNameServer, NoNameServer

ZONE = {
    "firm.com.": ["20 backup.firm.com.", "10 ASPMX.L.Google.com."],
    "nowhere.com.": ["0 ."],
    "xn--mller-kva.de.": ["5 mx00.kundenserver.de."],
}
BARE = {"bare.com."}  # has no MX
SILENT = {"silent.com."}
BROKEN = {"broken.com."}
GARBLED = {"garbled.com."}


@contextmanager
def serving() -> Iterator[tuple[str, list[str]]]:
    """A name server of the zone above; its address, and the names that it was asked for."""
    asked: list[str] = []
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.bind(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                data, sender = door.recvfrom(4096)
            except OSError:
                return
            if data == b"end":
                return
            question = dns.message.from_wire(data)
            name = question.question[0].name.to_text()
            asked.append(name)
            if name not in SILENT:
                door.sendto(b"\x00" if name in GARBLED else _answer(question, name).to_wire(), sender)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{door.getsockname()[1]}", asked
    finally:
        door.sendto(b"end", door.getsockname())
        thread.join(10)
        door.close()


def _answer(question: dns.message.Message, name: str) -> dns.message.Message:
    answer = dns.message.make_response(question)
    answer.flags |= dns.flags.RA
    if name in ZONE:
        answer.answer.append(dns.rrset.from_text(name, 300, "IN", "MX", *ZONE[name]))
    elif name in BROKEN:
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif name not in BARE:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer


@pytest.fixture
def server() -> Iterator[tuple[DnsNameServer, list[str]]]:
    with serving() as (address, asked):
        yield DnsNameServer(DnsConfig(nameservers=[address], timeout_seconds=0.3)), asked


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        ("firm.com", ("aspmx.l.google.com", "backup.firm.com")),  # the most preferred first, in lower case
        ("bare.com", ("bare.com",)),  # RFC 5321: the domain itself
        ("nowhere.com", ()),  # RFC 7505
        ("gone.com", ()),
        ("müller.de", ("mx00.kundenserver.de",)),
        ("broken.com", None),
        ("silent.com", None),
        ("garbled.com", None),
        ("a..b.com", None),
        ("x" * 64 + ".com", None),
        ("-☃.com", None),
    ],
)
def test_where_a_domain_receives(
    server: tuple[DnsNameServer, list[str]], domain: str, hosts: tuple[str, ...] | None
) -> None:
    assert server[0].mail_hosts(domain) == hosts


def test_a_domain_is_asked_for_as_it_is_and_nothing_is_appended(server: tuple[DnsNameServer, list[str]]) -> None:
    name_server, asked = server
    name_server.mail_hosts("gone.com")
    assert asked == ["gone.com."]


def test_no_name_server_there_is_no_answer_and_no_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{door.getsockname()[1]}"
    assert DnsNameServer(DnsConfig(nameservers=[nobody], timeout_seconds=0.3)).mail_hosts("firm.com") is None


def test_a_machine_without_name_servers_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unconfigured(_self: object, *_args: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", unconfigured)
    with pytest.raises(NoNameServer, match="OMS_DNS_NAMESERVERS"):
        DnsNameServer(DnsConfig())


@pytest.mark.parametrize("server", ["dns.example.com", "127.0.0.1:dns", "1.2.3", ""])
def test_a_name_server_is_an_address(server: str) -> None:
    with pytest.raises(ValidationError):
        DnsConfig(nameservers=[server])


def test_addresses_of_name_servers() -> None:
    servers = ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"]
    found = DnsNameServer(DnsConfig(nameservers=servers))._resolver.nameservers
    ports = [getattr(one, "port", None) for one in islice(found, 4)]
    assert ports == [53, 5353, 53, 5353]
