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

from data import audit_log, consents, database, deliveries, eligibility, suppressions
from data.correlation import Recipient
from data.suppressions import NewSuppression
from domain.consent import ConsentStatus
from domain.delivery import DeliveryState, Seen
from domain.suppression import Reason
from gateway import bodies, rendering, texts
from gateway.config import GatewayConfig
from gateway.letters import Letter, Letters
from gateway.metrics import Metrics

# RFC 8058 sends 26 bytes, in a multipart form perhaps 300.
_MAX_BODY_BYTES = 16 * 1024
_ONE_CLICK = (b"List-Unsubscribe", b"One-Click")  # stand in both kinds of form that RFC 8058 (3.2) allows


class Source(StrEnum):
    """Which button was pressed."""

    ONE_CLICK = "one-click"
    PAGE = "page"
    PREFERENCES = "preferences"


_WORDING = {
    Source.ONE_CLICK: "pressed unsubscribe in the mail",
    Source.PAGE: "unsubscribe page",
    Source.PREFERENCES: "preference page, all",
}


@dataclass(frozen=True, slots=True)
class WayOut:
    """From a token to a customer, and from there to a standing refusal."""

    letters: Letters
    clock: Callable[[], datetime]

    def shown(self, token: str) -> Letter | None:
        """The mail that the token was in; None for a token that we did not make. Writes nothing."""
        with database.read(self.letters.engine) as connection:
            return self.letters.of(connection, token)

    def unsubscribe(self, token: str, source: Source) -> Letter | None:
        """Refuse marketing mail from now on; None as above. Repeating it changes nothing."""
        with database.write(self.letters.engine) as connection:
            letter = self.letters.of(connection, token)
            if letter is not None:
                record(connection, letter, source=source, now=self.clock())
            return letter


def record(connection: sa.Connection, message: Letter, *, source: Source, now: datetime) -> None:
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


def _suppress(connection: sa.Connection, message: Letter, *, source: Source, now: datetime) -> bool:
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
            recorded_at=now,
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
        wording=_WORDING[source],
        now=now,
    )
    return True


def router(way_out: WayOut, *, config: GatewayConfig, metrics: Metrics) -> APIRouter:
    """The page and its button."""
    routes = APIRouter(prefix="/unsubscribe", default_response_class=HTMLResponse)

    @routes.api_route("/{token}", methods=["GET", "HEAD"])
    def ask(token: str, request: Request) -> HTMLResponse:
        return _page("unsubscribe.html", way_out.shown(token), token, request)

    @routes.post("/{token}")
    async def act(token: str, request: Request) -> HTMLResponse:
        body = await bodies.read(request, limit=_MAX_BODY_BYTES, seconds=config.body_seconds)
        source = Source.ONE_CLICK if all(word in body for word in _ONE_CLICK) else Source.PAGE
        letter = await run_in_threadpool(way_out.unsubscribe, token, source)
        page = _page("unsubscribed.html", letter, token, request)
        metrics.unsubscribed.labels(source).inc()
        return page

    return routes


def _page(template: str, letter: Letter | None, token: str, request: Request) -> HTMLResponse:
    if letter is None:
        raise HTTPException(404)  # without detail: a guesser learns nothing
    wish = texts.Wish.of(request)
    return rendering.in_language(
        template, letter.language(wish), clicked=wish.clicked, shop=letter.account.name, token=token
    )
