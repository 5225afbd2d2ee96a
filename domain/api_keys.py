"""Keys of the HTTP API: what they look like, and what each may do. A key belongs to one account."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

_PREFIX = "oms_"  # so that whoever finds one, a scanner of repositories too, knows whose it is
_KEY = re.compile(r"oms_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
MOST_PER_MINUTE = 60_000


class Action(StrEnum):
    """What can be done over HTTP."""

    SEND = "messages:send"
    READ = "messages:read"


class InvalidKey(ValueError):
    """A key cannot be made like this; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. Of its scopes each is an action, or an action with one template: messages:send:password-reset."""

    id: str
    account_id: str
    name: str
    scopes: tuple[str, ...]
    per_minute: int

    def may(self, action: Action, template: str | None = None) -> bool:
        """Whether it may do this with this template; without one: whether it may do this at all."""
        if action in self.scopes:
            return True
        if template is None:
            return any(scope.startswith(f"{action}:") for scope in self.scopes)
        return f"{action}:{template}" in self.scopes


def check(name: str, scopes: Collection[str], per_minute: int, templates: Collection[str]) -> None:
    """Raises InvalidKey. `templates`: those that a scope may be limited to."""
    if not _NAME.fullmatch(name):
        raise InvalidKey(f"a key's name is lower-case letters, digits and dashes, such as web-shop; got {name[:60]!r}")
    if not scopes:
        raise InvalidKey(f"a key needs a scope: {', '.join(Action)}, or {Action.SEND}:TEMPLATE")
    for scope in scopes:
        action = next((one for one in Action if scope == one or scope.startswith(f"{one}:")), None)
        if action is None:
            raise InvalidKey(
                f"there is no scope {scope[:80]!r}; there are: {', '.join(Action)}, each with :TEMPLATE too"
            )
        if scope != action and scope.removeprefix(f"{action}:") not in templates:
            raise InvalidKey(
                f"{scope[:80]!r} names no transactional template; there are: {', '.join(sorted(templates))}"
            )
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        raise InvalidKey(f"a key may make 1 to {MOST_PER_MINUTE:,} requests a minute")


def new_secret() -> str:
    """A key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Whether it can be one."""
    return _KEY.fullmatch(text) is not None


def at_rest(secret: str) -> str:
    """What is kept of a key. 256 random bits need no slow hash: nobody tries them out."""
    return hashlib.sha256(secret.encode()).hexdigest()
