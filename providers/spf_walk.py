"""SPF evaluated by pyspf, the implementation that the RFC's own test suite was written with, over our look-ups.

pyspf asks the DNS through one function of its module, for all threads alike, and stops counting at the limits. Here each
evaluation asks the resolver that it is given, counts on, and ends a loop with its name.
"""

from ipaddress import ip_address
from typing import Any

import spf

from domain.dns_answers import Dns, Standing
from domain.sender_domain import SpfWalk

# An address that no record names (RFC 1112: reserved), so that every term is looked at; what passes it passes anybody.
NOBODY = "240.0.0.1"
_MOST_COUNTED = 20  # look-ups; who needs twice as many as are allowed is told "more than"
_LONGEST_LABEL = 63


def walked(dns: Dns, domain: str, address: str = NOBODY) -> SpfWalk:
    """What a receiver finds out about mail from an address with this domain in its envelope. Never raises."""
    query = _Query(dns, address, domain)
    try:
        result, _, words = query.check()
    except Exception as error:  # noqa: BLE001 - a number of 5,000 digits does it: no verdict on the record
        result, words = "temperror", f"pyspf cannot evaluate the record ({type(error).__name__})"
    problem = words.removeprefix("SPF Permanent Error: ").removeprefix("SPF Temporary Error: ")
    problem = problem if result in ("permerror", "temperror") else ""
    return SpfWalk(result, problem, query.lookups, query.void_lookups, dict(query.visited))


class _Query(spf.query):  # type: ignore[misc]  # pyspf has no types
    def __init__(self, dns: Dns, address: str, domain: str) -> None:
        super().__init__(i=address, s=f"postmaster@{domain}", h=domain)
        self._asked = dns
        self._path: list[str] = []
        self._probed = {address, ".".join(reversed(address.split(".")))} if address == NOBODY else set()
        self.visited: dict[str, str] = {}

    def dns(self, name: object, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:  # noqa: ARG002
        """As pyspf wants it: TXT as tuples of bytes, MX as pairs; an empty list for nothing, TempError for trouble."""
        plain = str(name).rstrip(".")
        if not all(0 < len(label) <= _LONGEST_LABEL for label in plain.split(".")):
            return []
        answer = self._asked.ask(plain, qtype)
        if answer.unclear:
            raise spf.TempError(f"{plain} {qtype}: {answer.trouble}")
        if answer.standing is not Standing.THERE and not ignore_void and not self._of_nobody(plain):
            self.void_lookups += 1
        return [_as_pyspf_has_it(qtype, value) for value in answer.values]

    def _of_nobody(self, name: str) -> bool:
        """Whether a macro put our made-up address into the name: that there is nothing tells of no fault."""
        return any(address in name for address in self._probed)

    def check_lookups(self) -> None:
        self.lookups += 1
        if self.lookups > _MOST_COUNTED:
            raise spf.PermError(f"more than {_MOST_COUNTED} look-ups")

    def check1(self, record: str, domain: str, recursion: int) -> Any:
        name = domain.rstrip(".").lower()
        if name in self._path:
            raise spf.PermError(f"a loop: {' -> '.join([*self._path, name])}")
        self._path.append(name)
        try:
            return super().check1(record, domain, recursion)
        finally:
            self._path.pop()

    def dns_spf(self, domain: str) -> str | None:
        text: str | None = super().dns_spf(domain)
        if text:
            self.visited.setdefault(domain.rstrip(".").lower(), text)
        return text

    def get_explanation(self, spec: str) -> None:
        """Not looked up: the words of a refusal decide nothing."""


def _as_pyspf_has_it(kind: str, value: str) -> Any:
    if kind == "TXT":
        return (value.encode("latin-1"),)
    if kind == "MX":
        preference, host = value.split()
        return int(preference), host
    return str(ip_address(value)) if kind in ("A", "AAAA") else value
