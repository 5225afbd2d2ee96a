"""What a relay says of our key: it lets us in or it does not. Nothing else of it can be asked by SMTP."""

import time

from domain.access import Access
from providers.smtp import relay
from providers.smtp.config import SmtpConfig


class RelayRefuses(RuntimeError):
    """The relay cannot be reached, or does not take us. The message says which step failed."""

    def __init__(self, message: str, *, refused: bool) -> None:
        """`refused`: it answered, and trying again changes nothing until somebody mends the settings."""
        super().__init__(message)
        self.refused = refused


def access(config: SmtpConfig) -> Access:
    """Connect, secure the connection, log in, and leave. Raises RelayRefuses, SmtpNotConfigured."""
    context = relay.tls_context(config)
    longest = 2 * (config.connect_timeout_seconds + config.read_timeout_seconds)
    try:
        relay.connect(config, context, until=time.monotonic() + longest).close()
    except relay.Unreachable as trouble:
        raise RelayRefuses(trouble.outcome.detail, refused=trouble.outcome.stop_provider) from None
    return Access(untold=("a relay does not tell for which domains it signs: `campaigns preflight` looks",))
