"""One SMTP session (RFC 5321), with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN and enhanced status codes.

A library would not do: aiosmtpd answers 555 to the parameters of DSN (RFC 3461), and lets nobody hang up between a final
dot and its answer. There is neither TLS nor a login: it listens on the machine's own address.
"""

import asyncio
import re
import time
from collections.abc import Callable

from fastapi.concurrency import run_in_threadpool

from providers.sandbox.config import SandboxConfig
from providers.sandbox.faults import Dial, SmtpStage
from providers.sandbox.relay import fates, mail
from providers.sandbox.relay.mail import Envelope, Recipient
from providers.sandbox.store import Store

_MAX_BYTES = 30 * 2**20
_IDLE_SECONDS = 300.0
_OFFERS = ("PIPELINING", f"SIZE {_MAX_BYTES}", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_PATH = re.compile(r"(?:FROM|TO):\s*<([^<>]*)>(.*)", re.IGNORECASE)
_HEX = re.compile(r"\+([0-9A-F]{2})")


class HungUp(Exception):
    """The session is over."""


class Session:
    """What one client says and hears."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        config: SandboxConfig,
        store: Store,
        dial: Dial,
        wake: Callable[[], None],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._config, self._store, self._dial, self._wake = config, store, dial, wake
        self._envelope: Envelope | None = None

    async def run(self) -> None:
        """Speak until the client or a fault ends it."""
        try:
            await self._answer(SmtpStage.CONNECT, "220 sandbox.test ESMTP")
            while await self._command((await self._line()).decode("utf-8", "replace")):
                pass
        except (HungUp, ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._writer.close()

    async def _command(self, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO" | "HELO":
                await self._hello(verb.upper())
            case "MAIL":
                await self._mail(rest)
            case "RCPT":
                await self._rcpt(rest)
            case "DATA":
                await self._data()
            case "RSET" | "NOOP":
                self._envelope = None if verb.upper() == "RSET" else self._envelope
                await self._say("250 2.0.0 Ok")
            case "QUIT":
                await self._say("221 2.0.0 Bye")
                return False
            case _:
                await self._say("502 5.5.2 Error: command not recognized")
        return True

    async def _hello(self, verb: str) -> None:
        self._envelope = None
        lines = ["sandbox.test", *_OFFERS] if verb == "EHLO" else ["sandbox.test"]
        told = [f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines]
        await self._answer(SmtpStage.EHLO, "\r\n".join(told))

    async def _mail(self, rest: str) -> None:
        path = _PATH.match(rest)
        if path is None or self._envelope is not None:
            await self._say(
                "501 5.5.4 Syntax: MAIL FROM:<address>" if path is None else "503 5.5.1 nested MAIL command"
            )
        elif await self._answer(SmtpStage.MAIL, "250 2.1.0 Ok"):
            self._envelope = Envelope(path[1], _plain(_parameters(path[2]).get("ENVID", "")))

    async def _rcpt(self, rest: str) -> None:
        path = _PATH.match(rest)
        if path is None or not path[1]:
            await self._say("501 5.5.4 Syntax: RCPT TO:<address>")
        elif self._envelope is None:
            await self._say("503 5.5.1 need MAIL command")
        elif (refusal := fates.at_rcpt(path[1])) is not None:
            await self._answer(SmtpStage.RCPT, refusal)
        elif await self._answer(SmtpStage.RCPT, "250 2.1.5 Ok"):
            wanted = _parameters(path[2])
            recipient = Recipient(path[1], orcpt=_plain(wanted.get("ORCPT", "")))
            if "NOTIFY" in wanted:
                recipient.notify = frozenset(wanted["NOTIFY"].upper().split(","))
            self._envelope.recipients.append(recipient)

    async def _data(self) -> None:
        envelope = self._envelope
        if envelope is None or not envelope.recipients:
            await self._say("554 5.5.1 Error: no valid recipients")
            return
        if not await self._answer(SmtpStage.DATA, "354 End data with <CR><LF>.<CR><LF>"):
            return
        if self._dial.smtp(SmtpStage.TEXT) is not None:
            self._cut()
        content = await self._text()
        self._envelope = None
        refusal = fates.at_dot([one.address for one in envelope.recipients])
        if content is None:
            await self._say("552 5.3.4 Message too big")
        elif refusal is not None:
            await self._answer(SmtpStage.DOT, refusal)
        elif (fault := self._dial.smtp(SmtpStage.DOT)) is not None:
            await self._do(fault)
        else:
            queued = await run_in_threadpool(self._take, envelope, content)
            self._wake()
            await self._answer(SmtpStage.ACCEPTED, f"250 2.0.0 Ok: queued as {queued}")

    def _take(self, envelope: Envelope, content: bytes) -> str:
        with self._store.write() as connection:
            return mail.take(connection, envelope, content, self._config, now=time.time())

    async def _text(self) -> bytes | None:
        """The mail, without its dots' doubles; None where it is too large, which it is read to its end for all the same."""
        content, too_large = bytearray(), False
        while (line := await self._line()) != b".":
            too_large = too_large or len(content) > _MAX_BYTES
            if not too_large:
                content += line.removeprefix(b".") if line.startswith(b".") else line
                content += b"\r\n"
        return None if too_large else bytes(content)

    async def _line(self) -> bytes:
        async with asyncio.timeout(_IDLE_SECONDS):
            return (await self._reader.readuntil(b"\r\n")).removesuffix(b"\r\n")

    async def _answer(self, stage: SmtpStage, reply: str) -> bool:
        """Say it, unless something else happens at this stage; whether it was said, and a yes."""
        fault = self._dial.smtp(stage)
        if fault is not None:
            await self._do(fault)
            return False
        await self._say(reply)
        return reply[0] in "23"

    async def _do(self, fault: str) -> None:
        """What goes wrong: the connection is cut, or a reply comes that was not looked for."""
        if fault == "drop":
            self._cut()
        await self._say(fault)
        if fault.startswith("421"):
            raise HungUp

    def _cut(self) -> None:
        self._writer.transport.abort()
        raise HungUp

    async def _say(self, reply: str) -> None:
        self._writer.write(f"{reply}\r\n".encode())
        await self._writer.drain()


def _parameters(text: str) -> dict[str, str]:
    found = (word.partition("=") for word in text.split())
    return {name.upper(): value for name, _, value in found}


def _plain(xtext: str) -> str:
    """RFC 3461 section 4."""
    return _HEX.sub(lambda found: chr(int(found[1], 16)), xtext)
