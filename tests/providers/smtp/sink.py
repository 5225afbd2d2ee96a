"""A relay on loopback that does at each command what a script says, and records what it took: the oracle of the tests."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

PATIENCE = 10.0
OFFERS = ("PIPELINING", "SIZE 20000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")

# What the relay does instead of saying yes.
DROP, STALL, NONSENSE = "drop", "stall", "nonsense"
TAKE_AND_DROP, TAKE_AND_STALL, TAKE_AND_NONSENSE = "take and drop", "take and stall", "take and nonsense"


class Hung(Exception):
    """The script ends the connection."""


@dataclass
class Sink:
    """`script`: (stage, recipient) → a reply, one of the words above, or None for yes. Stages: CONNECT, EHLO, STARTTLS,
    AUTH, RSET, MAIL, RCPT, DATA, TEXT (in the middle of it), DOT."""

    script: Callable[[str, str], str | None] = lambda _stage, _who: None
    offers: Sequence[str] = OFFERS
    tls: ssl.SSLContext | None = None
    tls_at_once: bool = False
    eager: bool = False  # wants a text though nobody is there to get it
    port: int = 0
    taken: list[tuple[str, str, bytes]] = field(default_factory=list)  # return path, recipient, mail
    heard: list[str] = field(default_factory=list)  # all commands
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def times(self) -> Counter[str]:
        """How often the relay took responsibility for a recipient's mail."""
        return Counter(who for _, who, _ in self.taken)


class _Session:
    def __init__(self, sink: Sink, connection: socket.socket) -> None:
        self.sink, self.connection = sink, connection
        self.kept = b""
        self.sender, self.who, self.secured = "", "", False

    def run(self) -> None:
        if self.sink.tls is not None and self.sink.tls_at_once:
            self.secure()
        self.answer("CONNECT", "220 sink ESMTP")
        while True:
            line = self.line().decode("utf-8", "replace")
            self.sink.heard.append(line)
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            getattr(self, f"on_{verb.lower()}")(rest)

    def on_ehlo(self, _rest: str) -> None:
        offers = list(self.sink.offers)
        if self.sink.tls is not None and not self.secured and not self.sink.tls_at_once:
            offers = ["STARTTLS"]
        lines = ["sink", *offers]
        self.answer("EHLO", "\r\n".join([*(f"250-{one}" for one in lines[:-1]), f"250 {lines[-1]}"]))

    def on_starttls(self, _rest: str) -> None:
        if self.answer("STARTTLS", "220 go ahead"):
            self.secure()

    def secure(self) -> None:
        assert self.sink.tls is not None
        self.connection = self.sink.tls.wrap_socket(self.connection, server_side=True)
        self.secured, self.kept = True, b""

    def on_auth(self, rest: str) -> None:
        if rest.upper() == "LOGIN":
            for question in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
                self.say(f"334 {question}")
                self.sink.heard.append(self.line().decode())
        self.answer("AUTH", "235 2.7.0 welcome")

    def on_rset(self, _rest: str) -> None:
        self.sender = self.who = ""
        self.answer("RSET", "250 2.0.0 OK")

    def on_noop(self, _rest: str) -> None:
        self.say("250 OK")

    def on_mail(self, rest: str) -> None:
        if self.sender:
            self.say("503 5.5.1 nested MAIL")
            return
        sender = rest[rest.index("<") + 1 : rest.index(">")]
        # Whose mail it is stands in the envelope's id, which goes ahead of the recipient.
        whose = next((one[6:] for one in rest.split() if one.startswith("ENVID=")), "")
        if self.answer("MAIL", "250 2.1.0 OK", whose):
            self.sender = sender

    def on_rcpt(self, rest: str) -> None:
        who = rest[rest.index("<") + 1 : rest.index(">")]
        if not self.sender:
            self.say("503 5.5.1 MAIL first")
        elif self.answer("RCPT", "250 2.1.5 OK", who):
            self.who = who

    def on_data(self, _rest: str) -> None:
        if not self.who and self.sink.eager:
            self.say("354 go on")
            self.text()
        if not self.who:
            self.say("554 5.5.1 no valid recipients")
            return
        if not self.answer("DATA", "354 go on", self.who):
            return
        mail = self.text()
        what = self.sink.script("DOT", self.who)
        if what is None or what.startswith("take"):
            self.sink.taken.append((self.sender, self.who, mail))
        self.do((what or "250 2.0.0 Ok: queued as 4f1c").removeprefix("take and "))
        self.sender = self.who = ""

    def text(self) -> bytes:
        what = self.sink.script("TEXT", self.who)
        if what == DROP:
            raise Hung
        if what == STALL:  # and reads on when the others have gone
            self.sink.over.wait(PATIENCE)
        self.kept = b"\r\n" + self.kept  # an empty text is a dot alone
        looked = 0
        while (end := self.kept.find(b"\r\n.\r\n", looked)) < 0:
            looked = max(0, len(self.kept) - 4)
            self.more()
        mail, self.kept = self.kept[2:end], self.kept[end + 5 :]
        return (mail + b"\r\n").replace(b"\r\n.", b"\r\n")

    def answer(self, stage: str, yes: str, who: str = "") -> bool:
        what = self.sink.script(stage, who or self.who)
        self.do(what or yes)
        return what is None

    def do(self, what: str) -> None:
        if what == DROP:
            raise Hung
        if what == STALL:
            self.sink.over.wait(PATIENCE)
            raise Hung
        self.say("what did you say?" if what == NONSENSE else what)
        if what.startswith("421"):
            raise Hung

    def say(self, reply: str) -> None:
        self.connection.sendall(f"{reply}\r\n".encode())

    def line(self) -> bytes:
        while b"\r\n" not in self.kept:
            self.more()
        line, _, self.kept = self.kept.partition(b"\r\n")
        return line

    def more(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise Hung
        self.kept += received


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """Serve on a free port, a thread a connection, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    sink.port = listener.getsockname()[1]
    sessions: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        session = _Session(sink, connection)
        try:
            connection.settimeout(PATIENCE)
            session.run()
        except (Hung, OSError):
            pass
        finally:
            session.connection.close()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            sink.connections += 1
            sessions.append(threading.Thread(target=serve, args=(connection,)))
            sessions[-1].start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield sink
    finally:
        sink.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in (thread, *sessions):
            one.join(PATIENCE)
