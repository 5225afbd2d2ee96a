"""A name server on loopback, UDP and TCP, of the zones that it is given; it can be broken in each way that is known."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Mapping[str, Sequence[str]]]  # name → kind → values; TXT are texts of any length
FAULTS = ("SERVFAIL", "REFUSED", "NOTIMP", "SILENT", "GARBLED", "TRUNCATED", "CUT")
_STRING = 255


@dataclass
class NameServer:
    """Its address, what was asked, and which questions (name, kind) go wrong in which way; * is any."""

    address: str
    zone: Zone
    faults: dict[tuple[str, str], str]
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # name, kind, udp or tcp

    def reply(self, data: bytes, transport: str) -> bytes | None:
        question = dns.message.from_wire(data)
        name = question.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        self.asked.append((name, kind, transport))
        fault = self.faults.get((name, kind)) or self.faults.get((name, "*")) or self.faults.get(("*", "*"), "")
        if fault == "SILENT":
            return None
        if fault == "GARBLED":
            return data[:2] + b"\x81\x80\xff"
        answer = dns.message.make_response(question, our_payload=4096)
        answer.flags |= dns.flags.RA
        if fault in ("SERVFAIL", "REFUSED", "NOTIMP"):
            answer.set_rcode(dns.rcode.from_text(fault))
        elif fault == "TRUNCATED" and transport == "udp":
            answer.flags |= dns.flags.TC
        else:
            self._fill(answer, name, kind)
        wire = answer.to_wire()
        return wire[: len(wire) - 3] if fault == "CUT" else wire

    def _fill(self, answer: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(10):
            records = self.zone.get(name)
            if records is None:
                if not any(other.endswith(f".{name}") for other in self.zone):
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                return
            wanted = kind if kind in records else "CNAME"
            if wanted not in records:
                return
            texts = [_rdata(wanted, value) for value in records[wanted]]
            answer.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", wanted, *texts))
            if wanted == kind:
                return
            name = records["CNAME"][0].rstrip(".").lower()


def _rdata(kind: str, value: str) -> str:
    if kind != "TXT":
        return value if kind in ("A", "AAAA") or value.endswith(".") else f"{value}."
    octets = value.encode("latin-1")
    parts = [octets[start : start + _STRING] for start in range(0, len(octets), _STRING)] or [b""]
    return " ".join('"' + "".join(f"\\{octet:03d}" for octet in part) + '"' for part in parts)


@contextmanager
def serving(zone: Zone, faults: Mapping[tuple[str, str], str] | None = None) -> Iterator[NameServer]:
    """Answer on one port by UDP and TCP until the end of the block."""
    udp, tcp = _doors()
    server = NameServer(f"127.0.0.1:{udp.getsockname()[1]}", zone, dict(faults or {}))
    over = threading.Event()
    threads = [threading.Thread(target=work, args=(server, door, over)) for work, door in ((_udp, udp), (_tcp, tcp))]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
        udp.close()
        tcp.close()


def _doors() -> tuple[socket.socket, socket.socket]:
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
        except OSError:  # the same number is taken for TCP
            udp.close()


def _udp(server: NameServer, door: socket.socket, over: threading.Event) -> None:
    door.settimeout(0.05)
    while not over.is_set():
        try:
            data, sender = door.recvfrom(65535)
        except TimeoutError:
            continue
        reply = server.reply(data, "udp")
        if reply is not None:
            door.sendto(reply, sender)


def _tcp(server: NameServer, door: socket.socket, over: threading.Event) -> None:
    door.settimeout(0.05)
    while not over.is_set():
        try:
            connection, _ = door.accept()
        except TimeoutError:
            continue
        with connection, suppress(OSError, EOFError):  # who asked may have gone
            connection.settimeout(5)
            (length,) = struct.unpack("!H", _exactly(connection, 2))
            reply = server.reply(_exactly(connection, length), "tcp")
            if reply is not None:
                connection.sendall(struct.pack("!H", len(reply)) + reply)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data
