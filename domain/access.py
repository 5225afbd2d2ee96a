"""What a key at an ESP may do, and for which domains and through which pools the ESP sends authenticated mail."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Signing(StrEnum):
    """Whether an ESP signs mail from a domain as that domain."""

    YES = "authenticated"
    PARENT = "its parent domain is authenticated"
    BROKEN = "declared there, and its DNS records do not hold"
    NO = "not known there"


@dataclass(frozen=True, slots=True)
class SenderDomain:
    """A domain as the ESP knows it. `valid`: the ESP found its records in the DNS when it looked last."""

    name: str
    valid: bool


@dataclass(frozen=True, slots=True)
class Access:
    """What an ESP says of a key. None: the ESP does not tell, or not to this key; `untold` says so in words.

    `lacking`: what the engine needs and the key may not do; `beyond`: what it may do and the engine never does. Whoever
    steals a key has all of that.
    """

    lacking: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    domains: tuple[SenderDomain, ...] | None = None
    pools: tuple[str, ...] | None = None
    untold: tuple[str, ...] = field(default=())

    def signs_for(self, domain: str) -> Signing | None:
        """Does it sign for this sender domain? None: it does not tell."""
        if self.domains is None:
            return None
        known = {one.name.lower(): one.valid for one in self.domains}
        if (valid := known.get(domain.lower())) is not None:
            return Signing.YES if valid else Signing.BROKEN
        return Signing.PARENT if any(known.get(one) for one in _parents(domain.lower())) else Signing.NO


def _parents(domain: str) -> Iterable[str]:
    labels = domain.split(".")
    return (".".join(labels[start:]) for start in range(1, len(labels) - 1))
