"""The DNS as a NameServer: where a domain receives mail. One question, with a time-out, and no exception comes out."""

from ipaddress import ip_address

import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver
import idna
from pydantic import BaseModel, Field, field_validator

_PORT = 53


class NoNameServer(RuntimeError):
    """The machine knows no name server; the message says what to set."""


class DnsConfig(BaseModel):
    """Which name servers are asked: for the mailbox provider behind a domain, once a month, and for a sender's records."""

    nameservers: list[str] = Field(
        default_factory=list, description="IP or IP:port of those that are asked; none: the machine's own"
    )
    timeout_seconds: float = Field(3.0, gt=0, le=30, description="a domain that takes longer is asked again next night")
    look_ups_a_night: int = Field(
        5000, ge=0, description="the domains of most customers first; 0: the DNS is never asked"
    )

    @field_validator("nameservers")
    @classmethod
    def _addresses(cls, servers: list[str]) -> list[str]:
        for server in servers:
            _parsed(server)  # raises ValueError
        return servers


def _parsed(server: str) -> tuple[str, int]:
    """Address and port: 192.0.2.1, 192.0.2.1:5353, 2001:db8::1, [2001:db8::1]:5353."""
    if server.count(":") > 1 and not server.startswith("["):
        host, port = server, ""
    else:
        host, _, port = server.rpartition(":") if ":" in server else (server, "", "")
    return str(ip_address(host.strip("[]"))), int(port) if port else _PORT


def resolver_of(config: DnsConfig) -> dns.resolver.Resolver:
    """A resolver without a cache, which asks for names as they are. Safe to share between threads. Raises NoNameServer."""
    try:
        resolver = dns.resolver.Resolver(configure=not config.nameservers)
    except dns.resolver.NoResolverConfiguration as error:
        raise NoNameServer("this machine knows no name server: name one in OMS_DNS_NAMESERVERS") from error
    if config.nameservers:
        servers = map(_parsed, config.nameservers)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.lifetime = config.timeout_seconds
    resolver.search = []  # a domain is never one of the machine's own network
    return resolver


class DnsNameServer:
    """One resolver without a cache: its answers are kept in the database. Safe to share between threads."""

    def __init__(self, config: DnsConfig) -> None:
        """Raises NoNameServer."""
        self._resolver = resolver_of(config)

    def mail_hosts(self, domain: str) -> tuple[str, ...] | None:
        """See ports.NameServer. A domain without MX receives at itself (RFC 5321, 5.1); "." says nowhere (RFC 7505)."""
        try:
            name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
            answer = self._resolver.resolve(f"{name}.", dns.rdatatype.MX)
        except dns.resolver.NXDOMAIN:
            return ()
        except dns.resolver.NoAnswer:
            return (domain,)
        except (dns.exception.DNSException, idna.IDNAError, OSError, ValueError):
            return None  # SERVFAIL, a time-out, no network: tells of the way there, not of the domain
        found = sorted((one.preference, one.exchange.to_text(omit_final_dot=True).lower()) for one in answer)
        return tuple(host for _, host in found if host != ".")
