"""A connection to a relay, from the greeting to the log in, and a pool of them."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.ledger import Outcome
from providers import http
from providers.smtp import verdicts
from providers.smtp.config import SmtpConfig, SmtpNotConfigured
from providers.smtp.line import Broken, Line, Reply

# Postfix hangs up after five minutes of silence and others sooner; a wave of batches leaves no such pause.
_IDLE_SECONDS = 30.0
_GOODBYE_SECONDS = 2.0


class Unreachable(Exception):
    """No connection that can carry mail; `outcome` says what that means for the mails: none was sent."""

    def __init__(self, detail: str, *, stop: bool = False, status: int | None = None) -> None:
        super().__init__(detail)
        self.outcome: Outcome = verdicts.not_sent(detail, stop=stop, status=status)


@dataclass(slots=True)
class Relay:
    """One connection that mail can go over.

    `carried`: mails of which the relay said what becomes of them. `dirty`: a transaction is open that must be reset.
    """

    line: Line
    offers: dict[str, str] = field(default_factory=dict)
    carried: int = 0
    dirty: bool = False
    idle_since: float = 0.0

    def close(self) -> None:
        """Say goodbye, if the relay still listens, and hang up."""
        try:
            self.line.until = time.monotonic() + _GOODBYE_SECONDS
            self.line.write(b"QUIT\r\n")
        except Broken:
            pass
        finally:
            self.line.close()

    def is_fresh(self) -> bool:
        """Whether a connection that lay idle still works: asked before anything of a mail is said. Never raises."""
        if time.monotonic() - self.idle_since > _IDLE_SECONDS or not self.line.is_quiet():
            return False
        try:
            self.line.write(b"RSET\r\n")
            self.dirty = not self.line.reply().is_done
        except Broken:
            return False
        return not self.dirty


def tls_context(config: SmtpConfig) -> ssl.SSLContext | None:
    """How the relay's certificate is verified, always. Raises SmtpNotConfigured where ca_file cannot be used."""
    if config.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:
        raise SmtpNotConfigured(
            f"OMS_SMTP_CA_FILE (or ca_file in routes.yaml) cannot be used: {error.strerror or error}"
        ) from None


def connect(config: SmtpConfig, context: ssl.SSLContext | None, *, until: float) -> Relay:
    """Open a connection, secure it and log in. Raises Unreachable."""
    host, security = config.required_host(), config.security
    line: Line | None = None
    try:
        # The patience of getting connected holds for each step up to the log in.
        line = Line(_dial(config, host, until), patience=config.connect_timeout_seconds, until=until)
        if security == "tls" and context is not None:
            line.secure(context, host)
        return _introduced(line, config, context)
    except ssl.SSLCertVerificationError as error:
        trouble = Unreachable(f"the relay's certificate is not good: {error.verify_message}", stop=True)
    except (OSError, UnicodeError) as error:
        trouble = Unreachable(f"the relay cannot be reached: {http.told(error, host)}")
    except Broken as broken:
        trouble = Unreachable(f"the relay cannot be reached: {broken}")
    except Unreachable as known:
        trouble = known
    if line is not None:
        line.close()
    raise trouble from None


def _dial(config: SmtpConfig, host: str, until: float) -> socket.socket:
    """Try each address of the relay, all within the time for a connection."""
    end = min(until, time.monotonic() + config.connect_timeout_seconds)
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in socket.getaddrinfo(host, config.port, type=socket.SOCK_STREAM):
        if (left := end - time.monotonic()) <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left)
            connection.connect(address)
            # A command must not wait for the answer to the one before it (Nagle): 40 ms a mail.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _introduced(line: Line, config: SmtpConfig, context: ssl.SSLContext | None) -> Relay:
    greeting = line.reply()
    if not greeting.is_done:
        raise _turned_away("its greeting", greeting)
    offers = _hello(line, config)
    if config.security == "starttls" and context is not None:
        if "STARTTLS" not in offers:
            raise Unreachable("the relay offers no STARTTLS, and mail never goes in clear", stop=True)
        _ask(line, b"STARTTLS\r\n", "STARTTLS")
        line.secure(context, config.required_host())
        offers = _hello(line, config)  # what was offered in clear is forgotten (RFC 3207)
    if (credentials := config.credentials) is not None:
        _log_in(line, offers.get("AUTH", "").upper().split(), *credentials)
    line.patience = config.read_timeout_seconds
    return Relay(line, offers)


def _hello(line: Line, config: SmtpConfig) -> dict[str, str]:
    name = config.hello_name or config.return_mailbox.rpartition("@")[2] or "localhost"
    answer = _ask(line, f"EHLO {name}\r\n".encode(), "EHLO")
    offers = (offer.partition(" ") for offer in answer.text.split("\n")[1:])
    return {word.upper(): rest for word, _, rest in offers}


def _log_in(line: Line, mechanisms: list[str], user: str, password: str) -> None:
    if "PLAIN" in mechanisms:
        steps = [b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode())]
    elif "LOGIN" in mechanisms:
        steps = [b"AUTH LOGIN", *(base64.b64encode(one.encode()) for one in (user, password))]
    else:
        raise Unreachable("the relay offers neither AUTH PLAIN nor AUTH LOGIN", stop=True)
    for step in steps[:-1]:
        line.write(step + b"\r\n")
        if not (answer := line.reply()).is_go_on:
            raise _turned_away("AUTH", answer)
    _ask(line, steps[-1] + b"\r\n", "AUTH")


def _ask(line: Line, command: bytes, name: str) -> Reply:
    line.write(command)
    answer = line.reply()
    if not answer.is_done:
        raise _turned_away(name, answer)
    return answer


def _turned_away(what: str, answer: Reply) -> Unreachable:
    """4yz passes; whatever else is said, somebody has to mend the configuration, ours or the relay's."""
    said = verdicts.told(answer)
    return Unreachable(f"{said} (to {what})", stop=not answer.is_not_now, status=answer.code)


class Pool:
    """Connections that are kept between batches; the newest is taken first, so that the oldest may end."""

    def __init__(self, config: SmtpConfig, opened: Callable[[float], Relay]) -> None:
        self._limit = config.messages_per_connection
        self._opened = opened
        self._idle: list[Relay] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(config.connections)

    def take(self, *, until: float) -> Relay:
        """A connection that works, kept or new; give it back or drop it. Raises Unreachable."""
        if not self._places.acquire(timeout=max(until - time.monotonic(), 0)):
            raise Unreachable("all connections to the relay were busy for too long")
        try:
            while (kept := self._kept()) is not None:
                kept.line.until = until
                if kept.is_fresh():
                    return kept
                kept.close()
            return self._opened(until)
        except BaseException:
            self._places.release()
            raise

    def give_back(self, relay: Relay, *, usable: bool) -> None:
        """Keep it for the next batch, unless it is broken or has carried as many mails as the relay likes."""
        if usable and relay.carried < self._limit:
            relay.idle_since = time.monotonic()
            with self._lock:
                self._idle.append(relay)
        else:
            relay.close()
        self._places.release()

    def close(self) -> None:
        """Say goodbye on all that are idle."""
        while (kept := self._kept()) is not None:
            kept.close()

    def _kept(self) -> Relay | None:
        with self._lock:
            return self._idle.pop() if self._idle else None
