"""What /messages answers, as models: the documentation is made of them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from data.message_history import History
from domain.delivery import EventKind
from domain.ledger import BatchState, OutcomeKind
from domain.transactional import NEXT

_STATES: dict[str, Any] = {"enum": sorted(str(one) for one in NEXT)}


class Accepted(BaseModel):
    """The message is kept and goes next. The same answer comes for each repetition."""

    id: str = Field(examples=["tmfrggzdfmztwq2lknnwg"])
    state: Literal["planned"] = Field("planned", description="when it was kept; GET tells what became of it")
    asked_at: datetime
    expires_at: datetime = Field(description="what could not go by then does not go at all")
    href: str = Field(description="where its history is", examples=["/messages/tmfrggzdfmztwq2lknnwg"])


class Attempt(BaseModel):
    """One request to an ESP."""

    number: int
    provider: str
    claimed_at: datetime
    finished_at: datetime | None
    outcome: OutcomeKind | None = Field(description="none while it is under way")
    detail: str | None = Field(description="in the ESP's words, without address")


class Delivery(BaseModel):
    """What the ESP told of the message, summed up."""

    delivered_at: datetime | None
    bounced_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None
    complained_at: datetime | None
    unsubscribed_at: datetime | None


class Event(BaseModel):
    """One thing that the ESP told."""

    kind: EventKind
    occurred_at: datetime
    detail: str | None


class MessageHistory(BaseModel):
    """All that became of a message. Its address and its variables are not part of it."""

    id: str
    template: str
    asked_by: str = Field(description="api, or order where a change of an order asked for it")
    state: BatchState = Field(json_schema_extra=_STATES)
    why: str | None = Field(description="why it did not go")
    resent: bool = Field(description="nobody knew what became of it, so it went once more: possibly twice")
    asked_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = Field(description="when an ESP took it")
    finished_at: datetime | None = Field(
        description="since when it is in this state, unless it waits for its first try"
    )
    attempts: list[Attempt]
    delivery: Delivery | None = Field(description="none before the ESP told anything")
    events: list[Event] = Field(description="the first 200, oldest first")

    @classmethod
    def of(cls, found: History) -> "MessageHistory":
        """As it is kept."""
        return cls.model_validate(
            {**found.message, "attempts": found.attempts, "delivery": found.delivery, "events": found.events}
        )
