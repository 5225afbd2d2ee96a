"""The DNS as domain.dns_answers.Dns: any record, each question once, within a time for all of them together.

What cannot be told (SERVFAIL, REFUSED, a time-out, an answer that makes no sense) is never taken for "no such record".
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import dns.resolver

from domain.dns_answers import Answer, Standing
from providers.dns import DnsConfig, resolver_of


class DnsLooks:
    """The questions of one judgement. An answer is kept as long as this object lives, so that all lines see the same.

    Safe to share between threads. After `within` seconds nothing is asked any more: each answer is unclear then.
    """

    def __init__(self, config: DnsConfig, *, within: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises NoNameServer."""
        self._resolver = resolver_of(config)
        self._timeout = config.timeout_seconds
        self._clock = clock
        self._within = within
        self._end = clock() + within
        self._known: dict[tuple[str, str], Future[Answer]] = {}
        self._lock = threading.Lock()

    def ask(self, name: str, kind: str) -> Answer:
        """See domain.dns_answers.Dns."""
        plain = name.rstrip(".").lower()
        with self._lock:
            known = self._known.get((plain, kind))
            mine = known is None
            if known is None:
                known = self._known[plain, kind] = Future()
        if mine:
            known.set_result(self._asked(plain, kind))
        return known.result()

    def _asked(self, name: str, kind: str) -> Answer:
        left = self._end - self._clock()
        if left <= 0:
            return Answer(name, kind, Standing.UNCLEAR, trouble=f"no time was left of {self._within:g} s")
        try:
            absolute = dns.name.from_text(f"{name}.")
        except (dns.exception.DNSException, ValueError):
            return Answer(name, kind, Standing.NO_NAME)  # no name of the DNS: nothing can be published there
        try:
            found = self._resolver.resolve(absolute, kind, lifetime=min(left, self._timeout))
            via = tuple(_plain(one.target) for rrset in found.chaining_result.cnames for one in rrset)
            return Answer(name, kind, Standing.THERE, tuple(_value(one) for one in found), via)
        except dns.resolver.NXDOMAIN as error:
            return Answer(name, kind, Standing.NO_NAME, via=_led(error, absolute))
        except dns.resolver.NoAnswer as error:
            return Answer(name, kind, Standing.NO_RECORD, via=_led(error, absolute))
        except Exception as error:  # noqa: BLE001 - what a stranger's bytes do to dnspython tells nothing of the domain
            return Answer(name, kind, Standing.UNCLEAR, trouble=_trouble(error))


def _led(error: dns.exception.DNSException, name: dns.name.Name) -> tuple[str, ...]:
    """Where CNAMEs led before there was nothing."""
    try:
        response: dns.message.QueryMessage = (
            error.kwargs["responses"][name] if isinstance(error, dns.resolver.NXDOMAIN) else error.kwargs["response"]
        )
        return tuple(_plain(one.target) for rrset in response.resolve_chaining().cnames for one in rrset)
    except (dns.exception.DNSException, KeyError, AttributeError):
        return ()


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else "."


def _value(record: object) -> str:
    """TXT as one text, each octet a letter (Latin-1 loses none); MX as `preference host`; names without their last dot."""
    if isinstance(record, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(record.strings).decode("latin-1")
    if isinstance(record, dns.rdtypes.ANY.MX.MX):
        return f"{record.preference} {_plain(record.exchange)}"
    target = getattr(record, "target", None)
    return _plain(target) if isinstance(target, dns.name.Name) else str(record)


def _trouble(error: Exception) -> str:
    """What went wrong, in words, without the name server's address."""
    if isinstance(error, dns.exception.Timeout):
        return "no answer in time"
    if isinstance(error, dns.resolver.NoNameservers):
        replies = [one[4] for one in error.kwargs.get("errors", []) if one[4] is not None]  # dnspython: the 5th of each
        codes = {dns.rcode.to_text(reply.rcode()) for reply in replies} - {"NOERROR"}
        return f"the name server says {', '.join(sorted(codes))}" if codes else "no answer that can be read"
    return f"the DNS could not be asked ({type(error).__name__})"
