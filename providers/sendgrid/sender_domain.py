"""What SendGrid needs in the DNS of a sending domain, and its API's word of it (GET /v3/whitelabel/domains)."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.dns_answers import DnsRecord
from domain.sender_domain import DomainRequest

_SPF = "sendgrid.net"
_KINDS = {"cname": "CNAME", "txt": "TXT", "mx": "MX"}


def request_for(domain: str, *, return_path: str = "", authenticated: Mapping[str, Any] | None = None) -> DomainRequest:
    """What to judge for mail From this domain. Raises InvalidDomain.

    authenticated: the entry of this domain in the answer of GET /v3/whitelabel/domains; its records are then what is
    published. Without it and without a return path the envelope is taken for SendGrid's own, which never aligns.
    """
    records = tuple(records_of(authenticated)) if authenticated else ()
    known = bool(return_path or records)
    request = DomainRequest(
        domain,
        esp="SendGrid",
        return_path=return_path,
        esp_return_path=not known,
        spf_senders=(_SPF,) if known else (),
        selectors=("s1", "s2"),  # the keys of automatic security; it signs with one and changes the other
    )
    return request.expecting(records) if records else request


def records_of(authenticated: Mapping[str, Any]) -> Iterator[DnsRecord]:
    """The records that SendGrid waits for, as it names them: three CNAME, or an MX and TXT without automatic security."""
    for record in (authenticated.get("dns") or {}).values():
        kind = _KINDS.get(str(record.get("type", "")).lower()) if isinstance(record, Mapping) else None
        if kind is not None and record.get("host") and record.get("data"):
            value = str(record["data"]).rstrip(".")
            yield DnsRecord(str(record["host"]), kind, f"10 {value}" if kind == "MX" and " " not in value else value)
