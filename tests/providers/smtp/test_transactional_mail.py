"""Mail that the customer waits for, by a relay: the contract of all adapters, and what SendGrid's relay is told of it."""

import json
from email import message_from_bytes, policy
from typing import Any

import pytest

from domain import ports
from domain.ledger import Outcome
from tests.providers.contract import a_batch
from tests.providers.smtp import relayed
from tests.providers.smtp.sink import Sink, running
from tests.providers.transactional_contract import Delivered, TransactionalContract, a_transactional_batch


def _by_relay(batch: ports.Batch, **settings: Any) -> tuple[Outcome, bytes | None]:
    with running(Sink()) as sink, relayed.mailer_for(sink, **settings) as mailer:
        outcome = mailer.send(batch)
    return outcome, sink.taken[0][2] if sink.taken else None


class TestTransactionalMail(TransactionalContract):
    def handed_over(self, batch: ports.Batch) -> tuple[Outcome, Delivered | None]:
        outcome, raw = _by_relay(batch)
        if raw is None:
            return outcome, None
        mail = message_from_bytes(raw, policy=policy.SMTP)
        text, html = (part.get_content().replace("\r\n", "\n").rstrip("\n") for part in mail.iter_parts())
        return outcome, Delivered(mail["Subject"], text, html, dict(mail.items()), raw.decode())


@pytest.mark.parametrize(("batch", "followed"), [(a_transactional_batch(), 0), (a_batch(1), 1)])
def test_sendgrids_relay_follows_no_link_in_it_and_goes_past_no_list(batch: ports.Batch, followed: int) -> None:
    _, raw = _by_relay(batch, x_smtpapi=True)
    assert raw is not None
    told = json.loads(message_from_bytes(raw, policy=policy.default)["X-SMTPAPI"])
    filters = told["filters"]
    assert set(filters) == {"clicktrack", "opentrack", "subscriptiontrack"}
    assert filters["clicktrack"]["settings"]["enable"] == filters["opentrack"]["settings"]["enable"] == followed
    assert filters["subscriptiontrack"]["settings"]["enable"] == 0
    assert told["unique_args"] == {"message_id": batch.message_ids[0], "attempt_id": batch.attempt_id}
