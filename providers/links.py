"""Whether links of a mail lead anywhere: asked by HTTP within bounds, and never of a private network.

Whoever writes a template chooses the address, so it is resolved here, each address is checked, and the connection goes
to that very address: nothing is resolved again, and no redirect is followed unchecked (facts/reliability.md H67).
"""

import ipaddress
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from ipaddress import IPv4Address, IPv6Address

import dns.exception
import dns.rdatatype
import dns.resolver
import httpx
import idna

from domain.mail_links import Probe, Reach, host_of
from providers import http
from providers.dns import DnsConfig, resolver_of

IpAddress = IPv4Address | IPv6Address
Resolve = Callable[[str], Sequence[IpAddress] | None]

_MOST = 40  # links a mail; what is beyond is not asked
_AT_ONCE = 8
_HOPS = 5
_PATIENCE_SECONDS = 5.0  # for each step of one request
_ALTOGETHER_SECONDS = 20.0
_AGENT = "campaign-engine link check"
# Shops refuse programs, or are busy: it tells nothing of what a person would get.
_UNTELLING = frozenset({401, 403, 405, 406, 408, 421, 425, 429, 451})
_CLIENT_ERROR, _SERVER_ERROR, _LAST = 400, 500, 600
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: IpAddress) -> bool:
    """Is it of the open internet, also where an IPv4 address travels inside an IPv6 one?"""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None and not is_public(inner):
            return False
    return address.is_global and not address.is_multicast


class _Forbidden(Exception):
    pass


class _NoHost(Exception):
    pass


class _Unresolved(Exception):
    pass


class WebProber:
    """A domain.mail_links.LinkProber. `permitted` says which addresses may be connected to."""

    def __init__(self, resolve: Resolve, *, permitted: Callable[[IpAddress], bool] = is_public) -> None:
        self._resolve = resolve
        self._permitted = permitted

    def probe(self, urls: Collection[str]) -> Mapping[str, Probe]:
        """See LinkProber. Takes 20 seconds at most; what had no turn by then cannot be told."""
        asked = list(dict.fromkeys(urls))[:_MOST]
        deadline = time.monotonic() + _ALTOGETHER_SECONDS
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="links")
        futures = {url: pool.submit(self._one, url, deadline) for url in asked}
        wait(futures.values(), timeout=_ALTOGETHER_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        late = Probe(Reach.CANNOT_TELL, "no time was left")
        return {url: one.result() if one.done() and not one.cancelled() else late for url, one in futures.items()}

    def _one(self, url: str, deadline: float) -> Probe:
        try:
            with httpx.Client(verify=http.ssl_context(), timeout=_PATIENCE_SECONDS, trust_env=False) as client:
                return self._followed(client, url, deadline)
        except _Forbidden:
            return Probe(Reach.FORBIDDEN, "a private address")
        except _NoHost:
            return Probe(Reach.NOWHERE, "the DNS knows no such host")
        except _Unresolved:
            return Probe(Reach.CANNOT_TELL, "the DNS did not answer")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Probe(Reach.CANNOT_TELL, _why(error))

    def _followed(self, client: httpx.Client, url: str, deadline: float) -> Probe:
        for _ in range(_HOPS):
            if time.monotonic() > deadline:
                return Probe(Reach.CANNOT_TELL, "no time was left")
            status, onward = self._asked(client, "HEAD", url)
            if status >= _CLIENT_ERROR:  # many servers answer HEAD wrongly
                status, onward = self._asked(client, "GET", url)
            if onward is None:
                return _judged(status)
            url = onward
        return Probe(Reach.CANNOT_TELL, f"more than {_HOPS} redirects")

    def _asked(self, client: httpx.Client, method: str, url: str) -> tuple[int, str | None]:
        """Status, and where a redirect leads. The body is never read."""
        target = httpx.URL(url)
        host = host_of(url)
        if target.scheme not in {"http", "https"} or host is None:
            raise _NoHost
        pinned = target.copy_with(host=str(self._address(host)), userinfo=b"", fragment=None)
        request = client.build_request(
            method,
            pinned,
            headers={"Host": target.netloc.decode("ascii").rpartition("@")[2], "User-Agent": _AGENT},
            extensions={"sni_hostname": target.raw_host.decode("ascii")},  # and the certificate must be of that name
        )
        answer = client.send(request, stream=True, follow_redirects=False)
        answer.close()
        place = answer.headers.get("Location", "")
        return answer.status_code, str(target.join(place)) if answer.status_code in _REDIRECTS and place else None

    def _address(self, host: str) -> IpAddress:
        """The one address that is connected to."""
        try:
            found: Sequence[IpAddress] | None = [ipaddress.ip_address(host)]
        except ValueError:
            found = self._resolve(host)
        if found is None:
            raise _Unresolved
        if not found:
            raise _NoHost
        if not all(map(self._permitted, found)):  # also where only one of several is private
            raise _Forbidden
        return found[0]


def _judged(status: int) -> Probe:
    if _CLIENT_ERROR <= status < _SERVER_ERROR and status not in _UNTELLING:
        return Probe(Reach.BROKEN, f"HTTP {status}")
    if status >= _CLIENT_ERROR:
        return Probe(Reach.CANNOT_TELL, f"HTTP {min(status, _LAST - 1)}")
    return Probe(Reach.WORKS, f"HTTP {status}")


def _why(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return "no connection" if isinstance(error, httpx.ConnectError) else "no usable answer"


def open_prober(config: DnsConfig) -> WebProber:
    """One that asks the configured name servers. Raises NoNameServer."""
    asked = resolver_of(config)

    def resolve(host: str) -> Sequence[IpAddress] | None:
        found: list[IpAddress] = []
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                name = host if host.isascii() else idna.encode(host, uts46=True).decode()
                answer = asked.resolve(f"{name.rstrip('.')}.", kind)
            except (dns.resolver.NXDOMAIN, idna.IDNAError):
                return []
            except dns.resolver.NoAnswer:
                continue
            except (dns.exception.DNSException, OSError, ValueError):
                return None
            found += [ipaddress.ip_address(one.address) for one in answer]
        return found

    return WebProber(resolve)
