"""Mails over one connection, each a transaction of its own, and what became of each.

With PIPELINING (RFC 2920) a mail's text goes out together with the next one's MAIL, RCPT and DATA: one round trip a
mail. DATA ends such a group, so the next text leaves only when the one before was answered: never are two in doubt.
"""

from collections.abc import Callable
from typing import Literal

from domain.ledger import Outcome, OutcomeKind
from providers.smtp import verdicts
from providers.smtp.letter import Letter
from providers.smtp.line import Broken, HalfWritten, Reply
from providers.smtp.relay import Relay
from providers.smtp.verdicts import Stage

_GOODBYE = 421  # the relay hangs up behind it (RFC 5321 section 3.8)
_STAGES = (Stage.MAIL, Stage.RCPT, Stage.DATA)


class Courier:
    """Brings what `following` hands out until it hands out no more, or the connection is gone.

    `record` hears once of every letter that was handed out. `following` gives None to stop.
    """

    def __init__(
        self,
        relay: Relay,
        following: Callable[[], Letter | None],
        record: Callable[[Letter, Outcome], None],
        *,
        pipelining: bool,
        notify: list[Literal["success", "failure", "delay"]],
    ) -> None:
        self._relay, self._line = relay, relay.line
        self._following, self._record = following, record
        self._pipelining = pipelining and "PIPELINING" in relay.offers
        self._notify = notify
        self._said: list[Letter] = []  # of which something was said and which have no outcome yet, the oldest first
        self._in_doubt: Letter | None = None  # the one whose final dot may be on its way

    def run(self) -> bool:
        """Whether the connection can carry more afterwards. Never raises for what the wire did."""
        try:
            self._carry()
        except Broken as broken:
            self._ended(str(broken))
            return False
        except Exception as error:
            # A fault of our program must not lose what is known, and what is not known must not be sent again.
            self._ended(type(error).__name__)
            raise
        return True

    def _carry(self) -> None:
        coming = self._next()
        if coming is not None:
            self._line.write(self._announced(coming))
        while coming is not None:
            if self._is_invited(coming):
                coming = self._hand_over(coming)
            else:
                coming = self._next()
                if coming is not None:
                    self._line.write(self._announced(coming))

    def _next(self) -> Letter | None:
        if (letter := self._following()) is not None:
            self._said.append(letter)
        return letter

    def _announced(self, letter: Letter) -> bytes:
        """What goes ahead of a mail in one group; without pipelining nothing: see `_is_invited`."""
        reset = [b"RSET\r\n"] if self._relay.dirty else []
        return b"".join([*reset, *self._commands(letter)]) if self._pipelining else b""

    def _commands(self, letter: Letter) -> list[bytes]:
        return letter.commands(self._relay.offers, self._notify)

    def _is_invited(self, letter: Letter) -> bool:
        """Read the answers to MAIL, RCPT and DATA; otherwise the mail's outcome is recorded."""
        if self._relay.dirty:
            self._step(b"RSET\r\n")
            self._relay.dirty = False
        refused: tuple[Stage, Reply] | None = None
        commands = self._commands(letter) if not self._pipelining else (b"", b"", b"")
        for stage, command in zip(_STAGES, commands, strict=True):
            reply = self._step(command)
            good = reply.is_go_on if stage is Stage.DATA else reply.is_done
            if good and stage is Stage.DATA and refused is not None:
                self._take_back(refused[0])
            if not good and refused is None:
                refused = stage, reply
                self._relay.dirty = True
                self._settle(letter, verdicts.refused(stage, reply, letter.recipient))
                self._heed(reply)
                self._relay.carried += 1
            if refused is not None and not self._pipelining:
                return False
        return refused is None

    def _step(self, command: bytes) -> Reply:
        if not self._pipelining:
            self._line.write(command)
        return self._line.reply()

    def _take_back(self, refused: Stage) -> None:
        """The relay wants a text for nobody: it gets an empty one where it knows that there is no recipient."""
        if refused is not Stage.RCPT:
            raise Broken("the relay went on after it refused")
        self._line.write(b".\r\n")
        self._line.reply()

    def _hand_over(self, letter: Letter) -> Letter | None:
        """Send the text, with the next mail's envelope, and hear what became of it; the next mail."""
        coming = self._next() if self._pipelining else None
        content = letter.content()
        group = content + (self._announced(coming) if coming is not None else b"")
        try:
            self._in_doubt = letter
            self._line.write(group)
        except HalfWritten as broken:
            self._hear_last(letter, whole=broken.taken >= len(content))
            raise
        self._hear(letter)
        return coming if self._pipelining else self._next()

    def _hear(self, letter: Letter) -> None:
        reply = self._line.reply()
        self._relay.carried += 1
        if reply.is_done:
            self._settle(letter, verdicts.accepted(reply))
            return
        outcome = verdicts.refused(Stage.DOT, reply, letter.recipient)
        self._settle(letter, outcome)
        self._heed(reply)
        if outcome.kind is OutcomeKind.UNKNOWN:
            raise Broken("the relay's answers are none of SMTP")

    def _heed(self, reply: Reply) -> None:
        if reply.code == _GOODBYE:
            raise Broken("the relay said goodbye")

    def _hear_last(self, letter: Letter, *, whole: bool) -> None:
        """The connection broke while we wrote; its last word may lie there still, such as 552 to a mail too large."""
        if not whole:
            self._in_doubt = None  # without its final dot no relay takes it (RFC 5321 section 4.1.1.4)
        try:
            reply = self._line.reply()
        except Broken:
            return
        if reply.is_done:  # it says that it has the mail, so it never goes again, whatever we think to have sent of it
            self._settle(letter, verdicts.accepted(reply))
        elif reply.is_not_now or reply.is_never:
            self._settle(letter, verdicts.refused(Stage.DOT, reply, letter.recipient))

    def _settle(self, letter: Letter, outcome: Outcome) -> None:
        self._said.remove(letter)
        if self._in_doubt is letter:
            self._in_doubt = None
        self._record(letter, outcome)

    def _ended(self, why: str) -> None:
        """Say what is known of those under way: only one of them can have been taken."""
        for letter in list(self._said):
            if letter is self._in_doubt:
                outcome = Outcome(OutcomeKind.UNKNOWN, f"no answer after the final dot: {why}")
            else:
                outcome = verdicts.not_sent(f"the connection was lost before the mail was sent: {why}")
            self._settle(letter, outcome)
