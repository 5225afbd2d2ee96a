"""A relay that stops reading in the midst of a group: whatever its final dot did, no mail goes twice."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from domain.ledger import Outcome, OutcomeKind
from providers.smtp.courier import Courier
from providers.smtp.letter import Letter
from providers.smtp.line import HalfWritten, Line
from providers.smtp.relay import Relay
from tests.providers.smtp import certificates, relayed, sink
from tests.providers.smtp.certificates import Authority
from tests.providers.smtp.sink import Sink

K = OutcomeKind
FOR_EVER = float("inf")
IMPATIENT = 0.03  # whoever waits here waits for nothing: all that will ever come lies there already
RECORD = 2**14  # of TLS (RFC 8446 section 5.1)
ROOMS = (4096, 9000, 12_000, 18_000, 24_000, 40_000, 70_000)  # bytes that the operating system keeps for the reader
INVITED = b"250 OK\r\n250 OK\r\n354 go on\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return certificates.authority(tmp_path_factory.mktemp("half") / "ca")


@contextmanager
def both_ends(authority: Authority | None, room: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours, with so much room for what is not read yet, and the relay's; with an authority under TLS."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
    if authority is not None:
        server = authority.context("localhost")
        server.num_tickets = 0  # nothing of TLS itself is under way once its handshake is over
        secured: list[ssl.SSLSocket] = []
        thread = threading.Thread(target=lambda: secured.append(server.wrap_socket(theirs, server_side=True)))
        thread.start()
        client = ssl.create_default_context(cafile=authority.file)
        ours = client.wrap_socket(ours, server_hostname="localhost")
        thread.join(sink.PATIENCE)
        theirs = secured[0]
    with closing(ours), closing(theirs):
        yield ours, theirs


def read_by(theirs: socket.socket) -> bytes:
    """All that lies there for the relay, whole records only."""
    theirs.settimeout(IMPATIENT)
    read = bytearray()
    try:
        while received := theirs.recv(2**16):
            read += received
    except OSError:  # no more of it, or a record that ends in its middle
        pass
    return bytes(read)


def letter(number: int, size: int) -> Letter:
    """Of so many bytes, the final dot included."""
    mail = b"Subject: x\r\n\r\n"
    mail += b"x" * (size - len(mail) - len(b"\r\n.\r\n")) + b"\r\n"
    found = Letter(f"run1.{number}", relayed.MAILBOX, f"person{number}@customers.example.com", mail)
    assert len(found.content()) == size
    return found


def carried(ours: socket.socket, letters: list[Letter]) -> dict[str, Outcome]:
    known: dict[str, Outcome] = {}
    coming = iter([*letters, None, None])
    relay = Relay(Line(ours, patience=IMPATIENT, until=FOR_EVER), {"PIPELINING": ""})
    courier = Courier(
        relay,
        lambda: next(coming),
        lambda one, outcome: known.update({one.message_id: outcome}),
        pipelining=True,
        notify=[],
    )
    assert not courier.run()
    relay.close()
    return known


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "in clear"])
@pytest.mark.parametrize("alone", [True, False], ids=["the last one", "another behind it"])
@pytest.mark.parametrize("size", [RECORD, RECORD + 3, 2 * RECORD, 3 * RECORD + 3, 4 * RECORD - 9, 4 * RECORD + 1])
def test_what_the_relay_has_is_never_called_not_sent(authority: Authority, size: int, alone: bool, tls: bool) -> None:
    first = letter(0, size)
    for room in ROOMS:
        with both_ends(authority if tls else None, room) as (ours, theirs):
            theirs.sendall(INVITED)
            known = carried(ours, [first] if alone else [first, letter(1, 500)])
            ours.close()
            has_it = first.content() in read_by(theirs)
        assert known["run1.0"].kind is (K.UNKNOWN if has_it else K.NOT_SENT), f"room for {room}"
        assert alone or known["run1.1"].kind is K.NOT_SENT


def test_the_boundary_is_met(authority: Authority) -> None:
    """The mail in a record that left, the next one's envelope in one that did not: else the test above proves nothing."""
    met = set()
    for room in ROOMS[:4]:
        with both_ends(authority, room) as (ours, theirs):
            line = Line(ours, patience=IMPATIENT, until=FOR_EVER)
            with pytest.raises(HalfWritten) as broken:
                line.write(b"x" * (RECORD + 100))
            met.add(broken.value.taken)
            assert len(read_by(theirs)) == broken.value.taken
    assert met >= {0, RECORD}


def test_nothing_follows_what_was_half_written(authority: Authority) -> None:
    """OpenSSL may hold a record that did not leave, and sends it with the next one that is as long: a dot, by QUIT."""
    for room in ROOMS:
        with both_ends(authority, room) as (ours, theirs):
            line = Line(ours, patience=IMPATIENT, until=FOR_EVER)
            with pytest.raises(HalfWritten):
                line.write(b"x" * 9 * RECORD + b"\r\n.\r\n")
            read_by(theirs)  # now there is room for more
            with pytest.raises(HalfWritten):
                line.write(b"QUIT\r\n")
            assert read_by(theirs) == b""


def test_a_yes_in_the_midst_of_a_text_is_believed(authority: Authority) -> None:
    """No relay may say so, but one that did may have it: it is not sent again."""
    for said, kind in ((b"250 queued\r\n", K.ACCEPTED), (b"552 too large\r\n", K.REJECTED), (b"", K.NOT_SENT)):
        with both_ends(authority, 9000) as (ours, theirs):
            theirs.sendall(INVITED + said)
            assert carried(ours, [letter(0, 9 * RECORD)])["run1.0"].kind is kind


@pytest.mark.parametrize("security", ["tls", "none"])
@pytest.mark.parametrize("size", [9_000_000, 100])
def test_a_relay_that_stops_reading(authority: Authority, security: str, size: int) -> None:
    """It reads on once we are gone: of a text that had left it has the mail, of one too large for that it has none."""
    scripted = Sink(
        lambda at, who: sink.STALL if at == "TEXT" and who.startswith("person1@") else None,
        tls=authority.context("127.0.0.1") if security == "tls" else None,
        tls_at_once=True,
    )
    content, values = relayed.text_only(), {"first_name": ["A", "B" * size, "C"]}
    batch = relayed.a_batch(3, content=content, variables=values)
    changes = {"security": security, "ca_file": authority.file, "read_timeout_seconds": 1.0}
    with sink.running(scripted), relayed.mailer_for(scripted, **changes) as mailer:
        outcome = mailer.send(batch)
    kinds = [one.kind for one in relayed.each(outcome, batch)]
    assert kinds[:2] == [K.ACCEPTED, K.UNKNOWN if size == 100 else K.NOT_SENT]
    assert [scripted.times()[one] for one in batch.addresses[:2]] == [1, int(size == 100)]
