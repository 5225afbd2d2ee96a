"""Mail that is brought by real SMTP and LMTP, from the wire to the suppression."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, inbox, tables
from providers.smtp.config import ReturnsConfig, ReturnsNotConfigured
from providers.smtp.listener import Listener
from providers.smtp.session import Keep, TryAgain
from tasks.receiving import Receiver
from tests.conftest import NOW
from tests.data import ledger_rows
from tests.providers.smtp import returned
from tests.tasks.returned_shop import count, delivery, mailed, read_mail, refused

MAILBOX = returned.MAILBOX
SMALL = 2**16


@contextmanager
def listening(keep: Keep, **facts) -> Iterator[int]:
    values = {"addresses": [MAILBOX], "listen_port": 0, "max_mail_bytes": SMALL, **facts}
    with Listener(ReturnsConfig(**values), keep) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield listener.port
        finally:
            listener.shutdown()
            thread.join(10)


def receiver(engine: sa.Engine, max_backlog: int = 100) -> Receiver:
    return Receiver(engine, max_backlog, lambda: NOW + timedelta(minutes=1))


def bring(port: int, body: bytes, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        return client.sendmail("", list(recipients) or [MAILBOX], body)


class Kept(list[tuple[bytes, tuple[str, ...]]]):
    def keep(self, body: bytes, recipients) -> None:
        self.append((body, tuple(recipients)))


@contextmanager
def speaking(port: int) -> Iterator[tuple[socket.socket, object]]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire, wire.makefile("rb") as answers:
        answers.readline()
        yield wire, answers


def say(wire: socket.socket, answers, *lines: bytes) -> list[bytes]:
    """Send lines one by one; the last line of each answer."""
    heard = []
    for line in lines:
        wire.sendall(line + b"\r\n")
        while (answer := answers.readline())[3:4] == b"-":
            pass
        heard.append(answer.rstrip())
    return heard


def test_a_bounce_that_is_brought_suppresses(engine: sa.Engine, account_id: str) -> None:
    mailed(engine, account_id)
    with listening(receiver(engine).keep) as port:
        assert bring(port, returned.raw("postfix-unknown-user")) == {}
    counted = {name: count for name, count in read_mail(engine).counts().items() if count}
    assert counted == {"bodies": 1, "events": 1, "suppressions": 1}
    assert refused(engine) == {ledger_rows.hash_of(1): "hard_bounce"}
    (row,) = delivery(engine)
    assert (row.ordinal, row.fault) == (1, "recipient")


def test_the_return_path_of_the_envelope_is_kept_and_names_the_message(engine: sa.Engine, account_id: str) -> None:
    mailed(engine, account_id)
    path = returned.message_ids.return_path("run1.2", mailbox=MAILBOX, key=returned.LINK_KEY)
    with listening(receiver(engine).keep) as port:
        bring(port, returned.raw("forged-address-only"), path.upper())
    assert read_mail(engine).suppressions == 1
    assert refused(engine) == {ledger_rows.hash_of(2): "hard_bounce"}


@pytest.mark.parametrize("name", ["forged-address-only", "forged-token", "arf-address-only", "own-token-other-victim"])
def test_a_forged_report_suppresses_nobody_whose_mail_the_forger_did_not_get(
    engine: sa.Engine, account_id: str, name: str
) -> None:
    mailed(engine, account_id)
    body = returned.raw(name, message="run1.2").replace(b"victim@example.com", ledger_rows.address(1).encode())
    with listening(receiver(engine).keep) as port:
        bring(port, body)
    assert read_mail(engine).events == 1
    assert ledger_rows.hash_of(1) not in refused(engine)


@pytest.mark.parametrize("name", ["forged-address-only", "arf-address-only"])
def test_an_operator_who_trusts_the_mailbox_has_addresses_believed(
    engine: sa.Engine, account_id: str, name: str
) -> None:
    mailed(engine, account_id)
    with listening(receiver(engine).keep) as port:
        bring(port, returned.raw(name))
    assert read_mail(engine, trusting=True).suppressions == 1
    assert set(refused(engine)) == {ledger_rows.hash_of(1)}


def test_a_sender_that_missed_our_answer_brings_it_again_without_effect(engine: sa.Engine, account_id: str) -> None:
    mailed(engine, account_id)
    stored = threading.Event()

    def keep_and_tell(body: bytes, recipients) -> None:
        receiver(engine).keep(body, recipients)
        stored.set()

    with listening(keep_and_tell) as port:
        with speaking(port) as (wire, answers):
            say(wire, answers, b"EHLO me", b"MAIL FROM:<>", f"RCPT TO:<{MAILBOX}>".encode(), b"DATA")
            wire.sendall(returned.raw("postfix-unknown-user") + b"\r\n.\r\n")
            assert stored.wait(20)
        again = b"Received: from a second try; Sun, 22 Nov 2026 10:20:00 +0100\r\n" + returned.raw(
            "postfix-unknown-user"
        )
        bring(port, again)
    report = read_mail(engine)
    assert (report.bodies, report.events, report.duplicates, report.suppressions) == (2, 1, 1, 1)
    assert count(engine, tables.delivery_events) == 1


def test_a_mail_is_not_taken_while_too_much_waits_or_the_store_is_away(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        inbox.store(connection, provider="smtp", body=b"waits", now=NOW)
    with listening(receiver(engine, max_backlog=1).keep) as port, pytest.raises(smtplib.SMTPDataError) as told:
        bring(port, b"Subject: x\r\n\r\nx")
    assert told.value.smtp_code == 451
    away = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none", connect_args={"connect_timeout": 2})
    with listening(receiver(away).keep) as port, pytest.raises(smtplib.SMTPDataError) as told:
        bring(port, b"Subject: x\r\n\r\nx")
    assert told.value.smtp_code == 451
    assert b"store" in told.value.smtp_error
    assert count(engine, tables.webhook_inbox) == 1


def test_nothing_is_relayed() -> None:
    kept = Kept()
    with listening(kept.keep) as port:
        for stranger in ("somebody@example.org", "returns@example.org", f"x+{MAILBOX}"):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as told:
                bring(port, b"x", stranger)
            assert [code for code, _ in told.value.recipients.values()] == [550]
    assert kept == []


def test_dots_lines_and_eight_bit_arrive_as_they_were_sent() -> None:
    kept = Kept()
    body = ".\r\n..\r\nä €\r\n.end\r\n".encode()
    with listening(kept.keep) as port:
        bring(port, body)
    assert kept == [(body, (MAILBOX,))]


def test_only_cr_lf_dot_cr_lf_ends_a_mail() -> None:
    kept = Kept()
    smuggled = b"Subject: a\r\n\r\nx\n.\nMAIL FROM:<>\r\n\n.\r\ny"
    with listening(kept.keep) as port, speaking(port) as (wire, answers):
        say(wire, answers, b"EHLO me", b"MAIL FROM:<>", f"RCPT TO:<{MAILBOX}>".encode(), b"DATA")
        assert say(wire, answers, smuggled + b"\r\n.")[0][:3] == b"250"
    assert [body for body, _ in kept] == [smuggled + b"\r\n"]


@pytest.mark.parametrize("line", [b"a" * 70 + b"\r\n", b"a", b"\r\n", b".\n"])
def test_a_mail_beyond_the_limit_is_refused_and_not_kept_in_memory_and_the_next_is_taken(line: bytes) -> None:
    kept = Kept()
    with listening(kept.keep) as port, speaking(port) as (wire, answers):
        for size, code in ((4 * SMALL, b"552"), (SMALL // 2, b"250")):
            begin = (b"MAIL FROM:<>", f"RCPT TO:<{MAILBOX}>".encode(), b"DATA")
            say(wire, answers, b"EHLO me", *begin)
            assert say(wire, answers, line * (size // len(line)) + b"\r\n.")[0][:3] == code
    assert len(kept) == 1


def test_a_declared_size_beyond_the_limit_is_refused_at_once() -> None:
    with listening(Kept().keep) as port, speaking(port) as (wire, answers):
        assert say(wire, answers, b"EHLO me", b"MAIL FROM:<> SIZE=999999999")[1][:3] == b"552"


def test_who_talks_nonsense_is_hung_up_on() -> None:
    with listening(Kept().keep) as port, speaking(port) as (wire, answers):
        heard = say(wire, answers, *[b"A" * 5000, b"DATA", b"RCPT TO:<x>", b"MAIL TO:<x>"], *[b"HACK"] * 17)
        assert {answer[:3] for answer in heard} <= {b"500", b"501", b"503"}
        assert answers.readline()[:3] == b"421"


def test_no_more_connections_than_configured() -> None:
    with (
        listening(Kept().keep, connections=1) as port,
        speaking(port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as second,
        second.makefile("rb") as answers,
    ):
        assert answers.readline()[:3] == b"421"


def test_lmtp_answers_for_each_recipient() -> None:
    kept = Kept()
    other = MAILBOX.replace("@", "+x@")
    with listening(kept.keep, lmtp=True) as port, speaking(port) as (wire, answers):
        begin = (b"LHLO me", b"MAIL FROM:<>", f"RCPT TO:<{MAILBOX}>".encode(), f"RCPT TO:<{other}>".encode(), b"DATA")
        assert next(answer[:3] for answer in say(wire, answers, b"EHLO me", *begin)) == b"500"
        assert say(wire, answers, b"Subject: x\r\n\r\nx\r\n.")[0][:3] == b"250"
        assert answers.readline()[:3] == b"250"
    assert [recipients for _, recipients in kept] == [(MAILBOX, other)]


def certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=9999))
        .not_valid_after(NOW + timedelta(days=9999))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_starttls_and_what_was_slipped_in_before_it_is_forgotten(tmp_path: Path) -> None:
    kept, file = Kept(), certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=file)
    with listening(kept.keep, tls_certificate=file) as port:
        with smtplib.SMTP("localhost", port, timeout=20) as client:
            client.starttls(context=trusting)
            client.sendmail("", [MAILBOX], b"Subject: x\r\n\r\nx\r\n")
        with speaking(port) as (wire, answers):
            say(wire, answers, b"EHLO me")
            wire.sendall(b"STARTTLS\r\nRSET\r\n")
            assert answers.readline()[:3] == b"220"
            with trusting.wrap_socket(wire, server_hostname="localhost") as secure, secure.makefile("rb") as hidden:
                assert say(secure, hidden, b"MAIL FROM:<>")[0][:3] == b"503", "RSET was not answered, EHLO is forgotten"
    assert len(kept) == 1


def test_without_an_address_nothing_listens_and_a_bad_certificate_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReturnsNotConfigured, match="OMS_RETURNS_ADDRESSES"):
        Listener(ReturnsConfig(listen_port=0), Kept().keep)
    with pytest.raises(ReturnsNotConfigured, match="TLS_CERTIFICATE"):
        Listener(ReturnsConfig(listen_port=0, addresses=[MAILBOX], tls_certificate=tmp_path / "none"), Kept().keep)


def test_a_keeper_that_says_later_is_a_passing_trouble() -> None:
    def later(body: bytes, recipients) -> None:
        raise TryAgain("later")

    with listening(later) as port, pytest.raises(smtplib.SMTPDataError) as told:
        bring(port, b"x")
    assert told.value.smtp_code == 451


def test_where_no_thread_can_be_started_no_place_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, start, refused_once = Kept(), threading.Thread.start, []

    def exhausted(thread: threading.Thread) -> None:
        if thread.name.startswith("Thread-") and "process_request_thread" in thread.name and not refused_once:
            refused_once.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    with listening(kept.keep, connections=1) as port:
        monkeypatch.setattr(threading.Thread, "start", exhausted)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            assert wire.recv(100) == b""
        assert bring(port, b"Subject: x\r\n\r\nx") == {}
    assert (len(refused_once), len(kept)) == (1, 1)
