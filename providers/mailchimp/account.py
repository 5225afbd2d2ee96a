"""What a key or token of Mailchimp Marketing reaches: account, audience, sender domains.

Mailchimp's keys have no scopes: a key may do all that its user may, so the user's role is what can be too wide. Shapes:
GET /, GET /lists/{id} and GET /verified-domains of the vendor's API document.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from providers.mailchimp import campaign
from providers.mailchimp.calls import CallFailed, open_marketing
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.sdk import Marketing, rows


@dataclass(frozen=True, slots=True)
class Account:
    """`domains`: sender domain → whether Mailchimp signs with it (DKIM), not only knows whose it is."""

    role: str
    plan: str
    audience: str
    members: int
    domains: Mapping[str, bool]


def read(config: MailchimpConfig) -> Account:
    """Ask Mailchimp; three calls. Raises MailchimpNotConfigured, HostUnavailable and HostRefuses."""
    list_id = config.required_list_id()
    try:
        api = Marketing(open_marketing(config))
        try:
            return _read(api, list_id)
        finally:
            api.close()
    except CallFailed as error:
        raise campaign.told(error) from None


def _read(api: Marketing, list_id: str) -> Account:
    root = api.root.get_root(fields=["role", "pricing_plan_type"])
    audience = api.lists.get_list(list_id, fields=["name", "stats.member_count"])
    domains = rows(api.domains.get_verified_domains_all(), "domains")
    if not isinstance(root, dict) or not isinstance(audience, dict):
        raise CallFailed("Mailchimp does not tell of account and audience as documented")
    members = (audience.get("stats") or {}).get("member_count")
    return Account(
        role=str(root.get("role") or "").lower(),
        plan=str(root.get("pricing_plan_type") or ""),
        audience=str(audience.get("name") or ""),
        members=members if type(members) is int else 0,
        domains={str(one.get("domain", "")).lower(): one.get("authenticated") is True for one in domains},
    )
