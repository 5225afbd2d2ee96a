"""Which addresses may stand in a mail, and which filters and readers stumble over."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from domain.mail_links import SHORTENERS

_EXAMPLE = re.compile(r"(^|\.)(example\.(com|net|org)|example|test|invalid)$")  # RFC 2606


def fault(address: str) -> str:
    """What is wrong with the address of a link or picture, and what to do; empty where nothing is."""
    parts = _split(address)
    if parts is None:
        return "this is no address"
    if parts.scheme in {"mailto", "tel"} and parts.path:
        return ""
    host = _host(parts)
    if parts.scheme != "https" or not host:
        return "write the whole address, with https://"
    if host == "localhost" or host.endswith((".localhost", ".local")) or "." not in host or _is_number(host):
        return "only your own machines find this address: write the shop's"
    if host in SHORTENERS:
        return "filters distrust shortened links: write the address that it leads to"
    return ""


def is_example(address: str) -> bool:
    """Whether the host is one that is reserved for examples."""
    parts = _split(address)
    return parts is not None and bool(_EXAMPLE.search(_host(parts)))


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").removeprefix("www.")


def _is_number(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
