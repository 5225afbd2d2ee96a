"""What a SendGrid key may do, and which domains and pools the account has.

Scopes: GET /v3/scopes names all that a key was given. Domains: GET /v3/whitelabel/domains, where `valid` is what SendGrid
found when it looked last. Pools: GET /v3/ips/pools. A key without the scope of a question is told 401 or 403: that says
nothing of the domains.
"""

from typing import Any

from domain.access import Access, SenderDomain
from providers.sendgrid.management import Management, ManagementError

# To send, and to read and write suppression lists and the unsubscribe group (docs/suppressions.md).
NEEDED = frozenset(
    {
        *("mail.send", "suppression.read", "suppression.delete"),
        *("asm.suppressions.global.create", "asm.suppressions.global.delete", "asm.groups.read"),
        *("asm.groups.suppressions.create", "asm.groups.suppressions.read", "asm.groups.suppressions.delete"),
    }
)
# What parts of the engine use where they are wanted: calling back, look-ups, statistics, templates, this very check.
_USEFUL = (
    "mail.batch.",
    "user.scheduled_sends.",
    "messages.read",
    "email_activity.read",
    "stats.",
    "categories.stats.",
    "templates.",
    "whitelabel.read",
    "ips.pools.read",
    "ips.read",
    "user.webhooks.event.settings.read",
    "suppression.",
    "asm.",
)
# Every key has them, whatever is chosen.
_INNATE = ("2fa_required", "2fa_exempt", "sender_verification_")
_REFUSED = (401, 403)
_PAGE = 500


def access(management: Management) -> Access:
    """Ask all three. Raises ManagementError where SendGrid gave no usable answer to the first."""
    granted = {str(one) for one in management.get("scopes", {})["scopes"]}
    untold: list[str] = []
    domains = _asked(management, "whitelabel/domains", {"limit": _PAGE}, untold)
    pools = _asked(management, "ips/pools", {}, untold)
    return Access(
        lacking=tuple(sorted(NEEDED - granted)),
        beyond=tuple(sorted(one for one in granted - NEEDED if not one.startswith((*_USEFUL, *_INNATE)))),
        domains=None if domains is None else tuple(map(_domain, domains)),
        pools=None if pools is None else tuple(sorted(str(one["name"]) for one in pools)),
        untold=tuple(untold),
    )


def _asked(management: Management, path: str, params: dict[str, int], untold: list[str]) -> list[dict[str, Any]] | None:
    try:
        found: list[dict[str, Any]] = management.get(path, params)
    except ManagementError as error:
        if error.status not in _REFUSED:
            raise
        untold.append(f"the key may not read {path}")
        return None
    return found


def _domain(row: dict[str, Any]) -> SenderDomain:
    return SenderDomain(str(row["domain"]), bool(row["valid"]))
