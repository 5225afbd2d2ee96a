"""One batch on its way: which messages are still to be begun, and what became of the others."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from providers.batch_checks import RecipientRefused
from providers.smtp import verdicts
from providers.smtp.letter import Letter
from providers.smtp.mime import Composer
from providers.smtp.relay import Relay

# So many mails may be refused with words that blame our settings, while none is taken, before the relay is stopped.
_REFUSALS_BEFORE_STOP = 3
# A mail that is not answered is held, perhaps for ever: of one batch no more of them are risked.
_MOST_UNKNOWN = 2
_OUT_OF_TIME = verdicts.not_sent("the time for this batch was over before it was begun, so it was not sent", local=True)
_SILENT = verdicts.not_sent("the relay left others of this batch without an answer, so it was not sent")

_SPEAKS = (OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT, OutcomeKind.REJECTED)


class Round:
    """The messages of one batch in their order. `knows_us`: the relay took mail of ours a short while ago."""

    def __init__(
        self, batch: ports.Batch, composer: Composer, *, begun_by: float, knows_us: bool, now: datetime
    ) -> None:
        self._batch, self._composer = batch, composer
        self._begun_by, self._now = begun_by, now
        self._knows_us = knows_us
        self._outcomes: dict[str, Outcome] = {}
        self._next = 0
        self._rest: Outcome | None = None  # what is known of all that was never begun
        self._blaming: list[str] = []  # refused with words that blame our settings
        self.accepted = self._unknown = 0

    def goes_on(self) -> bool:
        """Whether another message may be begun; when the time for that is over, it ends."""
        if self._rest is None and self._next < len(self._batch) and time.monotonic() >= self._begun_by:
            self.end(_OUT_OF_TIME)
        return self._rest is None and self._next < len(self._batch)

    def end(self, rest: Outcome) -> None:
        """Begin no more; `rest` is what is known of those that never were."""
        self._rest = self._rest or rest

    def letters(self, relay: Relay, most: int) -> Iterator[Letter | None]:
        """At most so many letters that this relay takes, then None for ever. Never raises."""
        for _ in range(most):
            if (letter := self._letter(relay)) is None:
                break
            yield letter
        while True:
            yield None

    def record(self, letter: Letter, outcome: Outcome) -> None:
        """What became of a letter."""
        self._outcomes[letter.message_id] = outcome
        self.accepted += outcome.kind is OutcomeKind.ACCEPTED
        self._unknown += outcome.kind is OutcomeKind.UNKNOWN
        self._blaming += [letter.message_id] if verdicts.blames_us(outcome) else []
        if outcome.stop_provider:
            self.end(outcome)
        elif self._unknown >= _MOST_UNKNOWN:
            self.end(_SILENT)
        elif not self._trusted and len(self._blaming) >= _REFUSALS_BEFORE_STOP:
            self.end(_stopped(outcome))

    def outcome(self) -> Outcome:
        """Of the batch: one answer for most of it, and exceptions."""
        if not self._trusted:
            for message_id in self._blaming:
                self._rest = self._outcomes[message_id] = _stopped(self._outcomes[message_id])
        self._outcomes = {one: self._with_event(one, outcome) for one, outcome in self._outcomes.items()}
        if len(self._batch) == 1 and self._outcomes:
            return next(iter(self._outcomes.values()))
        most = self._of_most()
        known = {one: self._outcomes.get(one, self._rest or _OUT_OF_TIME) for one in self._batch.message_ids}
        exceptions = {one: outcome for one, outcome in known.items() if not _same(outcome, most)}
        return replace(most, exceptions=exceptions, event=None)

    def _with_event(self, message_id: str, outcome: Outcome) -> Outcome:
        event = verdicts.bounce(outcome, message_id, self._composer.attempt_of(message_id), self._now)
        return outcome if event is None else replace(outcome, event=event)

    @property
    def _trusted(self) -> bool:
        """Whether the relay knows us, so that a refusal is about that one mail, whatever it says of us."""
        return self._knows_us or self.accepted > 0

    def _letter(self, relay: Relay) -> Letter | None:
        """The next that can be sent; those that cannot are recorded on the way."""
        while self.goes_on():
            number, self._next = self._next, self._next + 1
            try:
                letter = self._composer.letter(number)
            except RecipientRefused as refusal:
                why = str(refusal)
            except Exception as error:  # noqa: BLE001 - its text may hold somebody's data
                fault = str(error) if isinstance(error, ports.Unsendable) else type(error).__name__
                self._next = number
                self.end(verdicts.not_sent(f"the mail could not be written ({fault})", stop=True, local=True))
                return None
            else:
                if (unfit := _unfit(letter, relay)) is None:
                    return letter
                why = unfit
            self._outcomes[self._batch.message_ids[number]] = Outcome(OutcomeKind.REJECTED, why, local=True)
        return None

    def _of_most(self) -> Outcome:
        """Whatever stops the relay is said of the whole; else that mail was taken; else what tells most of the relay."""
        known = [*self._outcomes.values(), *([self._rest] if self._rest is not None else [])]
        if (stop := next((one for one in known if one.stop_provider), None)) is not None:
            return stop
        return min(known, key=lambda one: (_SPEAKS.index(one.kind), one.local))


def _unfit(letter: Letter, relay: Relay) -> str | None:
    """Why this relay would not take it, as its own offers say."""
    if letter.needs_utf8 and "SMTPUTF8" not in relay.offers:
        return "the address is not ASCII, and the relay does not offer SMTPUTF8"
    limit = relay.offers.get("SIZE", "").strip()
    if limit.isascii() and limit.isdigit() and 0 < int(limit[:15]) < len(letter.mail):
        return "the mail is larger than the relay takes"
    return None


def _stopped(refusal: Outcome) -> Outcome:
    return verdicts.not_sent(refusal.detail, stop=True, status=refusal.status)


def _same(one: Outcome, most: Outcome) -> bool:
    """Whether the answer for the whole speaks for this message too.

    It never does of one that was refused or is unknown: were that said of the whole, the ledger would halve it and ask
    again, or hold all of it.
    """
    if one.kind is OutcomeKind.ACCEPTED:
        return most.kind is OutcomeKind.ACCEPTED
    return one.kind is OutcomeKind.NOT_SENT and one == most
