"""What the DNS said to one question, and the records that are to be published: no tool of any kind is in here.

An answer is there, or it is certain that there is none, or nobody can tell. The third is never taken for the second.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_SHOWN = 120  # characters of a record that a line shows: a TXT record may have 65,535
_READ = 400  # of which are looked through for mailboxes: more than are shown and a name of 64 beyond
_STRING = 255  # octets of one string of a TXT record (RFC 1035, 3.3.14); a longer text is several strings
_NAME_OF_MAILBOX = re.compile(r"[^\s:;,=\"<>]+@")
_TAG_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Standing(StrEnum):
    THERE = "there"
    NO_RECORD = "no such record"  # the name exists, with other records
    NO_NAME = "no such name"
    UNCLEAR = "no answer"  # SERVFAIL, REFUSED, a time-out, an answer that nobody can read


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a name and a kind of record. `values`: text as the DNS writes it, TXT joined to one string.

    `via`: the names that a CNAME led through, the last one holds the values. `trouble`: what happened, if unclear.
    """

    name: str
    kind: str
    standing: Standing
    values: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def unclear(self) -> bool:
        return self.standing is Standing.UNCLEAR


class Dns(Protocol):
    """The DNS as far as a sender needs it. Kinds: A, AAAA, MX, PTR, TXT."""

    def ask(self, name: str, kind: str) -> Answer:
        """Never raises, and answers within seconds; a CNAME is followed."""
        ...


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record to be published: what a person copies into the panel of their DNS."""

    name: str
    kind: str
    value: str

    def __str__(self) -> str:
        """As a zone file has it: TXT in quoted strings of at most 255 octets."""
        return f"{self.name} {self.kind} {_strings(self.value) if self.kind == 'TXT' else self.value}"


def _strings(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace('"', '\\"')
    parts = [safe[start : start + _STRING] for start in range(0, len(safe), _STRING)] or [""]
    return " ".join(f'"{part}"' for part in parts)


class Malformed(ValueError):
    """A text that is no list of tags; the message says where it goes wrong."""


def tags(text: str) -> dict[str, str]:
    """A list `tag=value; tag=value` (RFC 6376, 3.2), names in lower case and in order. Raises Malformed."""
    found: dict[str, str] = {}
    for part in text.strip().removesuffix(";").split(";"):
        left, equals, value = part.partition("=")
        name = left.strip().lower()
        if not equals or not _TAG_NAME.fullmatch(name):
            raise Malformed(f"“{quoted(part.strip())}” is no tag=value")
        if name in found:
            raise Malformed(f"the tag {quoted(name)} is there twice")
        found[name] = value.strip()
    return found


def quoted(text: str) -> str:
    """A stranger's text as a line may show it: printable ASCII, short, without the name of any mailbox."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in _NAME_OF_MAILBOX.sub("…@", text[:_READ]))
    plain = plain.replace("?@", "…@")
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same: letters' case and a dot at the end do not count."""
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def within(name: str, parent: str) -> bool:
    """Whether a name is the parent or lies below it."""
    low, top = name.rstrip(".").lower(), parent.rstrip(".").lower()
    return low == top or low.endswith(f".{top}")
