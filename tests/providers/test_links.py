"""Links are tried over real sockets; no way of writing an address reaches a private network."""

import ipaddress
from collections.abc import Callable, Sequence

import pytest

from domain.mail_links import Probe, Reach
from providers.links import IpAddress, WebProber, is_public
from tests.providers import loopback
from tests.providers.loopback import Answer, Received

HERE = ipaddress.ip_address("127.0.0.1")
ELSEWHERE = ipaddress.ip_address("169.254.169.254")


def _prober(*, permitted: Callable[[IpAddress], bool] = lambda one: one == HERE) -> WebProber:
    def resolve(host: str) -> Sequence[IpAddress] | None:
        return {"none.test": [], "silent.test": None, "meta.test": [HERE, ELSEWHERE]}.get(host, [HERE])

    return WebProber(resolve, permitted=permitted)


def _answer(request: Received) -> Answer:
    path = request.target.partition("?")[0]
    if path == "/moved":
        return Answer(302, headers={"Location": "/fine"})
    if path == "/inside":
        return Answer(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    if path == "/file":
        return Answer(302, headers={"Location": "file:///etc/passwd"})
    if path == "/round":
        return Answer(301, headers={"Location": "/round"})
    return Answer({"/fine": 200, "/gone": 410, "/none": 404, "/robots": 403, "/busy": 503}[path])


def test_what_a_server_says() -> None:
    with loopback.answering(_answer) as server:
        port = server.url.rpartition(":")[2]
        names = ("fine", "moved", "gone", "none", "robots", "busy", "round", "inside", "file")
        urls = {name: f"http://shop.test:{port}/{name}?token=1" for name in names}
        probes = _prober().probe([*urls.values(), *urls.values()])
    assert {name: probes[url].reach for name, url in urls.items()} == {
        "fine": Reach.WORKS,
        "moved": Reach.WORKS,
        "gone": Reach.BROKEN,
        "none": Reach.BROKEN,
        "robots": Reach.CANNOT_TELL,
        "busy": Reach.CANNOT_TELL,
        "round": Reach.CANNOT_TELL,
        "inside": Reach.FORBIDDEN,
        "file": Reach.NOWHERE,
    }
    assert probes[urls["gone"]] == Probe(Reach.BROKEN, "HTTP 410")
    assert {one.headers["Host"] for one in server.requests} == {f"shop.test:{port}"}
    assert not any("authorization" in {name.lower() for name in one.headers} for one in server.requests)


def test_what_cannot_be_reached_is_no_fault_of_the_link() -> None:
    with loopback.answering(_answer) as server:
        port = server.url.rpartition(":")[2]
    found = _prober().probe(["http://none.test/", "http://silent.test/", f"http://shop.test:{port}/fine"])
    assert [one.reach for one in found.values()] == [Reach.NOWHERE, Reach.CANNOT_TELL, Reach.CANNOT_TELL]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("[::1]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "x@127.0.0.1", "127.0.0.1.", "①②⑦.⓪.⓪.①"),
        "meta.test",
    ],
)  # fmt: skip
def test_no_spelling_reaches_a_private_address(host: str) -> None:
    with loopback.answering(_answer) as server:
        port = server.url.rpartition(":")[2]
        (probe,) = _prober(permitted=is_public).probe([f"http://{host}:{port}/fine"]).values()
    assert probe.reach in {Reach.FORBIDDEN, Reach.NOWHERE, Reach.CANNOT_TELL}
    assert server.requests == []


def test_one_private_address_among_public_ones_is_enough() -> None:
    with loopback.answering(_answer) as server:
        (probe,) = _prober().probe([f"http://meta.test:{server.url.rpartition(':')[2]}/fine"]).values()
    assert (probe.reach, server.requests) == (Reach.FORBIDDEN, [])


def test_what_is_public() -> None:
    public = ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")
    assert all(is_public(ipaddress.ip_address(one)) for one in public)


def test_so_many_links_and_no_more() -> None:
    with loopback.answering(_answer) as server:
        found = _prober().probe([f"http://shop.test:{server.url.rpartition(':')[2]}/fine?{n}" for n in range(60)])
    assert len(found) == 40
