"""What Mailchimp's two keys may do, and for which domains and pools.

Marketing's key has its user's role (GET /, `role`) and no scopes of its own. A Transactional key may be limited to some
calls, and no call tells which; senders/domains and ips/list-pools tell domains and pools. Sources: Mailchimp's API
documents, tests/payloads/mailchimp.
"""

from contextlib import closing
from typing import Any

from domain.access import Access, SenderDomain
from providers.mailchimp import account, calls
from providers.mailchimp.calls import CallFailed
from providers.mailchimp.config import MailchimpConfig

# A manager does all that a campaign needs, and sees no bill and no user.
_WIDE_ROLES = frozenset({"owner", "admin"})
_NARROW_ROLES = frozenset({"author", "viewer"})
_FREE = "forever_free"
_REFUSED = (401, 403)


def marketing(config: MailchimpConfig) -> Access:
    """Ask Marketing. Raises HostUnavailable, HostRefuses, MailchimpNotConfigured."""
    found, lacking = account.read(config), []
    if found.role in _NARROW_ROLES:
        lacking.append(f"a role above {found.role}, who may send no campaign")
    if found.plan == _FREE:
        lacking.append("a plan with scheduling: on the free one Mailchimp refuses each campaign at the end")
    return Access(
        lacking=tuple(lacking),
        beyond=(f"all that the role {found.role} may, where a manager's key is enough",)
        if found.role in _WIDE_ROLES
        else (),
        domains=tuple(SenderDomain(name, signs) for name, signs in sorted(found.domains.items())),
        untold=() if found.role else ("Mailchimp does not tell the key's role",),
    )


def transactional(config: MailchimpConfig) -> Access:
    """Ask Transactional. Raises CallFailed, MailchimpNotConfigured."""
    untold = ["no call tells to which calls a key of Mailchimp Transactional is limited"]
    with closing(calls.open_transactional(config)) as client:
        key = {"key": config.required_transactional_key()}
        calls.call(client, "POST", "/users/ping2.json", body=key)
        domains = _asked(client, "/senders/domains.json", key, untold)
        pools = _asked(client, "/ips/list-pools.json", key, untold)
    return Access(
        domains=None if domains is None else tuple(map(_domain, domains)),
        pools=None if pools is None else tuple(sorted(str(one["name"]) for one in pools)),
        untold=tuple(untold),
    )


def _asked(client: Any, path: str, key: dict[str, str], untold: list[str]) -> list[dict[str, Any]] | None:
    try:
        found: list[dict[str, Any]] = calls.call(client, "POST", path, body=key)
    except CallFailed as error:
        if error.status not in _REFUSED:
            raise
        untold.append(f"the key may not call {path}")
        return None
    return found


def _domain(row: dict[str, Any]) -> SenderDomain:
    return SenderDomain(str(row["domain"]), bool(row.get("valid_signing")))
