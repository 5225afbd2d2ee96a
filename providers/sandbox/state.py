"""What one running sandbox holds, and how a route gets at it."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from providers.sandbox.config import SandboxConfig
from providers.sandbox.faults import Dial
from providers.sandbox.poster import Poster
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.signing import SigningKey
from providers.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The parts, from start to stop."""

    config: SandboxConfig
    store: Store
    key: SigningKey
    dial: Dial
    poster: Poster
    posting: asyncio.Task[None]


def running(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


Running = Annotated[Sandbox, Depends(running)]


def knows_the_key(request: Request, sandbox: Running) -> bool:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    expected = sandbox.config.api_key.get_secret_value()
    return scheme.lower() == "bearer" and secrets.compare_digest(key.encode(), expected.encode())


KnowsTheKey = Annotated[bool, Depends(knows_the_key)]


def require_key(request: Request, known: KnowsTheKey) -> None:
    """Answer as SendGrid does to a request without a key, or with a wrong one."""
    if "authorization" not in request.headers:
        raise Refused(401, Violation("authorization required"))
    if not known:
        raise Refused(401, Violation("The provided authorization grant is invalid, expired, or revoked"))
