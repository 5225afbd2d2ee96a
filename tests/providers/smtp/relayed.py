"""Batches and mailers for the tests of what goes out by SMTP."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from domain import ports
from domain.ledger import Outcome
from providers.smtp.config import SmtpConfig
from providers.smtp.mailer import SmtpMailer, open_mailer
from tests.conftest import LINK_KEY
from tests.providers import contract
from tests.providers.smtp.sink import PATIENCE, Sink

MAILBOX = "returns@bounce.shop.example.com"
ATTEMPT = "0b9f6c1e-1111-4222-8333-444455556666"


def a_batch(size: int = 3, **changes: Any) -> ports.Batch:
    return contract.a_batch(size, **({"attempt_id": ATTEMPT} | changes))


def settings_for(port: int, **changes: Any) -> SmtpConfig:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "return_mailbox": MAILBOX,
        "connect_timeout_seconds": PATIENCE,
        "read_timeout_seconds": PATIENCE,
    }
    return SmtpConfig(**(values | changes))


@contextmanager
def mailer_for(sink: Sink, **changes: Any) -> Iterator[SmtpMailer]:
    with closing(open_mailer(settings_for(sink.port, **changes), link_key=LINK_KEY)) as mailer:
        yield mailer


def each(outcome: Outcome, batch: ports.Batch) -> list[Outcome]:
    """What became of each message, in order."""
    return [outcome.exceptions.get(message_id, outcome) for message_id in batch.message_ids]


def text_only() -> Any:
    """A text that holds the name as it is."""
    content = contract.a_batch().content
    return type(content)(content.name, "Hello", "", content.text, content.variables, content.hash)
