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

from data import accounts, audit_log, consents, correlation, database, eligibility, ledger, suppressions
from data.correlation import Customer
from domain import campaigns, tokens
from domain.consent import ConsentStatus
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
class WayOut:
    """From a token to a customer, and from there to a standing refusal."""

    engine: sa.Engine
    link_key: SecretStr
    clock: Callable[[], datetime]

    def shop_of(self, token: str) -> str | None:
        """The shop that the token's owner gets mail from; None for a token that we did not make. Writes nothing."""
        with database.read(self.engine) as connection:
            found = self._customer(connection, token)
            return None if found is None else accounts.get(connection, found[1].account_id).name

    def unsubscribe(self, token: str, source: Source) -> str | None:
        """Refuse marketing mail from now on and return the shop's name; None as above. Repeating it changes nothing."""
        with database.write(self.engine) as connection:
            found = self._customer(connection, token)
            if found is None:
                return None
            message_id, customer = found
            _record(connection, message_id, customer, source=source, now=self.clock())
            return accounts.get(connection, customer.account_id).name

    def _customer(self, connection: sa.Connection, token: str) -> tuple[str, Customer] | None:
        keys = {"1": self.link_key.get_secret_value()}
        message_id = tokens.verify(token, purpose=ledger.UNSUBSCRIBE_PURPOSE, keys=keys)
        named = None if message_id is None else campaigns.parse_message_id(message_id)
        if message_id is None or named is None:
            return None
        run_id, ordinal = named
        customer = correlation.customers_of(connection, run_id, [ordinal]).get(ordinal)
        return None if customer is None else (message_id, customer)


def _record(connection: sa.Connection, message_id: str, customer: Customer, *, source: Source, now: datetime) -> None:
    """Suppression, withdrawal and a line in the audit log, each only where it is news."""
    if customer.address_hash is None:
        return  # erased since: that is suppressed already, and there is nobody left to withdraw
    news = suppressions.add(
        connection,
        account_id=customer.account_id,
        address_hash=customer.address_hash,
        reason=Reason.UNSUBSCRIBE,
        source=source,
        evidence=f"message {message_id}",
        now=now,
    )
    # The suppression's row is locked by now, so of two requests at once the second sees what the first withdrew.
    status = connection.scalar(sa.select(eligibility.consent_status(sa.literal(customer.party_id))))
    if status != ConsentStatus.WITHDRAWN:
        news = True
        consents.withdraw(
            connection,
            account_id=customer.account_id,
            party_id=customer.party_id,
            source=source,
            wording="pressed unsubscribe in the mail" if source is Source.ONE_CLICK else "unsubscribe page",
            now=now,
        )
    if news:
        audit_log.write(
            connection,
            account_id=customer.account_id,
            actor="recipient",
            action="unsubscribe",
            subject=message_id,
            detail={"source": source.value},
            now=now,
        )


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
