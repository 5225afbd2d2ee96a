"""What a part of a returned mail says of one recipient, before it is known whose mail it is."""

import re
from dataclasses import dataclass

from domain import bounces
from domain.bounces import Verdict
from domain.delivery import EventKind
from domain.masking import masked

_NOTHING = Verdict()
# Longer ones are none (RFC 5321 section 4.5.3.1); without bounds the pattern takes quadratic time.
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"'@]{1,64}@[^\s<>()\[\],;:\"'@]{1,255}")
# The code within a line of prose: an enhanced one beside a basic one, in brackets, behind a # or behind "error".
_REPLY = re.compile(
    r"(?<![\d.\w-])([245]\d\d)[ \-]{1,2}#?([245]\.\d{1,3}\.\d{1,3})(?![.\d])"
    r"|(?:[(\[#]|status:? |code:? |error:? )\s{0,3}#?([245]\.\d{1,3}\.\d{1,3})(?![.\d])"
    r"|(?<![\d.\w:/-])([245]\d\d)(?=[ \-][A-Za-z<\"'#(\[*])",
    re.IGNORECASE,
)
_TYPE = re.compile(r"^\s*[A-Za-z][\w-]{0,30}\s*;\s*")


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement, and whom it concerns as far as it says so. `detail` holds no address."""

    kind: EventKind
    address: str | None = None
    verdict: Verdict = _NOTHING
    detail: str | None = None
    machine: bool = False


def refused(kind: EventKind, address: str | None, *, status: str, text: str) -> Finding:
    """A bounce or a deferral, judged by its code and by what the server said."""
    said = " ".join(_TYPE.sub("", text).split())
    code = status if status and not status.endswith(".0.0") else ""  # x.0.0 means "something else"
    verdict = bounces.judge(status=code or code_in(said), text=said) if kind is EventKind.BOUNCED else _NOTHING
    shown = said if code_in(said) or not status else f"{status} {said}"
    return Finding(kind, address, verdict, masked(shown, [address] if address else []) or None)


def code_in(prose: str) -> str:
    """The code of a refusal that stands somewhere in prose: enhanced, or else basic; "" where there is none."""
    basic = ""
    for found in _REPLY.finditer(prose[:4000]):
        if enhanced := found[2] or found[3]:
            return enhanced
        basic = basic or found[4]
    return basic


def address_in(text: str) -> str | None:
    """The first address in a text, if there is one."""
    found = _ADDRESS.search(text[:2000])
    return found[0].strip(".`*") if found else None
