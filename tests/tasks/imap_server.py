"""A mail server that speaks as much IMAP as a client needs, on loopback, with faults."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_COMMAND = re.compile(rb"(\S+) (UID )?(\w+) ?(.*)", re.DOTALL)


@dataclass
class Stored:
    body: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class Folders:
    """What lies in the mailbox, and what goes wrong with it."""

    inbox: dict[int, Stored] = field(default_factory=dict)
    done: list[bytes] = field(default_factory=list)
    validity: int = 7
    moves: bool = False
    password: str = "secret"
    refused: set[int] = field(default_factory=set)  # UIDs that are never given out
    drop_at: str | None = None  # the connection ends when this command comes, before it is done
    said: list[str] = field(default_factory=list)

    def put(self, *bodies: bytes) -> None:
        for body in bodies:
            self.inbox[max(self.inbox, default=0) + 1] = Stored(body)


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        folders: Folders = self.server.folders  # type: ignore[attr-defined]
        self._say(b"* OK ready")
        while line := self.rfile.readline():
            tag, _by_uid, word, rest = _COMMAND.fullmatch(line.rstrip(b"\r\n")).groups()  # type: ignore[union-attr]
            command = word.decode().upper()
            folders.said.append(command)
            if command == folders.drop_at:
                return
            answer = getattr(self, f"_{command.lower()}")(folders, rest.decode())
            self._say(tag + b" " + (answer or b"OK done"))
            if command == "LOGOUT":
                return

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")

    def _capability(self, folders: Folders, rest: str) -> None:
        self._say(b"* CAPABILITY IMAP4rev1 UIDPLUS" + (b" MOVE" if folders.moves else b""))

    def _login(self, folders: Folders, rest: str) -> bytes | None:
        return None if rest.endswith(f'"{folders.password}"') else b"NO wrong password " + rest.encode()

    def _select(self, folders: Folders, rest: str) -> bytes | None:
        if rest != '"INBOX"':
            return b"NO no such folder"
        self._say(b"* %d EXISTS" % len(folders.inbox))
        self._say(b"* OK [UIDVALIDITY %d] fine" % folders.validity)
        return b"OK [READ-WRITE] selected"

    def _search(self, folders: Folders, rest: str) -> None:
        words = rest.split()
        start, end = words[1].split(":")
        last = max(folders.inbox, default=0)
        low, high = sorted((int(start), last if end == "*" else int(end)))
        found = [
            uid
            for uid, mail in folders.inbox.items()
            if low <= uid <= high and ("UNSEEN" not in words or "\\Seen" not in mail.flags)
        ]
        self._say(b"* SEARCH " + " ".join(map(str, found)).encode())

    def _fetch(self, folders: Folders, rest: str) -> bytes | None:
        uid, limit = int(rest.split(maxsplit=1)[0]), int(re.search(r"<0\.(\d+)>", rest)[1])  # type: ignore[index]
        if uid in folders.refused:
            return b"NO [SERVERBUG] this one is broken"
        if uid in folders.inbox:
            body = folders.inbox[uid].body[:limit]
            date = b'INTERNALDATE "22-Nov-2026 10:00:05 +0100"'
            self._say(b"* 1 FETCH (UID %d %s BODY[]<0> {%d}\r\n%s)" % (uid, date, len(body), body))
        return None

    def _store(self, folders: Folders, rest: str) -> None:
        uid = int(rest.split(maxsplit=1)[0])
        folders.inbox[uid].flags |= set(re.findall(r"\\\w+", rest))

    def _copy(self, folders: Folders, rest: str) -> bytes | None:
        if not rest.endswith('"Done"'):
            return b"NO [TRYCREATE] no such folder"
        folders.done.append(folders.inbox[int(rest.split(maxsplit=1)[0])].body)
        return None

    def _expunge(self, folders: Folders, rest: str) -> None:
        del folders.inbox[int(rest)]

    def _move(self, folders: Folders, rest: str) -> bytes | None:
        refused = self._copy(folders, rest)
        if refused is None:
            self._expunge(folders, rest.split(maxsplit=1)[0])
        return refused

    def _logout(self, folders: Folders, rest: str) -> None:
        self._say(b"* BYE")


@contextmanager
def serving(folders: Folders) -> Iterator[int]:
    """The port of a server with this mailbox, until the end of the block."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        server.folders = folders  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)
