"""What Mailchimp's two products need in the DNS of a sending domain. Both sign by keys that a CNAME leads to."""

from domain.dns_answers import DnsRecord
from domain.sender_domain import DomainRequest

_MARKETING = {"k1": "dkim.mcsv.net", "k2": "dkim2.mcsv.net", "k3": "dkim3.mcsv.net"}
_TRANSACTIONAL = {"mte1": "dkim1.mandrillapp.com", "mte2": "dkim2.mandrillapp.com"}
_SPF = "mandrillapp.com"


def marketing_request(domain: str) -> DomainRequest:
    """Mailchimp Marketing: the envelope is its own, k2 and k3 sign (k1 for domains authenticated long ago).

    Raises InvalidDomain.
    """
    request = DomainRequest(domain, esp="Mailchimp", esp_return_path=True, further_selectors=tuple(_MARKETING))
    return _expecting(request, _MARKETING)


def transactional_request(domain: str, *, return_path: str = "") -> DomainRequest:
    """Mailchimp Transactional sends from no domain without its keys. return_path: the account's own, where it has one.

    Raises InvalidDomain.
    """
    request = DomainRequest(
        domain,
        esp="Mailchimp Transactional",
        return_path=return_path,
        esp_return_path=not return_path,
        spf_senders=(_SPF,) if return_path else (),
        selectors=tuple(_TRANSACTIONAL),
    )
    return _expecting(request, _TRANSACTIONAL)


def _expecting(request: DomainRequest, keys: dict[str, str]) -> DomainRequest:
    records = (DnsRecord(request.key_name(selector), "CNAME", target) for selector, target in keys.items())
    return request.published_as(records)
