"""Mail that goes past the lists: SendGrid's flags in mail_settings.

Rules: SendGrid's API reference, "Mail Send", and "Suppressions", section "Bypass Suppressions". Each flag is for one list
and the others are heeded; who left a group is dropped from mail that names it, whatever is said of unsubscribes. Beside
bypass_list_management none of the others may be named at all, switched on or off (sendgrid/docs #6549).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from providers.sandbox.problems import Violation
from providers.sandbox.suppressions import DROPPED_BECAUSE, Listing

_EVERY = "bypass_list_management"
_ONE = {
    "bypass_unsubscribe_management": Listing.UNSUBSCRIBES,
    "bypass_bounce_management": Listing.BOUNCES,
    "bypass_spam_management": Listing.SPAM_REPORTS,
}


def violations(payload: Mapping[str, Any]) -> Iterator[Violation]:
    settings = payload.get("mail_settings", {})
    for flag in (_EVERY, *_ONE):
        said = settings.get(flag, {})
        if type(said) is not dict or type(said.get("enable", False)) is not bool:
            yield Violation(f"The {flag} enable param should be a boolean value.", f"mail_settings.{flag}.enable")
    if _EVERY in settings and any(flag in settings for flag in _ONE):
        yield Violation(
            "bypass_list_management is mutually exclusive with bypass_bounce_management, bypass_spam_management and"
            " bypass_unsubscribe_management",
            "mail_settings",
        )


def heeds_groups(payload: Mapping[str, Any]) -> bool:
    """Whether who left its unsubscribe group is dropped."""
    return not _is_on(payload, _EVERY)


def heeded(payload: Mapping[str, Any]) -> list[Listing]:
    """The lists whose addresses this mail does not reach."""
    past = {listing for flag, listing in _ONE.items() if _is_on(payload, flag)}
    return [one for one in DROPPED_BECAUSE if one not in past] if heeds_groups(payload) else []


def _is_on(payload: Mapping[str, Any], flag: str) -> bool:
    return bool(payload.get("mail_settings", {}).get(flag, {}).get("enable"))
