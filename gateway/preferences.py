"""What a customer gets and how often: her preference page.

GET shows it and changes nothing. POST saves topics and frequency, unsubscribes from all, or takes an explicit agreement,
and answers with the new state: no redirect, no cookie, no login. As with unsubscribing, the token in the path is the
secret, so a foreign site cannot press her buttons.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from data import database, preferences
from data.preferences import Choice, Preferences
from domain import addresses
from domain.preferences import Frequency
from gateway import bodies, rendering, texts, unsubscribe
from gateway.bodies import Refused
from gateway.config import GatewayConfig
from gateway.letters import Letter, Letters
from gateway.metrics import Metrics
from gateway.texts import Wish

_MAX_BODY_BYTES = 16 * 1024
_MAX_FIELDS = 400  # two for each topic of a very fond shop
_USUAL = "usual"
# The second is where a mail's link leads: its placeholder is the whole unsubscribe link, to which a word is added.
_PATHS = ("/preferences/{token}", "/unsubscribe/{token}/preferences")


class Action(StrEnum):
    """The buttons of the page."""

    SAVE = "save"
    UNSUBSCRIBE = "unsubscribe"
    RESUBSCRIBE = "resubscribe"


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button, and what was ticked beside it."""

    action: Action
    choice: Choice


def pressed(body: bytes) -> Pressed:
    """Read the page's form. Raises Refused for one that is not ours."""
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        (action,), (frequency,) = fields["action"], fields.get("frequency", [_USUAL])
        choice = Choice(
            shown=frozenset(fields.get("shown", ())),
            wanted=frozenset(fields.get("topic", ())),
            frequency=None if frequency == _USUAL else Frequency(frequency),
        )
        return Pressed(Action(action), choice)
    except (ValueError, KeyError):  # UnicodeDecodeError is a ValueError
        raise Refused(400, "form", "This is not the form of the page; nothing was changed.") from None


@dataclass(frozen=True, slots=True)
class Desk:
    """From a token to what its owner chose, and chooses."""

    letters: Letters
    clock: Callable[[], datetime]

    def shown(self, token: str) -> tuple[Letter, Preferences] | None:
        """None for a token that we did not make. Writes nothing."""
        with database.read(self.letters.engine) as connection:
            letter = self.letters.of(connection, token)
            return None if letter is None else (letter, preferences.read(connection, letter.customer, now=self.clock()))

    def act(self, token: str, form: Pressed, wish: Wish) -> tuple[Letter, Preferences] | None:
        """Do what was pressed; None as above. Pressing twice is pressing once."""
        with database.write(self.letters.engine) as connection:
            letter = self.letters.of(connection, token)
            return None if letter is None else (letter, self._done(connection, letter, form, wish))

    def _done(self, connection: sa.Connection, letter: Letter, form: Pressed, wish: Wish) -> Preferences:
        now, customer = self.clock(), letter.customer
        preferences.lock(connection, customer.party_id)
        match form.action:
            case Action.SAVE:
                return preferences.choose(connection, customer, form.choice, message_id=letter.id, now=now)
            case Action.RESUBSCRIBE:
                wording = _wording(letter.language(wish))
                return preferences.agree(connection, customer, wording=wording, message_id=letter.id, now=now)
            case Action.UNSUBSCRIBE:
                unsubscribe.record(connection, letter, source=unsubscribe.Source.PREFERENCES, now=now)
                return preferences.read(connection, customer, now=now)


def _wording(language: str) -> str:
    """What was agreed to: the version of the sentence above the button, and its language."""
    return f"preference page {texts.load(language)['preferences']['consent_version']} ({language})"


def router(desk: Desk, *, config: GatewayConfig, metrics: Metrics) -> APIRouter:
    """The page and its buttons."""
    routes = APIRouter(default_response_class=HTMLResponse)

    def show(token: str, request: Request) -> HTMLResponse:
        return _page(desk.shown(token), Wish.of(request))

    async def act(token: str, request: Request) -> HTMLResponse:
        body = await bodies.read(request, limit=_MAX_BODY_BYTES, seconds=config.body_seconds)
        form, wish = pressed(body), Wish.of(request)
        page = _page(await run_in_threadpool(desk.act, token, form, wish), wish, form.action)
        metrics.preferences.labels(form.action).inc()
        return page

    for path in _PATHS:
        routes.add_api_route(path, show, methods=["GET", "HEAD"])
        routes.add_api_route(path, act, methods=["POST"])
    return routes


def _page(found: tuple[Letter, Preferences] | None, wish: Wish, action: Action | None = None) -> HTMLResponse:
    if found is None:
        raise HTTPException(404)  # without detail: a guesser learns nothing
    letter, state = found
    language = letter.language(wish)
    return rendering.in_language(
        "preferences.html",
        language,
        clicked=wish.clicked,
        **rendering.contact(letter.account),
        **_shown(letter, state, language),
        done=_DONE[action] if action is not None and _came_true(action, state) else None,
    )


_DONE = {Action.SAVE: "saved", Action.UNSUBSCRIBE: "refused", Action.RESUBSCRIBE: "agreed"}


def _came_true(action: Action, state: Preferences) -> bool:
    """A save by a page that was opened before she unsubscribed saves nothing, and must not say that it did."""
    return state.refused if action is Action.UNSUBSCRIBE else state.agreed and state.bar is None


def _shown(letter: Letter, state: Preferences, language: str) -> Mapping[str, Any]:
    """The masked address only where it is that of the mailbox which holds the mail."""
    own = letter.customer.mailed_hash in {None, letter.customer.address_hash} and letter.contact.email
    return {
        "address": addresses.masked(own) if own else "",
        "bar": state.bar.value if state.bar is not None else None,
        "agreed": state.agreed,
        "refused": state.refused,
        "topics": [
            {
                "name": topic.name,
                "title": topic.title(language, letter.account.language or language),
                "wanted": topic.name not in state.no_topics,
            }
            for topic in state.offered
        ],
        "frequencies": [
            {"value": one, "text": one, "chosen": one == (state.frequency or _USUAL)} for one in (_USUAL, *Frequency)
        ],
    }
