"""The way out of marketing mail.

GET shows a page and changes nothing: link scanners open every link of a mail. POST unsubscribes: by the mail program's
own button (RFC 8058) or by the button on the page.

The token in the path is all that is needed: no cookie, no login, no redirect, and pressing twice is pressing once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from pydantic import SecretStr

from data import accounts, audit_log, consents, correlation, database, deliveries, eligibility, ledger, suppressions
from data.correlation import Recipient
from data.suppressions import NewSuppression
from domain import campaigns, tokens
from domain.consent import ConsentStatus
from domain.delivery import DeliveryState, Seen
from domain.suppression import Reason
from gateway import bodies, rendering
from gateway.config import GatewayConfig
from gateway.metrics import Metrics

# RFC 8058 sends 26 bytes, in a multipart form perhaps 300.
_MAX_BODY_BYTES = 16 * 1024
_ONE_CLICK = b"One-Click"


class Source(StrEnum):
    """Which button was pressed."""

    ONE_CLICK = "one-click"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class _Message:
    """The mail that a token was in, and whose it was."""

    run_id: str
    ordinal: int
    customer: Recipient

    @property
    def id(self) -> str:
        return campaigns.message_id(self.run_id, self.ordinal)


@dataclass(frozen=True, slots=True)
class WayOut:
    """From a token to a customer, and from there to a standing refusal."""

    engine: sa.Engine
    link_key: SecretStr
    clock: Callable[[], datetime]

    def shop_of(self, token: str) -> str | None:
        """The shop that the token's owner gets mail from; None for a token that we did not make. Writes nothing."""
        with database.read(self.engine) as connection:
            message = self._message(connection, token)
            return None if message is None else accounts.get(connection, message.customer.account_id).name

    def unsubscribe(self, token: str, source: Source) -> str | None:
        """Refuse marketing mail from now on and return the shop's name; None as above. Repeating it changes nothing."""
        with database.write(self.engine) as connection:
            message = self._message(connection, token)
            if message is None:
                return None
            _record(connection, message, source=source, now=self.clock())
            return accounts.get(connection, message.customer.account_id).name

    def _message(self, connection: sa.Connection, token: str) -> _Message | None:
        keys = {"1": self.link_key.get_secret_value()}
        message_id = tokens.verify(token, purpose=ledger.UNSUBSCRIBE_PURPOSE, keys=keys)
        named = None if message_id is None else campaigns.parse_message_id(message_id)
        if named is None:
            return None
        run_id, ordinal = named
        customer = correlation.recipients_of(connection, run_id, [ordinal]).get(ordinal)
        return None if customer is None else _Message(run_id, ordinal, customer)


def _record(connection: sa.Connection, message: _Message, *, source: Source, now: datetime) -> None:
    """Suppression, withdrawal, the run's figures and a line in the audit log, each only where it is news."""
    customer = message.customer
    news = _suppress(connection, message, source=source, now=now)
    # The suppression's row is locked by now, so of two requests at once the second sees what the first withdrew.
    withdrawn = not customer.erased and _withdraw(connection, customer, source=source, now=now)
    if not withdrawn and not news:
        return
    state = DeliveryState(seen=Seen.UNSUBSCRIBED, unsubscribed_at=now)
    deliveries.join(connection, {(message.run_id, message.ordinal): state})
    audit_log.write(
        connection,
        account_id=customer.account_id,
        actor="recipient",
        action="unsubscribe",
        subject=message.id,
        detail={"source": source.value},
        now=now,
    )


def _suppress(connection: sa.Connection, message: _Message, *, source: Source, now: datetime) -> bool:
    """Refuse for the mailbox that was mailed, and for the customer's present one; False when both stood already."""
    customer = message.customer
    refusals = [
        NewSuppression(
            account_id=customer.account_id,
            address_hash=mailbox,
            reason=Reason.UNSUBSCRIBE,
            source=source,
            evidence=f"message {message.id}",
            created_at=now,
        )
        for mailbox in {customer.mailed_hash, customer.address_hash}
        if mailbox is not None
    ]
    return suppressions.add_many(connection, refusals) > 0


def _withdraw(connection: sa.Connection, customer: Recipient, *, source: Source, now: datetime) -> bool:
    """Withdraw the consent; False when that was the last word already, the customer's own and the mailbox's."""
    own = eligibility.consent_status(sa.literal(customer.party_id))
    mailbox = eligibility.mailbox_consent(customer.account_id, sa.literal(customer.address_hash, sa.Text))
    if set(connection.execute(sa.select(own, mailbox)).one()) - {None} == {ConsentStatus.WITHDRAWN}:
        return False
    consents.withdraw(
        connection,
        account_id=customer.account_id,
        party_id=customer.party_id,
        source=source,
        wording="pressed unsubscribe in the mail" if source is Source.ONE_CLICK else "unsubscribe page",
        now=now,
    )
    return True


def router(way_out: WayOut, *, config: GatewayConfig, metrics: Metrics) -> APIRouter:
    """The page and its button."""
    routes = APIRouter(prefix="/unsubscribe", default_response_class=HTMLResponse)

    @routes.api_route("/{token}", methods=["GET", "HEAD"])
    def ask(token: str) -> HTMLResponse:
        return _page("unsubscribe.html", way_out.shop_of(token))

    @routes.post("/{token}")
    async def act(token: str, request: Request) -> HTMLResponse:
        body = await bodies.read(request, limit=_MAX_BODY_BYTES, seconds=config.body_seconds)
        source = Source.ONE_CLICK if _ONE_CLICK in body else Source.PAGE
        shop = await run_in_threadpool(way_out.unsubscribe, token, source)
        page = _page("unsubscribed.html", shop)
        metrics.unsubscribed.labels(source).inc()
        return page

    return routes


def _page(template: str, shop: str | None) -> HTMLResponse:
    if shop is None:
        raise HTTPException(404)  # without detail: a guesser learns nothing
    return HTMLResponse(rendering.page(template, shop=shop))
